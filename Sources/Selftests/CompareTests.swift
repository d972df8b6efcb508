// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import PageTable
import Simulator

/// The target beside the reference's encoder and beside drivers' own code: the same operations, and everything that
/// they leave behind compared after each.
enum CompareTests {
  /// Random operations for each pair of sides; systematic lists come in addition.
  static let operationCount = 200
  /// Each pair runs one of so many parts of the systematic lists; all parts are run many times over all configurations.
  static let systematicParts = 8

  static func tests(_ configurations: [Configuration]) -> [Selftest] {
    var points: [ComparePoint] = []
    var gaps: [ComparePlanGap] = []
    for configuration in configurations {
      for right in [CompareSide(.reference), CompareSide(.legacy)] {
        let plan = ComparePlan(
          [configuration], left: CompareSide(.generic), right: right, modes: [.random])
        points += plan.points
        gaps += plan.gaps
      }
    }
    return points.enumerated().map { number, point in test(point, number) } + gaps.map(test)
      + [rules(points.map { "compare.\($0.configuration.slug).\($0.right.word)" })]
  }

  /// Comparisons of an implementation other than the kit's: as the generic algorithms with all that the kit has of the format, as drivers'
  /// own code with the kit's generic algorithms and its model of that code.
  ///
  /// - Parameter isDriver: whether it is drivers' own code.
  static func foreignTests(_ configurations: [Configuration], isDriver: Bool) -> [Selftest] {
    guard isDriver else {
      let isKnown = { (test: Selftest) in !test.configuration.isEmpty }
      let all = tests(configurations).filter { $0.name != "compare.rules" }
      guard let first = configurations.first, FormatList.all.contains(where: { $0.name == first.format })
      else {
        return all
      }
      let ours = configurations.enumerated().map { number, configuration in
        test(
          ComparePoint(
            configuration, left: .generic(configuration), right: .generic(configuration), mode: .random),
          number)
      }
      return ours + all.filter(isKnown)
    }
    return configurations.enumerated().flatMap { number, configuration in
      ["generic", "legacy"].map { driverTest(configuration, $0, number) }
    }
  }

  /// Drivers' own code on the right side.
  private static func driverTest(_ configuration: Configuration, _ word: String, _ number: Int) -> Selftest {
    Selftest(.compare, [configuration.slug, word], configuration: configuration) { context in
      try context.target.require([.eventLog, .placement])
      guard let own = try context.target.driver(of: configuration) else {
        throw TargetGap("the target \(context.target.name) is no drivers' own code")
      }
      // What keeps the target from making one is no difference.
      let sample = try context.target.makeRecorded(configuration, context.subject(configuration).options)
      var right = side(configuration, context.target)
      (right.kind, right.word) = (.legacy(own), "driver")
      // The kit's models lack some of Linux's mistakes.
      if (sample as? any LegacyTarget)?.isModel == false { right.library = context.target.name }
      let left: ResolvedSide = word == "generic" ? .generic(configuration) : .legacy(own, word: "model")
      let point = ComparePoint(configuration, left: left, right: right, mode: .random)
      return outcome(run(point, number, context), point, context)
    }
  }

  private static func run(_ point: ComparePoint, _ number: Int, _ context: SelftestContext) -> CompareReport {
    var budget = CompareBudget()
    budget.operations = operationCount
    budget.seed = context.seed
    budget.shrinkLimit = context.shrinkLimit
    budget.systematicPart = (number % systematicParts, systematicParts)
    return CompareRun(budget, library: context.library).run(point)
  }

  private static func test(_ point: ComparePoint, _ number: Int) -> Selftest {
    Selftest(.compare, [point.configuration.slug, point.right.word], configuration: point.configuration) {
      context in
      try context.target.require([.eventLog, .placement])
      var point = point
      point.left = side(point.configuration, context.target)
      let report = run(point, number, context)
      context.tally.add(report.tally)
      context.compared.insert("compare.\(point.configuration.slug).\(point.right.word)")
      return outcome(report, point, context)
    }
  }

  private static func outcome(
    _ report: CompareReport, _ point: ComparePoint, _ context: SelftestContext
  ) -> SelftestOutcome {
    if let failure = report.failure { return .fail(details: [failure]) }
    guard let difference = report.difference else { return .pass }
    let text = try? DifferenceText(difference, point, library: context.library)
    return .fail(details: text?.lines ?? [difference.message])
  }

  private static func test(_ gap: ComparePlanGap) -> Selftest {
    Selftest(name: gap.name, .compare, configuration: "") { _ in .skip(.noSuchSide, detail: gap.reason) }
  }

  /// The target's page tables, as a left side.
  private static func side(_ configuration: Configuration, _ target: any TargetFactory) -> ResolvedSide {
    ResolvedSide(.generic(configuration), word: "generic") { base, reserve in
      var options = TargetOptions(physicalBase: base)
      options.reserve = reserve
      return try target.makeRecorded(configuration, options)
    }
  }

  /// In a run of all comparisons, each rule that can apply must have done so; in others, those that did not are named.
  private static func rules(_ names: [String]) -> Selftest {
    Selftest(name: "compare.rules", .compare, configuration: "") { context in
      let unused = context.tally.unused.map { "rule \($0) never applied" }
      let isWhole = context.compared.isSuperset(of: names)
      return unused.isEmpty || !isWhole ? .pass(details: unused) : .fail(details: unused)
    }
  }
}
