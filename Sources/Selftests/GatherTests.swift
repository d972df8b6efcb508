// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Simulator

/// Several unmaps whose invalidation is left to one sync, as DMA and VFIO do it (Linux: iommu_unmap_fast() and
/// iommu_iotlb_sync()), and as a flush queue does, which invalidates everything. Until the sync no table may be released
/// that a device's caches can lead to; after it nothing that was gathered may be translated, and everything gathered is
/// released. A twin that synchronises every unmap says what each returns, and how many tables remain.
enum GatherTests {
  static func tests(_ configuration: Configuration) -> [Selftest] {
    [
      Selftest(.events, [configuration.slug, "gather"], configuration: configuration) { context in
        try context.target.require(.eventLog)
        let subject = try context.subject(configuration)
        for isQueued in [false, true] {
          for steps in GatherScripts.fixed(subject) {
            try GatherRun(subject, context.target, isQueued: isQueued).run(steps)
          }
          var random = RandomNumbers(seed: context.seed, name: "gather.\(configuration.slug).\(isQueued)")
          for _ in 0..<4 {
            try GatherRun(subject, context.target, isQueued: isQueued)
              .run(GatherScripts.random(subject, &random))
          }
        }
        return .pass
      }
    ]
  }
}

/// A part of such a test.
enum GatherStep: Hashable, CustomStringConvertible {
  /// An operation that ends with its own sync.
  case alone(Operation)
  /// An unmap or a reading of dirty bits that is gathered.
  case gathered(Operation)
  case sync

  var description: String {
    switch self {
    case .alone(let operation): "\(operation)"
    case .gathered(let operation): "\(operation), gathered"
    case .sync: "sync"
    }
  }
}

/// One page table, its log and its device during the steps of a test.
private final class GatherRun {
  private let subject: Subject
  private let table: any GatheringTarget
  private let twin: any SimulatedTarget
  private let isQueued: Bool
  private var checker: EventChecker
  private var device: DeviceCaches
  private var steps: [GatherStep] = []
  /// What was removed or made clean and no invalidation has covered yet, and all of it since the last sync.
  private var pending: [ClosedRange<UInt64>] = []
  private var removed: [Operation] = []

  init(_ subject: Subject, _ target: any TargetFactory, isQueued: Bool) throws {
    self.subject = subject
    self.isQueued = isQueued
    guard
      let table = try target.makeRecorded(subject.configuration, subject.options) as? any GatheringTarget
    else { throw TargetGap("the page tables of the target \(target.name) gather nothing") }
    self.table = table
    twin = try target.makeRecorded(subject.configuration, subject.options)
    checker = EventChecker(incoherent: subject.isIncoherent)
    device = DeviceCaches(subject.reference)
  }

  func run(_ steps: [GatherStep]) throws {
    try follow(nil)
    for step in steps {
      self.steps.append(step)
      switch step {
      case .alone(let operation): try perform(operation)
      case .gathered(let operation): try gather(operation)
      case .sync: try synchronize()
      }
    }
    table.destroy()
    twin.destroy()
    try follow(nil)
    guard table.tablePages == 0 else {
      throw failure("\(table.tablePages) pages of tables are left when all are released")
    }
  }

  private func perform(_ operation: Operation) throws {
    device.begin(operation, on: table)
    try compare(table.perform(operation), operation)
    // A neighbour may have been gathered, so nothing is said of what the device still has.
    try follow(removed.isEmpty ? operation : nil)
  }

  private func gather(_ operation: Operation) throws {
    device.begin(operation, on: table)
    let result = table.perform(gathered: operation, isQueued: isQueued)
    try compare(result, operation)
    switch (operation, result) {
    case (.unmap(let iova, _), .unmapped(let bytes)) where bytes > 0:
      pending.append(iova...(iova &+ (bytes - 1)))
      removed.append(operation)
      // The first and the last page: of those at the end of the address space, some code cannot look up the last byte.
      for page in [iova, iova &+ (bytes - subject.granule)]
      where table.perform(.phys(iova: page)) != .physical(nil) {
        throw failure("\(Numbers.hex(page)) was unmapped, and the page table still translates it")
      }
    case (.dirty(_, _, clear: true), .dirty(let ranges)):
      pending += ranges.map { $0.iova...($0.iova &+ ($0.length - 1)) }
    default: break
    }
    try follow(nil)
  }

  private func synchronize() throws {
    table.synchronizeGather()
    try follow(nil)
    if let missing = pending.first {
      throw failure("\(Numbers.hex(missing.lowerBound)) was gathered, and no invalidation covers it")
    }
    for operation in removed {
      if let stale = device.end(operation, on: table, []).first { throw failure(stale.description) }
    }
    removed = []
    guard table.tablePages == twin.tablePages else {
      throw failure(
        "after the sync there are \(table.tablePages) pages of tables; with a sync in each unmap, \(twin.tablePages)"
      )
    }
  }

  private func compare(_ result: OperationResult, _ operation: Operation) throws {
    let alone = twin.perform(operation)
    guard result != alone else { return }
    throw failure("\(operation): \(result.text); with a sync of its own, \(alone.text)")
  }

  /// Hands over what happened to table memory, to the rules and to the device's caches.
  private func follow(_ operation: Operation?) throws {
    let events = table.recorder.takeEvents()
    for event in events {
      if case .sync(let request) = event, request.first <= request.last {
        pending = pending.flatMap { $0.without(request.first...request.last) }
      }
    }
    let broken = checker.check(events)
    let stale = device.end(operation ?? .allocationBudget(pages: nil), on: table, events)
    if let problem = broken.first?.description ?? stale.first?.description { throw failure(problem) }
  }

  private func failure(_ problem: String) -> SelftestFailure {
    let title =
      isQueued ? "with a flush queue, on \(subject.configuration):" : "on \(subject.configuration):"
    return SelftestFailure(details: [problem, title] + steps.map { "  \($0)" })
  }
}

extension ClosedRange<UInt64> {
  /// What is left of the range without another.
  fileprivate func without(_ other: ClosedRange<UInt64>) -> [ClosedRange<UInt64>] {
    guard overlaps(other) else { return [self] }
    var left: [ClosedRange<UInt64>] = []
    if lowerBound < other.lowerBound { left.append(lowerBound...(other.lowerBound - 1)) }
    if upperBound > other.upperBound { left.append((other.upperBound + 1)...upperBound) }
    return left
  }
}
