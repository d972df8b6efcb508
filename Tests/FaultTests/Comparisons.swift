// SPDX-License-Identifier: GPL-2.0-only

import Compare
import PageTable
import Simulator

@testable import Conformance

/// The compare harness: generic code beside the driver's own, if there is one, and beside the reference.
enum Comparisons {
  /// Pairs of page tables for each pair of sides, and random operations on each: new page tables meet what they do
  /// only once, as the growth of the top.
  private static let episodes = 4
  private static let count = 40

  static func finding(_ implementation: Implementation) throws -> String? {
    let points = try points(implementation)
    let comparisons = try points.map(comparison)
    for seed in 0..<episodes {
      let difference = try comparisons[seed % points.count].runEpisode(seed: UInt64(seed), count: count)
      if let difference { return text(difference) }
    }
    for list in try borders(implementation.configuration) + [parts(implementation.configuration)] {
      if let difference = try comparisons.last?.run(list) { return text(difference) }
    }
    return nil
  }

  private static func text(_ difference: Difference) -> String {
    "\(difference.check.rawValue): \(difference.message)"
  }

  /// For new page tables: a map over the border of two tables of each level, where tops grow.
  private static func borders(_ configuration: Configuration) throws -> [[PageTable.Operation]] {
    let reference = try Shared.reference(configuration)
    let page = UInt64(1) << UInt64(reference.shift(level: 0) ?? 12)
    return (1..<reference.levelCount).compactMap { level in
      guard let shift = reference.shift(level: level), shift < 63 else { return nil }
      let start = (1 << UInt64(shift)) - page
      return [
        .map(iova: start, pa: page, length: page * 2, protection: [.read, .write]),
        .unmap(iova: start, length: page * 2),
      ]
    }
  }

  /// A page goes out of a large leaf that may be written, read, or not executed.
  private static func parts(_ configuration: Configuration) throws -> [PageTable.Operation] {
    let subject = try Subject(configuration, try Shared.reference(configuration))
    guard let size = subject.plainSizes.dropFirst().last(where: { $0 <= 1 << 21 }), subject.hasRoom(size)
    else {
      return []
    }
    let place = subject.place(size)
    return ([[.read, .write], .read, [.read, .noexec]] as [Protection]).flatMap { protection in
      [
        .map(iova: place, pa: 0, length: size, protection: protection),
        .unmap(iova: place + subject.granule, length: subject.granule), .unmap(iova: place, length: size),
      ]
    }
  }

  /// What `ptkit compare` prints of a fault, shrunk.
  static func example(_ name: String) throws -> [String] {
    guard let fault = SeededFault.all.first(where: { $0.name == name }),
      let point = try points(Implementation(fault)).first
    else { throw PageError(description: "no fault \(name)") }
    var budget = CompareBudget()
    budget.operations = 250
    let report = CompareRun(budget, library: Shared.library).run(point)
    guard let difference = report.difference else {
      throw PageError(description: "\(name) makes no difference")
    }
    let lines = try DifferenceText(difference, point, library: Shared.library).lines
    return ["```", "not ok 1 \(point.name)"] + lines.map { "# \($0)" } + ["```"]
  }

  static func comparison(_ point: ComparePoint) throws -> Comparison {
    try Comparison(point.configuration, left: point.left, right: point.right, library: Shared.library)
  }

  /// The pairs of sides; a driver's code is on the right.
  static func points(_ implementation: Implementation) throws -> [ComparePoint] {
    let configuration = implementation.configuration
    let make: TargetMaker = { base, reserve in
      var options = SimulationOptions(physicalBase: base)
      options.reserve = reserve
      return try implementation.make(options)
    }
    func point(_ left: ResolvedSide, _ right: ResolvedSide) -> ComparePoint {
      ComparePoint(configuration, left: left, right: right, mode: .random)
    }
    if let legacy = implementation.legacy {
      let side = ResolvedSide(.legacy(legacy), word: "legacy", make: make)
      return [point(.generic(configuration), side)]
    }
    let left = ResolvedSide(.generic(configuration), word: "generic", make: make)
    let drivers = ComparePlan(
      [configuration], left: CompareSide(.generic), right: CompareSide(.legacy), modes: [.random]
    ).points.prefix(1)
    return drivers.map { point(left, $0.right) } + [point(left, .reference)]
  }
}
