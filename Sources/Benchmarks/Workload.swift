// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable

/// One operation that is timed: a map, and the unmap that undoes it.
public struct Workload: Hashable, Sendable {
  /// Size of each leaf, log2 of bytes.
  public var leafLog2: Int
  /// Leaves mapped by one operation.
  public var leaves: Int

  /// Bytes of one operation.
  var length: UInt64 { UInt64(leaves) << UInt64(leafLog2) }

  /// The workload as people write it: `4K`, `256 × 2M`.
  public var name: String {
    let size = Numbers.size(1 << UInt64(leafLog2))
    return leaves == 1 ? size : "\(leaves) × \(size)"
  }

  /// A page, 256 pages (128 of armv7s), a block of level 1, as many of them, and a block of level 2, as far as the format has
  /// them.
  static func all<Format: PageTableFormat, Memory: TableMemory>(
    for table: GenericPageTable<Format, Memory>
  ) -> [Workload] {
    let sizes = (0...2).map { Format.itemLog2(level: $0) }
    // A run stays within one table, whose first word it leaves free.
    let run = min(256, (1 << Format.indexBits) / 2)
    let candidates = [
      Workload(leafLog2: sizes[0], leaves: 1), Workload(leafLog2: sizes[0], leaves: run),
      Workload(leafLog2: sizes[1], leaves: 1), Workload(leafLog2: sizes[1], leaves: run),
      Workload(leafLog2: sizes[2], leaves: 1),
    ]
    return candidates.filter { table.pageSizes & 1 << UInt64($0.leafLog2) != 0 }
  }

  /// Where the `count` operations of a round start: each in a table of its own as far as runs go, pages and blocks one
  /// after the other. The first granule of every table stays free, so that nothing merges into a larger leaf.
  func addresses(
    count: Int, indexBits: Int, within aperture: ClosedRange<UInt64>
  ) -> [(iova: UInt64, pa: UInt64)] {
    let leaf: UInt64 = 1 << UInt64(leafLog2)
    let stride = leaves == 1 ? leaf : leaf << UInt64(indexBits)
    let space = aperture.upperBound - aperture.lowerBound
    return (0..<count).compactMap { position in
      let offset = UInt64(position) &* stride &+ leaf
      // An odd number of leaves between IOVA and output address rules out every larger leaf.
      return offset + length - 1 <= space ? (aperture.lowerBound + offset, offset &+ leaf) : nil
    }
  }
}
