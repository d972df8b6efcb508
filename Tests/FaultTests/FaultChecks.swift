// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Reference
import ReferenceSpecs
import Simulator
import Synchronization

@testable import Conformance
@testable import Selftests

/// The checks that a fault is shown to, in the order of the table's columns.
enum FaultCheck: String, CaseIterable, Sendable {
  /// The project's vectors.
  case golden
  /// The same operations on two implementations.
  case compare
  /// The hardware's walk, and the rules of map and unmap, against a model.
  case walker
  /// The log of table memory, accounts, failing allocations, and a device's caches.
  case lifeCycle = "life cycle"

  /// What the check finds wrong; nil for nothing.
  func finding(_ implementation: Implementation) throws -> String? {
    switch self {
    case .golden: try GoldenVectors.finding(implementation)
    case .compare: try Comparisons.finding(implementation)
    case .walker: try SelftestThemes.finding(implementation, [.walker, .semantics])
    case .lifeCycle:
      implementation.legacy == nil
        ? try SelftestThemes.finding(implementation, [.events, .allocfail])
        : try DriverLifeCycle.finding(implementation)
    }
  }

  /// Whether the check is for such an implementation at all: the rules of map and unmap are those of the generic code.
  func applies(to code: Code) -> Bool { self != .walker || code == .generic }
}

/// What several checks need, made once.
enum Shared {
  static let library = SpecificationLibrary.embedded
  static let tests = Selftests.all()
  static let folder = #filePath.replacing("Tests/FaultTests/FaultChecks.swift", with: "Golden")
  private static let references = Mutex<[Configuration: ReferenceFormat]>([:])

  static func reference(_ configuration: Configuration) throws -> ReferenceFormat {
    if let known = references.withLock({ $0[configuration] }) { return known }
    let made = try library.format(configuration)
    references.withLock { $0[configuration] = made }
    return made
  }
}

extension Configuration {
  /// Whether another configuration differs in nothing but whether Linux's refusals are lifted.
  func isLike(_ other: Configuration) -> Bool {
    format == other.format && schema.keys.allSatisfy { text($0.name) == other.text($0.name) }
  }
}

// MARK: - Golden

/// The golden vectors of an implementation's configuration.
enum GoldenVectors {
  private static let plans = Mutex<[String: GoldenPlan]>([:])
  private static let divergences = Result { try Divergences(contentsOf: "\(Shared.folder)/DIVERGENCES.md") }

  static func finding(_ implementation: Implementation) throws -> String? {
    let checker = GoldenChecker(
      environment: environment(implementation), divergences: try divergences.get())
    for group in try plan(implementation).groups where isFor(implementation, group) {
      // Not all of a large group, and in parts, so that it ends soon after the first failure.
      let items = stride(from: 0, to: group.items.count, by: 1 + group.items.count / 400).map {
        group.items[$0]
      }
      for start in stride(from: 0, to: items.count, by: 50) {
        var part = group
        part.items = Array(items[start...].prefix(50))
        let report = checker.check(part)
        if report.outcome == .fail { return report.details().first ?? group.name }
      }
    }
    return nil
  }

  private static func isFor(_ implementation: Implementation, _ group: GoldenGroup) -> Bool {
    guard let legacy = implementation.legacy else {
      return (try? group.configuration.get())?.isLike(implementation.configuration) == true
    }
    return (try? group.legacyConfiguration?.get())?.isLike(legacy) == true
  }

  private static func environment(_ implementation: Implementation) -> GoldenEnvironment {
    var environment = GoldenEnvironment.kit(Shared.library)
    if implementation.legacy != nil {
      environment.legacy?.makeTable = {
        try implementation.make(SimulationOptions(physicalBase: $1), $0)
      }
    } else {
      environment.legacy = nil
      environment.makeTable = { try implementation.make(SimulationOptions(physicalBase: $1), $0) }
      environment.encoder = { try FaultFactory(implementation: implementation).encoder($0) }
    }
    return environment
  }

