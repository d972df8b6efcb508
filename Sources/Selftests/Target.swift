// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

/// What a target can do beyond the operations of `PageTableUnderTest`.
public struct TargetCapabilities: OptionSet, Hashable, Sendable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// It has an encoder of single words.
  public static let encoder = TargetCapabilities(rawValue: 1 << 0)
  /// Its page tables are `SimulatedTarget`s when asked to be recorded.
  public static let eventLog = TargetCapabilities(rawValue: 1 << 1)
  /// `allocbudget` limits its table memory.
  public static let faultInjection = TargetCapabilities(rawValue: 1 << 2)
  /// Several threads may use a page table that is not recorded.
  public static let threads = TargetCapabilities(rawValue: 1 << 3)
  /// It has policies for empty tables.
  public static let reclaim = TargetCapabilities(rawValue: 1 << 4)
  /// Its page tables are `MachineTarget`s, which can be destroyed and counted afterwards.
  public static let accounting = TargetCapabilities(rawValue: 1 << 5)
  /// The physical address of table memory can be chosen.
  public static let placement = TargetCapabilities(rawValue: 1 << 6)

  /// Its invalidations say which levels lost leaves and tables, where the configuration asks for that.
  public static let levels = TargetCapabilities(rawValue: 1 << 7)
  /// `TargetOptions.creationBudget` limits its table memory.
  public static let creationFaults = TargetCapabilities(rawValue: 1 << 8)

  fileprivate static let names: [(TargetCapabilities, String)] = [
    (.encoder, "an encoder of words"), (.eventLog, "an event log"), (.faultInjection, "allocation failures"),
    (.threads, "threads"), (.reclaim, "reclaim of empty tables"), (.accounting, "accounts of table memory"),
    (.placement, "a choice of physical addresses"), (.levels, "levels in invalidations"),
    (.creationFaults, "allocation failures of creation"),
  ]
}

/// How a page table is made.
public struct TargetOptions: Hashable, Sendable {
  /// The first physical address of table memory.
  public var physicalBase: UInt64
  /// Bytes of table memory at most.
  public var reserve: UInt64 = Self.usualReserve
  /// What becomes of empty tables.
  public var reclaim: Reclaim = .never
  /// Whether several threads use the page table.
  public var sharing: Sharing = .exclusive
  /// Whether the events of table memory are recorded.
  public var isRecorded = true
  /// Whether requests that are known to damage the target's tables are kept from it, and stand for refused ones. The
  /// tests of just these requests take this away.
  public var isGuarded = true
  /// How many 4 KiB pages of table memory there are while the page table is made, and no longer; nil is unlimited. Where
  /// they do not suffice, `CreationShortage` is thrown.
  public var creationBudget: Int?

  /// Table memory of most tests: little, so that a machine is made quickly.
  public static let usualReserve: UInt64 = 64 << 20

  /// Where `ptkit image` puts table memory.
  static let imageBase = SimulationOptions().physicalBase

  public init(physicalBase: UInt64) { self.physicalBase = physicalBase }

  /// What differs from the usual, for messages.
  var text: String {
    var words = ["table memory at \(Numbers.hex(physicalBase))"]
    switch reclaim {
    case .never: break
    case .bounded(let count): words.append("reclaim bounded:\(count)")
    case .eager: words.append("reclaim eager")
    }
    if sharing == .shared { words.append("shared by threads") }
    if let creationBudget { words.append("\(creationBudget) pages of it while it is made") }
    return words.joined(separator: ", ")
  }
}

extension Subject {
  /// The usual options.
  var options: TargetOptions { TargetOptions(physicalBase: usualBase) }
}

/// What is tested: makes page tables.
public protocol TargetFactory: Sendable {
  /// The name on the command line.
  var name: String { get }
  /// What its page tables can do.
  var capabilities: TargetCapabilities { get }
  /// Makes an empty page table.
  ///
  /// - Throws: `ConfigurationError`, or what keeps the target from working.
  func make(_ configuration: Configuration, _ options: TargetOptions) throws -> any PageTableUnderTest
  /// The encoder of a configuration, for targets with that capability.
  func encoder(_ configuration: Configuration) throws -> GenericEncoder?
  /// The witnesses of golden vectors, with the target among them.
  ///
  /// - Parameter environment: the kit's own.
  func golden(_ environment: GoldenEnvironment) -> GoldenEnvironment
  /// A configuration in the words of drivers' own code, where the target is that and follows its contract; nil where it
  /// follows the one of the generic algorithms.
  ///
  /// - Throws: `TargetGap` where the driver has no such configuration.
  func driver(of configuration: Configuration) throws -> Configuration?
  /// Whether it fails with the same errors as Linux's generic page table.
  var bindsErrors: Bool { get }
  /// Whether a golden vector says something about the target.
  func isBound(by item: GoldenItem) -> Bool
}

