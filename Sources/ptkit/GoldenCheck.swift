// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import TAP

/// `ptkit golden check`
struct GoldenCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check golden vectors against an implementation and the reference; prints TAP.",
    discussion: """
      A point per entry or case. Without paths, all files of the folder $PTKIT_GOLDEN, or of the folder \
      Golden in the working directory or above the binary. A file that does not parse is a failed point, and \
      the exit status is 65. Known divergences are read from DIVERGENCES.md in the folder checked, or in the \
      default one; in a run over a whole folder, a row of it that no vector needs fails. \
      With --target the vectors bind a library instead of the generic implementation; those that say nothing about \
      it are skipped.

      Example: ptkit golden check Golden/armv8/cases.golden
      Example: ptkit golden check --summary
      Example: ptkit golden check --target ksrc:/usr/src/linux --summary Golden/vtdss
      """)

  @Flag(help: "Print one point per file and configuration.")
  var summary = false

  @OptionGroup
  var formats: AddedFormatOptions

  @Option(
    help: """
      What is checked: sim, the generic implementation; lib:FILE[,CONFIGURATION], a library with the interface of \
      include/ptkit.h; ksrc:FOLDER, the page-table code of a Linux tree, which is built first.
      """)
  var target = TargetName.sim

  @OptionGroup var tree: KernelTreeOptions

  @Argument(help: "Golden files, or folders of them.", completion: .file())
  var paths: [String] = []

  func run() throws {
    var paths = paths
    if paths.isEmpty {
      guard let home = GoldenFiles.home else {
        throw InputError("no folder of golden files: name one, or set PTKIT_GOLDEN")
      }
      paths = [home]
    }
    let environment = GoldenEnvironment.kit(try formats.library())
    var plan = GoldenPlan()
    let files = try GoldenPaths.expand(paths)
    for file in files { plan.add(path: file, environment: environment) }
    var run = GoldenCheckRun(
      plan: plan, environment: environment, divergences: try Self.divergences(for: paths), isSummary: summary)
    if target != .sim {
      let table = GoldenFiles.divergences(for: paths)
      let libraries = try GoldenLibraries(target, tree, formats, files: files, divergences: table)
      (run.problems, run.check) = (libraries.problems, libraries.check(plan))
      // Most rows are about formats and behaviours that a library has not.
      run.divergences.isFullRun = false
    }
    let status = run.run()
    if status != .pass { throw status }
  }

  /// The known divergences, and whether the run is one in which each row has to apply.
  private static func divergences(for paths: [String]) throws -> (table: Divergences, isFullRun: Bool) {
    guard let path = GoldenFiles.divergences(for: paths) else { return (Divergences(), false) }
    let folder = String(path.dropLast("/DIVERGENCES.md".count))
    return (try Divergences(contentsOf: path), paths.contains { GoldenFiles.isSame($0, folder) })
  }
}

/// One run of the check over a plan.
struct GoldenCheckRun {
  let plan: GoldenPlan
  let environment: GoldenEnvironment
  var divergences: (table: Divergences, isFullRun: Bool)
  let isSummary: Bool
  /// What keeps libraries from being checked, by the names of results.
  var problems: [(name: String, details: [String])] = []
  /// Checks a group; nil for the kit's own implementations.
  var check: ((GoldenGroup) -> GoldenGroupReport)?

  init(
    plan: GoldenPlan, environment: GoldenEnvironment, divergences: (table: Divergences, isFullRun: Bool),
    isSummary: Bool
  ) {
    self.plan = plan
    self.environment = environment
    self.divergences = divergences
    self.isSummary = isSummary
  }

  /// Prints the stream; returns the exit status.
  func run() -> ExitStatus {
    let checker = GoldenChecker(environment: environment, divergences: divergences.table)
    let points = problems.count + plan.failures.count + (isSummary ? plan.groups.count : plan.itemCount)
    let writer = TAPWriter(plan: points + (divergences.isFullRun ? 1 : 0))
    for failure in plan.failures {
      ErrorStream.put("Error: \(failure.error)\n")
      writer.report(TAPResult(failure.name, .error, details: ["\(failure.error)"]))
    }
    for problem in problems { writer.report(TAPResult(problem.name, .error, details: problem.details)) }
    var applied: Set<Int> = []
    var tally = GoldenTally()
    for group in plan.groups {
      writer.start(group.name)
      let report = check?(group) ?? checker.check(group)
      tally += report.tally
      for item in report.items { applied.formUnion(item.appliedDivergences) }
      for result in isSummary ? [report.result] : report.items.map(\.result) { writer.report(result) }
    }
    if divergences.isFullRun { reportDivergences(applied, to: writer) }
    if tally.total > 0 { writer.comment(tally.summary) }
    let status = writer.finish()
    return plan.failures.isEmpty ? status : .badInput
  }

  /// The point that says whether each row of the table was needed.
  private func reportDivergences(_ applied: Set<Int>, to writer: TAPWriter) {
    let table = divergences.table
    let idle = table.rows.indices.filter { !applied.contains($0) }.map {
      table.complaint(about: table.rows[$0])
    }
    writer.report(TAPResult("golden.divergences", idle.isEmpty ? .pass : .fail, details: idle))
  }
}

extension GoldenGroupReport {
  /// The result of the group in a stream.
  var result: TAPResult {
    TAPResult(name, outcome.tap, reason: outcome.reason, details: details())
  }
}

extension GoldenItemReport {
  /// The result of the item in a stream.
  fileprivate var result: TAPResult {
    TAPResult(
      name, outcome.tap, reason: outcome.reason, details: details.isEmpty ? [] : ["\(location):"] + details)
  }
}

extension GoldenOutcome {
  fileprivate var tap: TAPOutcome {
    switch self {
    case .pass: .pass
    case .fail: .fail
    case .skip: .skip
    case .xfail: .xfail
    }
  }

  /// The reason of a skip, which is one of a few.
  fileprivate var reason: String? {
    if case .skip(let reason) = self { reason.rawValue } else { nil }
  }
}
