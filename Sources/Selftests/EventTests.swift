// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

/// Random operations, allocation failures among them, after which the log of table memory must show no broken
/// rule: flushed before it can be walked, synced before it is released or used again, never released while it can
/// be reached; and after each of which a device's IOTLB and paging-structure caches must answer as walks do.
enum EventTests {
  /// Operations on each page table.
  static let operationCount = 60

  static func tests(_ configuration: Configuration) -> [Selftest] {
    [
      Selftest(.events, [configuration.slug], configuration: configuration) { context in
        try context.target.require(.eventLog)
        let subject = try context.subject(configuration)
        for (index, options) in setups(subject, context.target).enumerated() {
          var random = RandomNumbers(seed: context.seed, name: "events.\(configuration.slug).\(index)")
          let operations = withFailures(subject, context.target, &random)
          try check(try permitted(operations, subject, context.target, options), subject, context, options)
        }
        return .pass
      }
    ]
  }

  private static func setups(_ subject: Subject, _ target: any TargetFactory) -> [TargetOptions] {
    let policies: [Reclaim] =
      target.capabilities.contains(.reclaim) ? [.never, .eager, .bounded(3)] : [.never]
    return policies.map { policy in
      var options = subject.options
      options.reclaim = policy
      return options
    }
  }

  /// Random operations, some of which find little memory.
  private static func withFailures(
    _ subject: Subject, _ target: any TargetFactory, _ random: inout RandomNumbers
  ) -> [Operation] {
    var generator = OperationGenerator(subject, RandomNumbers(seed: random.next()))
    let operations = dirtyState(subject) + generator.operations(operationCount)
    guard target.capabilities.contains(.faultInjection) else { return operations }
    return operations.flatMap { operation -> [Operation] in
      guard case .map = operation, random.chance(20) else { return [operation] }
      return [.allocationBudget(pages: random.below(4)), operation, .allocationBudget(pages: nil)]
    }
  }

  /// The operations that callers may ask for: on drivers' own code, those that its contract says something of. What it
  /// does with the others is history (docs/legacy.md).
  private static func permitted(
    _ operations: [Operation], _ subject: Subject, _ target: any TargetFactory, _ options: TargetOptions
  ) throws -> [Operation] {
    guard try target.driver(of: subject.configuration) != nil else { return operations }
    let session = try Session(subject, target, options)
    return operations.filter { session.runsIfPermitted($0) }
  }

  /// A device writes to some pages, which random operations hardly do between a map and a reading that clears.
  private static func dirtyState(_ subject: Subject) -> [Operation] {
    guard subject.tracksDirty else { return [] }
    let place = subject.place(subject.granule * 64)
    let length = subject.granule * 4
    let small: [Operation] = [
      .map(iova: place, pa: subject.granule, length: length, protection: [.read, .write]),
      .setDirty(iova: place), .setDirty(iova: place + subject.granule * 2),
      .dirty(iova: place, length: length, clear: true), .unmap(iova: place, length: length),
    ]
    guard let size = subject.plainSizes.dropFirst().first, subject.hasRoom(size) else { return small }
    let large = subject.place(size)
    return small + [
      .map(iova: large, pa: 0, length: size, protection: [.read, .write]),
      .setDirty(iova: large + size - subject.granule),
      .dirty(iova: large + subject.granule, length: subject.granule, clear: true),
      .unmap(iova: large, length: size),
    ]
  }

  private static func check(
    _ operations: [Operation], _ subject: Subject, _ context: SelftestContext, _ options: TargetOptions
  ) throws {
    let target = context.target
    guard let first = try problem(operations, subject, target, options) else { return }
    let fewer = Shrinker.minimize(operations, limit: context.shrinkLimit) { part in
      (try? problem(part, subject, target, options)) ?? nil != nil
    }
    let found = try problem(fewer, subject, target, options) ?? first
    throw SelftestFailure(
      details: [found] + Reproducer.lines(subject.configuration, fewer, options))
  }

  /// The first broken rule.
  private static func problem(
    _ operations: [Operation], _ subject: Subject, _ target: any TargetFactory, _ options: TargetOptions
  ) throws -> String? {
    let table = try target.makeRecorded(subject.configuration, options)
    var checker = EventChecker(incoherent: subject.isIncoherent)
    var device = DeviceCaches(subject.reference)
    func problem(_ operation: Operation?) -> String? {
      let events = table.recorder.takeEvents()
      let broken = checker.check(events)
      // The caches also follow what comes between operations.
      let stale = device.end(operation ?? .allocationBudget(pages: nil), on: table, events)
      return broken.first?.description ?? stale.first?.description
    }
    if let found = problem(nil) { return found }
    for operation in operations {
      device.begin(operation, on: table)
      _ = table.perform(operation)
      if let found = problem(operation) { return found }
    }
    table.destroy()
    if let found = problem(nil) { return found }
    if let violation = (table.machine.violations + table.machine.verifyReleasedTables()).first {
      return violation.description
    }
    return table.tablePages == 0 ? nil : "\(table.tablePages) pages of tables are left when all are released"
  }
}
