// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The leaves of an address space in ascending order, none over another.
package struct LeafList: Hashable, Sendable {
  /// One leaf.
  package struct Leaf: Hashable, Sendable {
    /// Its first IOVA and its size, in bytes.
    package var start: UInt64
    package var size: UInt64
    /// The output address of its first byte.
    package var pa: UInt64
    package var protection: Protection
    package var isDirty: Bool

    package init(start: UInt64, size: UInt64, pa: UInt64, protection: Protection, isDirty: Bool) {
      self.start = start
      self.size = size
      self.pa = pa
      self.protection = protection
      self.isDirty = isDirty
    }

    /// Its last IOVA, inclusive.
    package var last: UInt64 { start &+ (size &- 1) }
  }

  /// The leaves.
  package private(set) var leaves: [Leaf] = []

  package init() {}

  package var count: Int { leaves.count }

  /// Where the first leaf stands that ends at or behind an IOVA.
  package func firstIndex(endingFrom iova: UInt64) -> Int {
    var low = 0
    var high = leaves.count
    while low < high {
      let middle = (low &+ high) / 2
      if leaves[middle].last < iova { low = middle &+ 1 } else { high = middle }
    }
    return low
  }

  /// The leaf that maps an IOVA.
  package func leaf(at iova: UInt64) -> Leaf? {
    let index = firstIndex(endingFrom: iova)
    return index < leaves.count && leaves[index].start <= iova ? leaves[index] : nil
  }

  /// The places of the leaves that a range touches, both ends inclusive.
  package func indices(from first: UInt64, to last: UInt64) -> Range<Int> {
    let start = firstIndex(endingFrom: first)
    var end = start
    while end < leaves.count, leaves[end].start <= last { end += 1 }
    return start..<end
  }

  /// The leaves that a range touches, both ends inclusive.
  package func leaves(from first: UInt64, to last: UInt64) -> ArraySlice<Leaf> {
    leaves[indices(from: first, to: last)]
  }

  /// Adds leaves, ascending, all of them between the same two neighbours.
  package mutating func insert(_ added: [Leaf]) {
    guard let first = added.first else { return }
    leaves.insert(contentsOf: added, at: firstIndex(endingFrom: first.start))
  }

  /// Removes the leaves at some places.
  package mutating func remove(_ indices: Range<Int>) { leaves.removeSubrange(indices) }

  /// Removes the leaves that a range touches, both ends inclusive.
  package mutating func remove(from first: UInt64, to last: UInt64) {
    leaves.removeSubrange(indices(from: first, to: last))
  }

  /// Changes one leaf's dirty state.
  package mutating func setDirty(_ isDirty: Bool, at index: Int) { leaves[index].isDirty = isDirty }
}
