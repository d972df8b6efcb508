// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// An operation between its begin and its end.
struct OperationInFlight {
  let begin: LoggedEvent
  let operation: Operation
  /// The ranges that were synced meanwhile, both ends inclusive.
  var syncs: [ClosedRange<UInt64>] = []

  /// The first of `length` bytes from `first` on that no sync covers.
  func uncovered(_ first: UInt64, length: UInt64) -> UInt64? {
    guard length > 0 else { return nil }
    let (last, overflow) = first.addingReportingOverflow(length - 1)
    return uncovered(first, overflow ? .max : last)
  }

  /// The first address from `first` to `last` that no sync covers.
  func uncovered(_ first: UInt64, _ last: UInt64) -> UInt64? {
    var next = first
    for range in syncs.sorted(by: { $0.lowerBound < $1.lowerBound }) where range.upperBound >= next {
      if range.lowerBound > next { break }
      if range.upperBound >= last { return nil }
      next = range.upperBound + 1
    }
    return next
  }
}

extension Operation {
  /// Whether the operation's writes need no cache flush: those of a device go to memory, and dirty state that
  /// both sides change cannot work with a walker that does not snoop, so Linux does not flush it either
  /// (drivers/iommu/generic_pt/iommu_pt.h).
  var writesNeedNoFlush: Bool {
    switch self {
    case .setDirty, .dirty: true
    default: false
    }
  }
}

extension EventChecker {
  mutating func synchronize(_ request: InvalidationRequest, _ logged: LoggedEvent) {
    lastSync = logged
    announced = operations.count == 1 ? request.released : nil
    if request.first > request.last {
      report(.syncRange, "a sync of \(Numbers.hex(request.first)) to \(Numbers.hex(request.last))", [logged])
    } else {
      for id in operations.keys { operations[id]?.syncs.append(request.first...request.last) }
    }
    guard operations.count < 2 else { return }
    for table in waiting.sorted().compactMap({ tables[$0] }) where table.isReachable {
      guard let offset = table.unflushedClears.firstOffset else { continue }
      report(
        .flushBeforeSync,
        "a sync before the cleared entry near offset \(Numbers.hex(offset)) of \(Numbers.hex(table.physical)) is flushed",
        [table.lastWrite, logged])
    }
  }

  mutating func begin(_ id: Int, _ operation: Operation, _ logged: LoggedEvent) {
    operations[id] = OperationInFlight(begin: logged, operation: operation)
    announced = nil
  }

  mutating func end(_ id: Int, _ result: OperationResult, _ logged: LoggedEvent) {
    announced = nil
    if let ended = operations.removeValue(forKey: id) { checkCover(of: ended, result, logged) }
    guard operations.isEmpty else { return }
    for table in waiting.sorted().compactMap({ tables[$0] }) where table.isReachable {
      guard let offset = table.unflushed.firstOffset else { continue }
      report(
        .flushByEndOfOperation,
        "offset \(Numbers.hex(offset)) of the table \(Numbers.hex(table.physical)) is not flushed",
        [table.lastWrite, logged])
    }
  }

  private mutating func checkCover(
    of ended: OperationInFlight, _ result: OperationResult, _ logged: LoggedEvent
  ) {
    switch (ended.operation, result) {
    case (.unmap(let iova, _), .unmapped(let bytes)), (.unmapPages(let iova, _, _), .unmapped(let bytes)):
      guard let missing = ended.uncovered(iova, length: bytes) else { return }
      report(
        .unmapIsSynced, "\(Numbers.hex(missing)) was unmapped, and no sync covers it", [ended.begin, logged])
    case (.dirty(_, _, clear: true), .dirty(let ranges)):
      guard let missing = ranges.lazy.compactMap({ ended.uncovered($0.iova, length: $0.length) }).first
      else { return }
      report(
        .clearedDirtyIsSynced, "\(Numbers.hex(missing)) was made clean, and no sync covers it",
        [ended.begin, logged])
    default: return
    }
  }
}