  /// The vectors of a format, and for a driver those that it left.
  private static func plan(_ implementation: Implementation) throws -> GoldenPlan {
    let format = implementation.configuration.format
    let isLegacy = implementation.legacy != nil
    return try plans.withLock { plans in
      let key = "\(format) \(isLegacy)"
      if let known = plans[key] { return known }
      var plan = GoldenPlan()
      for path in try GoldenPaths.expand([Shared.folder]) {
        let isOwn = path.contains("/\(format)/")
        let isDriver = isLegacy && path.hasSuffix("/legacy-\(format).golden")
        if isOwn || isDriver { plan.add(path: path, environment: .kit(Shared.library)) }
      }
      plans[key] = plan
      return plan
    }
  }
}

// MARK: - Selftests

/// The selftests of a configuration.
enum SelftestThemes {
  static func finding(_ implementation: Implementation, _ themes: Set<SelftestTheme>) throws -> String? {
    let context = SelftestContext(
      seed: 0x5eed, target: FaultFactory(implementation: implementation), library: Shared.library,
      shrinkLimit: 0)
    let text = "\(implementation.configuration)"
    for test in Shared.tests where themes.contains(test.theme) && test.configuration == text {
      if case .fail(let details) = test.run(context) {
        return "\(test.name): \(details.first ?? "")"
      }
    }
    return nil
  }
}

/// Makes page tables for selftests and golden files.
struct FaultFactory: TargetFactory {
  let name = "fault"
  let capabilities = SimulatorFactory().capabilities.subtracting([.threads, .creationFaults])
  let implementation: Implementation

  func make(_ configuration: Configuration, _ options: TargetOptions) throws -> any PageTableUnderTest {
    var simulation = SimulationOptions(physicalBase: options.physicalBase)
    simulation.reserve = options.reserve
    simulation.reclaim = options.reclaim
    return try implementation.make(simulation, configuration)
  }

  func encoder(_ configuration: Configuration) throws -> GenericEncoder? {
    struct Make: FormatFunction {
      let fault: FormatFault?
      func callAsFunction<Format: PageTableFormat>(_ format: Format) -> GenericEncoder {
        fault.map { GenericEncoder(FaultyFormat(format, $0)) } ?? GenericEncoder(format)
      }
    }
    return try FormatList.apply(Make(fault: implementation.fault?.format), to: configuration)
  }
}

// MARK: - A driver's own code

/// What random operations show of a driver's use of memory and of the IOMMU, beyond what the sound driver does: some
/// drivers are known to release tables before the IOTLB is invalidated.
enum DriverLifeCycle {
  static func finding(_ implementation: Implementation) throws -> String? {
    let known = try rules(try implementation.healthy)
    return try rules(implementation).first { known[$0.key] == nil }.map { "\($0.key): \($0.value)" }
  }

  private static func rules(_ implementation: Implementation) throws -> [String: String] {
    let reference = try Shared.reference(implementation.configuration)
    let subject = try Subject(implementation.configuration, reference)
    var found: [String: String] = [:]
    for seed: UInt64 in 0..<3 {
      var options = SimulationOptions(physicalBase: subject.usualBase)
      options.reserve = 64 << 20
      let table = try implementation.make(options)
      var checker = EventChecker(incoherent: table.recorder.isIncoherent)
      var device = DeviceCaches(reference)
      var generator = OperationGenerator(subject, RandomNumbers(seed: seed))
      func see(_ operation: PageTable.Operation) {
        let events = table.recorder.takeEvents()
        for violation in checker.check(events) { found[violation.rule.rawValue] = violation.description }
        for violation in device.end(operation, on: table, events) {
          found[violation.rule.rawValue] = violation.description
        }
      }
      see(.allocationBudget(pages: nil))
      for operation in generator.operations(150) {
        device.begin(operation, on: table)
        _ = table.perform(operation)
        see(operation)
      }
      table.destroy()
      see(.allocationBudget(pages: nil))
      for violation in table.machine.violations + table.machine.verifyReleasedTables() {
        found["misuse"] = "\(violation)"
      }
      if table.tablePages > 0 { found["leak"] = "\(table.tablePages) pages of tables are left" }
    }
    return found
  }
}
