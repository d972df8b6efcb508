// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import LegacyPT
import PageTable
import Reference
import Selftests
import Simulator

/// A library as what is tested.
public struct LibraryFactory: TargetFactory {
  public let name: String

  public var capabilities: TargetCapabilities {
    let all: TargetCapabilities = [
      .eventLog, .faultInjection, .threads, .accounting, .placement, .creationFaults,
    ]
    return library.formats.allSatisfy { $0.behaviour == .generic } ? all.union(.levels) : all
  }

  let library: Library
  let calls: CallPage
  let specifications: SpecificationLibrary

  /// - Parameters:
  ///   - name: what messages call it.
  ///   - calls: where each call of the library is announced.
  public init(name: String, _ library: Library, calls: CallPage, _ specifications: SpecificationLibrary) {
    self.name = name
    self.library = library
    self.calls = calls
    self.specifications = specifications
  }

  public func encoder(_ configuration: Configuration) throws -> GenericEncoder? { nil }

  public var bindsErrors: Bool { !library.formats.contains { $0.behaviour == .own } }

  private func format(_ name: String) throws -> LibraryFormat {
    guard let format = library.formats.first(where: { $0.name == name }) else {
      throw TargetGap("\(library.name) has no format \(name)")
    }
    return format
  }

  public func make(_ configuration: Configuration, _ options: TargetOptions) throws
    -> any PageTableUnderTest
  {
    let format = try format(configuration.format)
    if format.behaviour == .generic { return try make(configuration, configuration, options) }
    if format.behaviour == .own {
      do {
        return try make(configuration, configuration, options)
      } catch let error as ConfigurationError {
        throw TargetGap("\(error)")
      }
    }
    let table: LibraryPageTable
    do {
      table = try make(try own(configuration, format), configuration, options)
    } catch let error as ConfigurationError {
      throw TargetGap("\(library.name): \(error)")
    }
    // Older code starts the walk elsewhere.
    if let reference = try? specifications.format(configuration), table.root.level != reference.rootLevel,
      !configuration.flags("features").contains("dynamic_top")
    {
      throw TargetGap(
        "\(library.name): the root of \(configuration) is of level \(table.root.level), not \(reference.rootLevel)"
      )
    }
    return table
  }

  /// The configuration of drivers' own code in its words.
  public func driver(of configuration: Configuration) throws -> Configuration? {
    let format = try format(configuration.format)
    guard format.behaviour == .legacy else { return nil }
    do {
      return try own(configuration, format)
    } catch let error as ConfigurationError {
      throw TargetGap("\(library.name): \(error)")
    }
  }

  private func own(_ configuration: Configuration, _ format: LibraryFormat) throws -> Configuration {
    try format.configurations(of: configuration)[0]
  }

  /// - Parameters:
  ///   - own: the configuration in the library's words.
  ///   - generic: in those of the reference; nil where it does not know it.
  private func make(_ own: Configuration, _ generic: Configuration?, _ options: TargetOptions) throws
    -> LibraryPageTable
  {
    try make(own, generic, generic.flatMap { try? specifications.format($0) }, options)
  }

  /// - Parameter reference: that of `generic`.
  func make(
    _ own: Configuration, _ generic: Configuration?, _ reference: ReferenceFormat?, _ options: TargetOptions
  ) throws -> LibraryPageTable {
    var base = options.physicalBase
    var reserve = options.reserve
    var isIncoherent = own.text("coherent") == "0"
    if let generic, let reach = try? FormatList.apply(Reach(options: options), to: generic) {
      (base, reserve, isIncoherent) = (reach.base, reach.reserve, reach.isIncoherent || isIncoherent)
    } else if let generic, let reference = try? specifications.format(generic) {
      let subject = try Subject(generic, reference)
      (base, reserve) = subject.reach(from: base, reserve: reserve)
      isIncoherent = isIncoherent || subject.isIncoherent
    }
    let behaviour = try format(own.format).behaviour
    let maker = LibraryTableMaker(
      library: library, calls: calls, behaviour: behaviour, configuration: own,
      reference: reference, isIncoherent: isIncoherent,
      // Linux's generic code writes past a table then (docs/findings.md), which would be the end of any test.
      isGuarded: options.isGuarded && behaviour == .generic)
    let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
    do {
      return try machine.lend(options.creationBudget) {
        try options.isRecorded ? maker.recorded(machine) : maker.plain(machine)
      }
    } catch let error as ConfigurationError where lists(own) {
      throw LibraryError("\(error), which is one of those that it lists")
    } catch LinuxErrno.enomem {
      throw LibraryError("create of \(own.completeText): ENOMEM, although memory was not short")
    }
  }

