// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// A handful of addresses, sizes and protections whose every combination is tried.
///
/// Looking up an address changes nothing and is done at both ends of every operation, so only maps and unmaps are here.
struct SmallWorld {
  /// The operations.
  let operations: [Operation]

  init(_ subject: Subject) {
    let sizes = Array(Set(subject.sizes.prefix(2) + [subject.largest])).sorted()
    let protections: [Protection] = [[.read, .write], .read]
    var operations: [Operation] = []
    for size in sizes {
      for place in Self.places(subject, size) {
        for (number, protection) in protections.enumerated() {
          let pa = (UInt64(number + 1) &* 0x5_4000_0000) & subject.outputMask & ~(size - 1)
          operations.append(.map(iova: place, pa: pa, length: size, protection: protection))
        }
        operations.append(.unmap(iova: place, length: size))
      }
    }
    self.operations = operations
  }

  /// The start of the space, the last page of a table, the first of the next, and the end of the space, cut down to a
  /// size's alignment.
  private static func places(_ subject: Subject, _ size: UInt64) -> [UInt64] {
    let span = subject.spans[0]
    var places = [span.lowerBound]
    if let shift = subject.reference.shift(level: 1), shift < 63,
      span.contains(span.lowerBound &+ Bits.bit(shift))
    {
      let border = span.lowerBound &+ Bits.bit(shift)
      places += [border &- subject.granule, border]
    }
    places.append(subject.spans[subject.spans.count - 1].upperBound)
    var seen: Set<UInt64> = []
    return places.map { $0 & ~(size - 1) }.filter { seen.insert($0).inserted }
  }
}

extension CompareSession {
  /// Runs `start`, then every sequence of operations behind it, `depth` in all. After each branch, what it changed is
  /// undone by operations that are compared, too; tables that this leaves empty stay.
  ///
  /// - Throws: `Difference`.
  func performAll(_ start: [Operation], then alphabet: [Operation], depth: Int) throws(Difference) {
    for operation in start {
      let before = leaves
      try perform(operation)
      if depth > 1 { try performAll(alphabet, then: alphabet, depth: depth - 1) }
      try restore(before)
    }
  }

  /// Unmaps what is mapped.
  ///
  /// - Throws: `Difference`.
  func clear() throws(Difference) { try restore(LeafList()) }

  private func restore(_ wanted: LeafList) throws(Difference) {
    if leaves == wanted { return }
    let old = Set(wanted.leaves)
    for leaf in leaves.leaves where !old.contains(leaf) {
      try perform(.unmap(iova: leaf.start, length: leaf.size))
    }
    for leaf in wanted.leaves where leaves.leaf(at: leaf.start) != leaf {
      try perform(.map(iova: leaf.start, pa: leaf.pa, length: leaf.size, protection: leaf.protection))
    }
  }
}
