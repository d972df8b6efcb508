// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// What a side must return and hold, kept without any table.
protocol Predictor {
  /// What is mapped.
  var leaves: LeafList { get }
  /// The rules by which the last operation may differ from the generic algorithms'.
  var notes: [LegacyRule] { get }
  /// The rule by which the last operation must not be run; the model then is of no use any more.
  var skipped: LegacyRule? { get }
  /// The last IOVA that the last operation may have changed beyond its range, where it did.
  var overshoot: UInt64? { get }

  /// Runs an operation and returns what it must return.
  mutating func perform(_ operation: Operation) -> OperationResult

  /// What a leaf means to the hardware.
  func meaning(size: UInt64, _ protection: Protection) -> LeafMeaning?

  /// Forgets the leaves that a range touches, both ends inclusive.
  mutating func forget(from first: UInt64, to last: UInt64)
}

extension MappingModel: Predictor {
  var notes: [LegacyRule] { [] }
  var skipped: LegacyRule? { nil }
  var overshoot: UInt64? { nil }

  func meaning(size: UInt64, _ protection: Protection) -> LeafMeaning? {
    subject.meaning(size: size, protection)
  }

  mutating func forget(from first: UInt64, to last: UInt64) { remove(from: first, to: last) }
}

extension LeafList {
  /// Whether two lists map the same within a range, whatever the leaves' sizes; both ends inclusive.
  func mapsSame(as other: LeafList, from first: UInt64, to last: UInt64) -> Bool {
    let left = leaves(from: first, to: last)
    let right = other.leaves(from: first, to: last)
    if left == right { return true }
    return Self.extents(left, first, last) == Self.extents(right, first, last)
  }

  /// A range and the leaves that it touches, both ends inclusive.
  func hull(_ first: UInt64, _ last: UInt64) -> ClosedRange<UInt64> {
    let touched = leaves(from: first, to: last)
    return min(first, touched.first?.start ?? first)...max(last, touched.last?.last ?? last)
  }

  /// Leaves that follow each other in both address spaces, joined and cut to a range. Dirty state is not looked at.
  private static func extents(_ leaves: ArraySlice<Leaf>, _ first: UInt64, _ last: UInt64) -> [Leaf] {
    var extents: [Leaf] = []
    for var leaf in leaves {
      leaf.isDirty = false
      let end = min(leaf.last, last)
      if leaf.start < first {
        leaf.pa = leaf.pa &+ (first - leaf.start)
        leaf.start = first
      }
      leaf.size = end - leaf.start &+ 1
      if let end = extents.last, end.start &+ end.size == leaf.start, end.pa &+ end.size == leaf.pa,
        end.protection == leaf.protection
      {
        extents[extents.count - 1].size += leaf.size
      } else {
        extents.append(leaf)
      }
    }
    return extents
  }
}

extension Operation {
  /// The IOVAs that the operation is about, both ends inclusive and cut at the end of 64 bits; nil for none.
  public var reach: ClosedRange<UInt64>? {
    let (iova, length): (UInt64, UInt64)
    switch self {
    case .map(let start, _, let bytes, _), .mapRange(let start, _, let bytes, _),
      .unmap(let start, let bytes),
      .dirty(let start, let bytes, _):
      (iova, length) = (start, bytes)
    case .mapPages(let start, _, let size, let count, _), .unmapPages(let start, let size, let count):
      (iova, length) = (start, size &* count)
    case .setDirty(let start), .phys(let start): (iova, length) = (start, 1)
    case .allocationBudget: return nil
    }
    let (last, wraps) = iova.addingReportingOverflow(max(length, 1) - 1)
    return iova...(wraps ? .max : last)
  }
}
