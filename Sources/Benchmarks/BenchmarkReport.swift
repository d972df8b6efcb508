// SPDX-License-Identifier: GPL-2.0-only

/// Everything that one run of the benchmarks measured.
public struct BenchmarkReport: Hashable, Sendable, Codable {
  /// Map and unmap.
  public var maps: [MapRow] = []
  /// The drivers' own code beside the generic algorithms.
  public var legacy: [LegacyRow] = []
  /// iova_stress.
  public var stress: [StressRow] = []
  /// The golden check; nil when there are no golden files at hand.
  public var golden: GoldenRow?

  public init() {}

  /// The report as lines of text.
  public var lines: [String] {
    mapLines + [""] + legacyLines + [""] + stressLines + [""] + goldenLines + [""] + misses
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

  private var legacyLines: [String] {
    let widths = [34, 12, 16, 16, 7, 16, 16, 7]
    let head = Self.row(
      [
        "driver's configuration", "one operation", "map avg new,old", "min new,old", "min %",
        "unmap avg new,old", "min new,old", "min %",
      ], widths)
    func pair(_ new: Double, _ old: Double) -> String { "\(Self.text(new)),\(Self.text(old))" }
    return [
      "Generic code (new) beside the drivers' own (old), ns for one operation; %: by how much the minimum is less."
    ] + [head]
      + legacy.map { row in
        Self.row(
          [
            row.legacy, row.workload, pair(row.mapNew.average, row.mapOld.average),
            pair(row.mapNew.minimum, row.mapOld.minimum), Self.text(row.mapImprovement),
            pair(row.unmapNew.average, row.unmapOld.average),
            pair(row.unmapNew.minimum, row.unmapOld.minimum), Self.text(row.unmapImprovement),
          ], widths)
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
    for row in legacy {
      for (name, ratio) in [("map", row.mapRatio), ("unmap", row.unmapRatio)] where ratio < 0.95 {
        lines.append(
          "missed: \(row.configuration), \(name) \(row.workload): \(Self.text(1 / ratio, 2)) times \(row.legacy)"
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

  static func row(_ cells: [String], _ widths: [Int] = widths) -> String {
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
  static func text(_ value: Double, _ decimals: Int = 1) -> String {
    guard value.isFinite else { return "-" }
    if value < 0 { return "-" + text(-value, decimals) }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = Int((value * scale).rounded())
    guard decimals > 0 else { return String(scaled) }
    let digits = String(scaled)
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }
}