extension TargetFactory {
  public func driver(of configuration: Configuration) throws -> Configuration? { nil }

  public var bindsErrors: Bool { true }

  public func isBound(by item: GoldenItem) -> Bool { true }

  /// The target in the place of the generic implementation.
  public func golden(_ environment: GoldenEnvironment) -> GoldenEnvironment {
    var environment = environment
    environment.makeTable = { try make($0, TargetOptions(physicalBase: $1)) }
    environment.encoder = { capabilities.contains(.encoder) ? try encoder($0) : nil }
    return environment
  }
}

/// The target lacks what a test needs.
public struct TargetGap: Error, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}

extension TargetFactory {
  /// - Throws: `TargetGap` unless the target can do all of `needed`.
  func require(_ needed: TargetCapabilities) throws {
    let missing = needed.subtracting(capabilities)
    guard !missing.isEmpty else { return }
    let words = TargetCapabilities.names.filter { missing.contains($0.0) }.map(\.1)
    throw TargetGap("the target \(name) lacks \(words.joined(separator: " and "))")
  }

  /// Makes a recorded page table, with its log.
  public func makeRecorded(_ configuration: Configuration, _ options: TargetOptions) throws
    -> any SimulatedTarget
  {
    try require(.eventLog)
    var options = options
    options.isRecorded = true
    guard let table = try make(configuration, options) as? any SimulatedTarget else {
      throw TargetGap("the target \(name) made a page table without an event log")
    }
    return table
  }
}

/// The generic implementation in a simulated machine.
public struct SimulatorFactory: TargetFactory {
  public let name = "sim"
  public let capabilities: TargetCapabilities = [
    .encoder, .eventLog, .faultInjection, .threads, .reclaim, .accounting, .placement, .levels,
    .creationFaults,
  ]

  public init() {}

  public func make(_ configuration: Configuration, _ options: TargetOptions) throws
    -> any PageTableUnderTest
  {
    guard options.isRecorded else {
      return try FormatList.apply(
        MakePlain(configuration: configuration, options: options), to: configuration)
    }
    var simulation = SimulationOptions(physicalBase: options.physicalBase)
    simulation.reserve = options.reserve
    simulation.reclaim = options.reclaim
    simulation.sharing = options.sharing
    simulation.creationBudget = options.creationBudget
    return try FormatList.simulate(configuration, simulation)
  }

  public func encoder(_ configuration: Configuration) throws -> GenericEncoder? {
    try FormatList.encoder(configuration)
  }
}

/// The generic implementation of a format over memory that records nothing: fast, and for several threads.
public final class PlainPageTable<Format: PageTableFormat>: MachineTarget, @unchecked Sendable {
  // Unchecked: all members are constant; the implementation and the memory are made for several threads.
  public let configuration: Configuration
  public let machine: SimulatedMachine
  /// The implementation.
  public let table: GenericPageTable<Format, PlainMemory>

  /// Makes an empty page table in a machine of its own.
  ///
  /// - Throws: `MachineError`, or `LinuxErrno.enomem`.
  public init(_ format: Format, _ configuration: Configuration, _ options: TargetOptions) throws {
    self.configuration = configuration
    machine = try SimulatedMachine(physicalBase: options.physicalBase, reserve: options.reserve)
    let memory = PlainMemory(machine: machine)
    table = try machine.lend(options.creationBudget) {
      try GenericPageTable(format, memory: memory, reclaim: options.reclaim, sharing: options.sharing)
    }
  }

  public var root: TableRoot { table.root }
  public var roots: [TableRoot] { table.roots }
  public var memory: any PhysicalMemoryReader { machine }
  public var tablePages: Int { table.memory.livePages }
  public var keepsNotes: Bool { false }

  public func takeNotes() -> [OperationNote] { [] }
  public func image() throws -> TableImage { try table.image(in: machine) }
  public func perform(_ operation: Operation) -> OperationResult { table.run(operation, machine: machine) }
  public func destroy() { table.destroy() }
}

/// Makes a page table over plain memory.
private struct MakePlain: FormatFunction {
  let configuration: Configuration
  let options: TargetOptions

  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> any PageTableUnderTest {
    try PlainPageTable(format, configuration, options)
  }
}
