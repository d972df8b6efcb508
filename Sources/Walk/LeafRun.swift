// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Leaves that abut in IOVA and output address and grant the same, as one mapping.
public struct LeafRun: Sendable {
  /// Its first leaf.
  public let first: ScannedLeaf
  /// The length in bytes.
  public private(set) var length: UInt64
  /// How many leaves of each size there are.
  private var counts: [UInt64: Int]

  private init(_ leaf: ScannedLeaf) {
    first = leaf
    length = leaf.size
    counts = [leaf.size: 1]
  }

  /// The first and the last IOVA, and the first output address.
  public var iova: UInt64 { first.iova }
  public var last: UInt64 { first.iova &+ (length &- 1) }
  public var pa: UInt64 { first.pa }

  /// What the paths permit, and the other flags: `rw`, `r`, `w` or `-`, then flags.
  public var access: String {
    let rights = (first.read ? "r" : "") + (first.write ? "w" : "")
    let flags = Protection.namedFlags.filter { first.protection.contains($0.flag) }.map(\.name)
    return ([rights.isEmpty ? "-" : rights] + flags).joined(separator: ",")
  }

  /// How many leaves of each size there are, in text: `512x4K 1x2M`.
  public var sizes: String {
    counts.sorted { $0.key < $1.key }.map { "\($0.value)x\(Numbers.size($0.key))" }.joined(separator: " ")
  }

  private func continues(with leaf: ScannedLeaf) -> Bool {
    leaf.iova == first.iova &+ length && leaf.pa == first.pa &+ length && leaf.protection == first.protection
      && leaf.read == first.read && leaf.write == first.write
  }

  /// The runs of some leaves, ascending.
  public static func runs(of leaves: [ScannedLeaf]) -> [LeafRun] {
    var runs: [LeafRun] = []
    for leaf in leaves.sorted(by: { $0.iova < $1.iova }) {
      let index = runs.count - 1
      if index >= 0, runs[index].continues(with: leaf) {
        runs[index].length &+= leaf.size
        runs[index].counts[leaf.size, default: 0] += 1
      } else {
        runs.append(LeafRun(leaf))
      }
    }
    return runs
  }
}
