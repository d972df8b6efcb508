// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Expected mappings in ascending order, those that abut in both addresses joined: a leaf may span several.
struct ExpectedRuns {
  struct Run {
    var first: UInt64
    var last: UInt64
    var physical: UInt64
    var access: Protection
    var flags: Protection?

    func physical(of iova: UInt64) -> UInt64 { physical &+ (iova &- first) }
  }

  let runs: [Run]
  /// Expected mappings that overlap an earlier one.
  let overlaps: [ExpectedMapping]

  init(_ mappings: [ExpectedMapping]) {
    var runs: [Run] = []
    var overlaps: [ExpectedMapping] = []
    for mapping in mappings.sorted(by: { $0.iova < $1.iova }) where mapping.length > 0 {
      if let run = runs.last {
        if mapping.iova <= run.last {
          overlaps.append(mapping)
          continue
        }
        if mapping.iova == run.last &+ 1, mapping.physical == run.physical(of: mapping.iova),
          mapping.access == run.access, mapping.flags == run.flags
        {
          runs[runs.count - 1].last = mapping.last
          continue
        }
      }
      runs.append(
        Run(
          first: mapping.iova, last: mapping.last, physical: mapping.physical, access: mapping.access,
          flags: mapping.flags))
    }
    self.runs = runs
    self.overlaps = overlaps
  }

  /// The position of the first run that ends at or behind `iova`.
  func position(of iova: UInt64) -> Int {
    var low = 0
    var high = runs.count
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].last < iova { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The run in which all of a range lies.
  func run(holding first: UInt64, through last: UInt64) -> Run? {
    let index = position(of: first)
    guard index < runs.count, runs[index].first <= first, runs[index].last >= last, last >= first else {
      return nil
    }
    return runs[index]
  }

  /// Whether any of a range is expected.
  func touches(_ first: UInt64, through last: UInt64) -> Bool {
    let index = position(of: first)
    return index < runs.count && runs[index].first <= last
  }
}
