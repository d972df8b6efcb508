// SPDX-License-Identifier: GPL-2.0-only

/// Everything that one run of the benchmarks measured.
public struct BenchmarkReport: Hashable, Sendable, Codable {
  /// Map and unmap.
  public var maps: [MapRow] = []
  /// iova_stress.
  public var stress: [StressRow] = []
  /// The golden check; nil when there are no golden files at hand.
  public var golden: GoldenRow?

  public init() {}

  /// The report as lines of text.
  public var lines: [String] {
    mapLines + [""] + stressLines + [""] + goldenLines + [""] + misses
  }

  private var mapLines: [String] {
    let head = Self.row(
      [
        "configuration", "one operation", "map avg", "min", "floor", "ratio", "unmap avg", "min", "floor",
        "ratio",
        "fresh map", "unmap",
      ])
    return ["Map and unmap, ns for one operation; ratio: minimum over the floor's minimum in the same run."]
      + [head]
      + maps.map { row in
        Self.row([
          row.configuration, row.workload, Self.text(row.map.average), Self.text(row.map.minimum),
          Self.text(row.mapFloor.minimum), Self.text(row.mapRatio, 2), Self.text(row.unmap.average),
          Self.text(row.unmap.minimum), Self.text(row.unmapFloor.minimum), Self.text(row.unmapRatio, 2),
          Self.text(row.mapFresh.average), Self.text(row.unmapFresh.average),
        ])
      }
  }

  private var stressLines: [String] {
    [
      "iova_stress, one page in every 2 MiB; in place: tables stay, for each holds one page mapped all the time."
    ]
      + stress.map { row in
        "\(row.configuration): \(row.pairs) pairs with bounded:64 in \(Self.text(row.seconds, 2)) s, "
          + "at most \(row.peakPages) table pages; in place \(Self.text(row.inPlaceNever.minimum)) ns a pair, "
          + "with reclaim \(Self.text(row.inPlaceBounded.minimum)) ns (ratio \(Self.text(row.reclaimRatio, 2)))"
      }
  }

  private var goldenLines: [String] {
    guard let golden else { return ["Golden vectors: no files at hand."] }
    return [
      "Golden vectors: \(golden.vectors) in \(Self.text(golden.seconds, 2)) s, \(Self.text(golden.rate, 0)) a second."
    ]
  }

  /// A line for each target that this run missed, or one that says that none was.
  public var misses: [String] {
    var lines: [String] = []
    for row in maps {
      if row.mapRatio > row.mapTarget {
        lines.append(
          "missed: \(row.configuration), map \(row.workload): \(Self.text(row.mapRatio, 2)) > \(row.mapTarget)"
        )
      }
      if row.unmapRatio > row.unmapTarget {
        lines.append(
          "missed: \(row.configuration), unmap \(row.workload): \(Self.text(row.unmapRatio, 2)) > \(row.unmapTarget)"
        )
      }
    }
    for row in stress {
      if row.reclaimRatio > 1.05 {
        lines.append(
          "missed: \(row.configuration), cost of reclaim: \(Self.text(row.reclaimRatio, 2)) > 1.05")
      }
      if row.peakPages >= 100 {
        lines.append("missed: \(row.configuration), table pages: \(row.peakPages) >= 100")
      }
    }
    return lines.isEmpty ? ["All targets met."] : lines
  }

  private static let widths = [34, 12, 8, 7, 7, 6, 10, 7, 7, 6, 10, 8]

  private static func row(_ cells: [String]) -> String {
    var line = ""
    for (position, (cell, width)) in zip(cells, widths).enumerated() {
      let padding = String(repeating: " ", count: max(0, width - cell.count))
      // The first two columns are names, the others numbers.
      line += position < 2 ? cell + padding + " " : padding + cell + " "
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  /// A number with a fixed count of decimals.
  private static func text(_ value: Double, _ decimals: Int = 1) -> String {
    guard value.isFinite else { return "-" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int((value * scale).rounded())
    guard decimals > 0 else { return String(scaled) }
    let digits = String(scaled)
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }
}
