// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What the operations of a case left mapped, by their results alone: a plain list of ranges, against
/// which walks are checked.
struct GoldenMappings {
  /// A range of IOVA, `first` to `last` inclusive, and where it leads.
  struct Range: Hashable {
    var first: UInt64
    var last: UInt64
    /// The output address of `first`.
    var address: UInt64
    var protection: Protection
  }

  /// The ranges, ascending and without overlap.
  private(set) var ranges: [Range] = []

  init(_ steps: [GoldenCase.Step]) {
    for step in steps { apply(step.operation, step.result) }
  }

  /// Whether any range holds `iova`.
  func contains(_ iova: UInt64) -> Bool {
    ranges.contains { $0.first <= iova && iova <= $0.last }
  }

  private mutating func apply(_ operation: Operation, _ result: OperationResult) {
    switch (operation, result) {
    case (.map(let iova, let pa, let length, let protection), .ok):
      add(iova, length, pa, protection)
    case (.mapRange(let iova, let pa, _, let protection), .okMapped(let length)),
      (.mapRange(let iova, let pa, _, let protection), .failedMapped(_, let length)),
      (.mapPages(let iova, let pa, _, _, let protection), .okMapped(let length)),
      (.mapPages(let iova, let pa, _, _, let protection), .failedMapped(_, let length)):
      add(iova, length, pa, protection)
    case (.unmap(let iova, _), .unmapped(let length)), (.unmapPages(let iova, _, _), .unmapped(let length)):
      remove(iova, length)
    default: break
    }
  }

  private mutating func add(_ first: UInt64, _ length: UInt64, _ address: UInt64, _ protection: Protection) {
    guard length > 0 else { return }
    remove(first, length)
    let range = Range(first: first, last: first &+ (length &- 1), address: address, protection: protection)
    let position = ranges.firstIndex { $0.first > first } ?? ranges.endIndex
    ranges.insert(range, at: position)
  }

  private mutating func remove(_ first: UInt64, _ length: UInt64) {
    guard length > 0 else { return }
    let (sum, overflow) = first.addingReportingOverflow(length &- 1)
    let last = overflow ? UInt64.max : sum
    ranges = ranges.flatMap { range -> [Range] in
      if range.last < first || range.first > last { return [range] }
      var rest: [Range] = []
      if range.first < first {
        var left = range
        left.last = first &- 1
        rest.append(left)
      }
      if range.last > last {
        var right = range
        right.first = last &+ 1
        right.address = range.address &+ (right.first &- range.first)
        rest.append(right)
      }
      return rest
    }
  }
}