  /// Whether the library says that it can make a configuration, which is in its words.
  private func lists(_ own: Configuration) -> Bool {
    func isSame(_ listed: Configuration?) -> Bool {
      guard let listed, listed.format == own.format else { return false }
      return listed.schema.keys.allSatisfy { $0.name == "era" || listed.text($0.name) == own.text($0.name) }
    }
    return library.formats.filter { $0.name == own.format }.contains { format in
      format.configurations.contains { text in
        guard text != "\(own)" else { return true }
        return isSame(
          format.behaviour == .legacy
            ? try? LegacyList.configuration(text) : try? specifications.configuration(text))
      }
    }
  }

  // MARK: Golden vectors

  public func golden(_ environment: GoldenEnvironment) -> GoldenEnvironment {
    var environment = environment
    environment.encoder = { specifications.hasAdded($0.format) ? try LibraryEncoder(self, $0) : nil }
    environment.makeTable = { configuration, base in
      guard try format(configuration.format).behaviour != .legacy else {
        throw ConfigurationError(.eopnotsupp, "this is drivers' own code")
      }
      do {
        return try make(configuration, TargetOptions(physicalBase: base))
      } catch let gap as TargetGap {
        // A refusal, which is no failure.
        throw ConfigurationError(.eopnotsupp, gap.description)
      }
    }
    environment.bindsResults = !library.formats.contains { $0.behaviour == .own }
    guard let kit = environment.legacy, library.formats.contains(where: { $0.behaviour == .legacy }) else {
      environment.legacy = nil
      return environment
    }
    var legacy = kit
    legacy.isPartial = true
    legacy.makeTable = { configuration, base in
      let counterpart = kit.counterpart(configuration) ?? kit.counterpart(Self.allSizes(configuration))
      return try make(configuration, counterpart, TargetOptions(physicalBase: base))
    }
    environment.legacy = legacy
    return environment
  }

  /// The configuration without limits of leaf sizes and addresses, which change no word.
  private static func allSizes(_ configuration: Configuration) -> Configuration {
    let limits = ["pgsizes", "superpages", "ias"]
    let pairs = configuration.schema.keys.map(\.name).filter { !limits.contains($0) }
      .map { "\($0)=\(configuration.text($0))" }.filter { !$0.hasSuffix("=") }
    return (try? configuration.schema.configuration(pairs, permissive: true)) ?? configuration
  }

  public func isBound(by item: GoldenItem) -> Bool {
    library.formats.contains { $0.isBound(by: item, specifications) }
  }
}

extension LibraryFormat {
  /// Whether a golden vector says something about it: single words bind an encoder, which a library has not; and code of
  /// one Linux version is not that of another. Entries of a format that only its specification describes bind that.
  public func isBound(by item: GoldenItem, _ specifications: SpecificationLibrary) -> Bool {
    guard item.context.format == name else { return false }
    guard case .case = item.content else { return specifications.hasAdded(name) }
    guard behaviour == .legacy else { return true }
    guard item.context.behaviour == .legacy else { return false }
    // Drivers' own code did not change since 7.0; before, it did.
    let version = item.context.linuxVersion
    return version == era
      || version == modelledEra && version.prefix { $0 != "." } == era.prefix { $0 != "." }
  }
}

/// Where table memory of a format can be.
private struct Reach: FormatFunction {
  let options: TargetOptions

  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> (
    base: UInt64, reserve: UInt64, isIncoherent: Bool
  ) {
    var simulation = SimulationOptions(physicalBase: options.physicalBase)
    simulation.reserve = options.reserve
    simulation = simulation.withinReach(of: format)
    return (
      simulation.physicalBase, try simulation.reachableReserve(format),
      format.geometry.features.contains(.dmaIncoherent)
    )
  }
}
