// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Simulator

/// A device behind one page table: it accesses the ends and the surroundings of what each operation is about, before
/// and after, and its caches must answer as walks do.
public struct DeviceCaches {
  private let reference: ReferenceFormat
  private var caches: TranslationCaches

  public init(_ reference: ReferenceFormat) {
    self.reference = reference
    caches = TranslationCaches(walker: reference)
  }

  /// Before an operation on `table`.
  public mutating func begin(_ operation: Operation, on table: any PageTableUnderTest) {
    guard let range = operation.addresses else { return }
    caches.touch(places(of: range), roots: table.roots, memory: table.memory)
  }

  /// After an operation on `table`, with the events of its memory since the last call.
  ///
  /// - Returns: what is stale now, and which tables were released too early.
  public mutating func end(
    _ operation: Operation, on table: any PageTableUnderTest, _ events: [MemoryEvent]
  ) -> [CacheViolation] {
    let late = caches.apply(events)
    guard let range = operation.addresses else { return late }
    return late
      + caches.check(
        places(of: range), first: range.lowerBound, last: range.upperBound, roots: table.roots,
        memory: table.memory)
  }

  /// Where the device accesses: both ends and the middle of a range, its neighbours, and where it first and last
  /// passes from one table to the next.
  private func places(of range: ClosedRange<UInt64>) -> [UInt64] {
    let (first, last) = (range.lowerBound, range.upperBound)
    var places = [first, last, first &- 1, last &+ 1, first &+ (last &- first) / 2]
    for level in 1..<max(1, reference.levelCount) {
      guard let shift = reference.shift(level: level), shift < 64 else { break }
      let (end, start) = (first | Bits.lowMask(shift), last & ~Bits.lowMask(shift))
      if end >= last { break }
      places += [end, end &+ 1]
      if start != end &+ 1 { places += [start &- 1, start] }
    }
    return places
  }
}

extension Operation {
  /// The addresses that the operation is about; those up to the end of the 64-bit space where the range wraps.
  fileprivate var addresses: ClosedRange<UInt64>? {
    func range(_ iova: UInt64, _ length: UInt64) -> ClosedRange<UInt64> {
      let (last, wraps) = iova.addingReportingOverflow(length == 0 ? 0 : length - 1)
      return iova...(wraps ? .max : last)
    }
    switch self {
    case .map(let iova, _, let length, _), .mapRange(let iova, _, let length, _),
      .unmap(let iova, let length), .dirty(let iova, let length, _):
      return range(iova, length)
    case .mapPages(let iova, _, let pageSize, let count, _), .unmapPages(let iova, let pageSize, let count):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      return range(iova, overflow ? .max : length)
    case .setDirty(let iova): return iova...iova
    case .phys, .allocationBudget: return nil
    }
  }
}
