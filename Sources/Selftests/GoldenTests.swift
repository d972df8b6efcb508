// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// The golden files of a run.
public struct GoldenSource: Sendable {
  let plan: GoldenPlan
  let divergences: Divergences
  let library: SpecificationLibrary

  /// Reads golden files; one that does not parse becomes a failing test.
  ///
  /// - Parameters:
  ///   - paths: the files.
  ///   - divergences: the known divergences.
  ///   - library: the specifications for the reference.
  public init(paths: [String], divergences: Divergences, library: SpecificationLibrary) {
    var plan = GoldenPlan()
    for path in paths { plan.add(path: path, environment: .kit(library)) }
    self.plan = plan
    self.divergences = divergences
    self.library = library
  }

  /// Reads the golden files in and below a folder, and its DIVERGENCES.md.
  ///
  /// - Throws: `GoldenParseError` when there are none, or the table of divergences is wrong.
  public init(folder: String, library: SpecificationLibrary) throws {
    let table = "\(folder)/DIVERGENCES.md"
    self.init(
      paths: try GoldenPaths.expand([folder]), divergences: try Divergences(contentsOf: table),
      library: library)
  }
}

/// Golden vectors: one test for each file and configuration.
enum GoldenTests {
  static func tests(_ source: GoldenSource) -> [Selftest] {
    let failures = source.plan.failures.map { failure in
      Selftest(name: failure.name, .golden, configuration: "") { _ in .fail(details: ["\(failure.error)"]) }
    }
    let groups = source.plan.groups.map { group in
      Selftest(name: group.name, .golden, configuration: group.configurationText) { context in
        guard group.items.contains(where: context.target.isBound) else { return .skip(.notBound, detail: "") }
        return context.report(group, source).selftestOutcome
      }
    }
    let divergences = Selftest(name: "golden.divergences", .golden, configuration: "") { context in
      let reports = source.plan.groups.flatMap { context.report($0, source).items }
      let complaints = source.divergences.unused(after: reports).map(source.divergences.complaint)
      return complaints.isEmpty ? .pass : .fail(details: complaints)
    }
    return failures + groups + [divergences]
  }
}

extension SelftestContext {
  /// The report of a group, made once.
  fileprivate func report(_ group: GoldenGroup, _ source: GoldenSource) -> GoldenGroupReport {
    if let known = goldenReports[group.name] { return known }
    var group = group
    group.items = group.items.filter(target.isBound)
    let environment = target.golden(.kit(source.library))
    let report = GoldenChecker(environment: environment, divergences: source.divergences).check(group)
    goldenReports[group.name] = report
    return report
  }
}

extension GoldenGroupReport {
  fileprivate var selftestOutcome: SelftestOutcome {
    switch outcome {
    case .pass: .pass(details: tally.bound == tally.total ? [] : [tally.summary])
    case .fail: .fail(details: details())
    case .xfail(let reason): .xfail(detail: reason)
    case .skip(let reason): .skip(SkipReason(reason), detail: details().joined(separator: "; "))
    }
  }
}

extension SkipReason {
  fileprivate init(_ reason: GoldenSkip) {
    switch reason {
    case .notBound: self = .notBound
    case .resultsDiffer: self = .resultsDiffer
    case .configuration: self = .configuration
    }
  }
}
