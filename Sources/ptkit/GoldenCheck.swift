// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import TAP

/// `ptkit golden check`
struct GoldenCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check golden vectors against the generic implementation and the reference; prints TAP.",
    discussion: """
      A point per entry or case. Without paths, all files of the folder $PTKIT_GOLDEN, or of the folder \
      Golden in the working directory or above the binary. A file that does not parse is a failed point, and \
      the exit status is 65. Known divergences are read from DIVERGENCES.md in the folder checked, or in the \
      default one; in a run over a whole folder, a row of it that no vector needs fails.

      Example: ptkit golden check Golden/armv8/cases.golden
      Example: ptkit golden check --summary
      """)

  @Flag(help: "Print one point per file and configuration.")
  var summary = false

  @OptionGroup
  var formats: AddedFormatOptions

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
    for file in try GoldenPaths.expand(paths) { plan.add(path: file, environment: environment) }
    let status = try GoldenCheckRun(
      plan: plan, environment: environment, divergences: Self.divergences(for: paths), isSummary: summary
    ).run()
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
  let divergences: (table: Divergences, isFullRun: Bool)
  let isSummary: Bool

  /// Prints the stream; returns the exit status.
  func run() -> ExitStatus {
    let checker = GoldenChecker(environment: environment, divergences: divergences.table)
    let points = plan.failures.count + (isSummary ? plan.groups.count : plan.itemCount)
    let writer = TAPWriter(plan: points + (divergences.isFullRun ? 1 : 0))
    for failure in plan.failures {
      ErrorStream.put("Error: \(failure.error)\n")
      writer.report(TAPResult(failure.name, .error, details: ["\(failure.error)"]))
    }
    var applied: Set<Int> = []
    var tally = GoldenTally()
    for group in plan.groups {
      writer.start(group.name)
      let report = checker.check(group)
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
