// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance

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
    var plan = GoldenPlan()
    for file in try GoldenPaths.expand(paths) { plan.add(path: file, environment: .kit) }
    let status = try GoldenCheckRun(
      plan: plan, divergences: Self.divergences(for: paths), isSummary: summary
    ).run()
    if status != 0 { throw ExitCode(status) }
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
  let divergences: (table: Divergences, isFullRun: Bool)
  let isSummary: Bool

  /// Prints the stream; returns the exit status.
  func run() -> Int32 {
    let checker = GoldenChecker(environment: .kit, divergences: divergences.table)
    let points = plan.failures.count + (isSummary ? plan.groups.count : plan.itemCount)
    var stream = ResultStream(count: points + (divergences.isFullRun ? 1 : 0))
    for failure in plan.failures {
      ErrorStream.put("Error: \(failure.error)\n")
      stream.put(failure.name, .fail, details: ["\(failure.error)"])
    }
    var applied: Set<Int> = []
    var tally = GoldenTally()
    for group in plan.groups {
      let report = checker.check(group)
      tally += report.tally
      for item in report.items { applied.formUnion(item.appliedDivergences) }
      if isSummary {
        stream.put(report.name, report.outcome.point, details: report.details())
      } else {
        for item in report.items {
          let details = item.details.isEmpty ? [] : ["\(item.location):"] + item.details
          stream.put(item.name, item.outcome.point, details: details)
        }
      }
    }
    if divergences.isFullRun { putDivergences(applied, &stream) }
    let status = stream.finish(notes: [tally.summary])
    return plan.failures.isEmpty ? status : ExitStatus.badInput
  }

  /// The point that says whether each row of the table was needed.
  private func putDivergences(_ applied: Set<Int>, _ stream: inout ResultStream) {
    let table = divergences.table
    let idle = table.rows.indices.filter { !applied.contains($0) }.map {
      table.complaint(about: table.rows[$0])
    }
    stream.put("golden.divergences", idle.isEmpty ? .pass : .fail, details: idle)
  }
}

extension GoldenOutcome {
  /// The outcome in a stream.
  fileprivate var point: PointOutcome {
    switch self {
    case .pass: .pass
    case .fail: .fail
    case .skip(let reason): .skip(reason.rawValue)
    case .xfail: .xfail
    }
  }
}
