// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Simulator

/// One side's page table while it runs, with what is known of its memory.
final class LiveSide {
  let name: String
  let table: any SimulatedTarget
  private(set) var tracker: TableTracker
  /// The operations that the side really ran.
  private(set) var operations: [Operation] = []
  /// Stale translations in the IOTLB and the paging-structure caches.
  private var caches: TranslationWatch?
  private var checker: EventChecker
  /// Events that the checker has not seen yet.
  private var pending: [MemoryEvent] = []

  private let checksLifeCycle: Bool

  init(
    name: String, _ table: any SimulatedTarget, _ reference: ReferenceFormat, checksLifeCycle: Bool
  ) {
    self.checksLifeCycle = checksLifeCycle
    self.name = name
    self.table = table
    tracker = TableTracker(reference, table.machine)
    checker = EventChecker(incoherent: table.recorder.isIncoherent)
    caches = checksLifeCycle ? TranslationWatch(reference) : nil
    digest()
    tracker.placeRoots(table.roots)
    _ = tracker.takeTouched()
  }

  /// Runs an operation and takes in what it did.
  func perform(_ operation: Operation) -> OperationResult {
    operations.append(operation)
    let result = table.perform(operation)
    digest()
    return result
  }

  /// As `perform`, for a question that changes nothing and need not be seen again.
  func phys(_ iova: UInt64) -> UInt64? {
    guard case .physical(let address) = table.perform(.phys(iova: iova)) else { return nil }
    return address
  }

  func takeTouched() -> [WordSpan] { tracker.takeTouched() }

  private func digest() {
    let events = table.recorder.takeEvents()
    tracker.digest(events, roots: table.roots)
    guard checksLifeCycle else { return }
    caches?.digest(events)
    pending += events
  }

  // MARK: Checks

  /// A device accesses addresses.
  func access(_ addresses: [UInt64]) { caches?.access(addresses, table) }

  /// What the caches still say about addresses or a range and must not, or nil.
  func staleTranslation(_ addresses: [UInt64], _ reach: ClosedRange<UInt64>) -> String? {
    caches?.stale(addresses, reach, table)
  }

  /// What is wrong with the events since the last call, or nil.
  func lifeCycleProblem() -> String? {
    guard checksLifeCycle else { return nil }
    defer { pending.removeAll(keepingCapacity: true) }
    if let violation = checker.check(pending).first { return violation.description }
    return table.machine.violations.first?.description
  }

  /// Releases everything; what is wrong with that, or nil.
  func finish() -> String? {
    table.destroy()
    guard checksLifeCycle else { return nil }
    pending += table.recorder.takeEvents()
    if let problem = lifeCycleProblem() { return problem }
    if let violation = table.machine.verifyReleasedTables().first { return violation.description }
    let left = table.tablePages
    return left == 0 ? nil : "\(left) pages of tables are left when all are released"
  }
}
