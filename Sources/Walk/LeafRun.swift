// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Leaves that abut in IOVA and output address and grant the same, as one mapping.
public struct LeafRun: Sendable {
  public var iova: UInt64
  public var pa: UInt64
  public var length: UInt64
  public var leaves: [ScannedLeaf]

  /// The last IOVA.
  public var last: UInt64 { iova &+ (length &- 1) }

  /// What the paths permit, and the other flags: `rw`, `r`, `w` or `-`, then flags.
  public var access: String {
    guard let leaf = leaves.first else { return "-" }
    var words = [(leaf.read ? "r" : "") + (leaf.write ? "w" : "")].map { $0.isEmpty ? "-" : $0 }
    words += Protection.namedFlags.filter { leaf.protection.contains($0.flag) }.map(\.name)
    return words.joined(separator: ",")
  }

  /// How many leaves of each size there are, for example `512x4K 1x2M`.
  public var sizes: String {
    var counts: [UInt64: Int] = [:]
    for leaf in leaves { counts[leaf.size, default: 0] += 1 }
    return counts.sorted { $0.key < $1.key }.map { "\($0.value)x\(Numbers.size($0.key))" }.joined(
      separator: " ")
  }

  /// The runs of some leaves, ascending.
  public static func runs(of leaves: [ScannedLeaf]) -> [LeafRun] {
    var runs: [LeafRun] = []
    for leaf in leaves.sorted(by: { $0.iova < $1.iova }) {
      if let run = runs.last, let before = run.leaves.last, leaf.iova == run.iova &+ run.length,
        leaf.pa == run.pa &+ run.length, leaf.protection == before.protection, leaf.read == before.read,
        leaf.write == before.write
      {
        runs[runs.count - 1].length &+= leaf.size
        runs[runs.count - 1].leaves.append(leaf)
      } else {
        runs.append(LeafRun(iova: leaf.iova, pa: leaf.pa, length: leaf.size, leaves: [leaf]))
      }
    }
    return runs
  }
}
