// SPDX-License-Identifier: GPL-2.0-only

import Compare
import LibraryTarget
import PageTable
import ReferenceSpecs
import TAP

/// The TAP stream of a comparison.
struct CompareOutput {
  private let plan: ComparePlan
  private let writer: TAPWriter
  private var tally = RuleTally()
  private var operations = 0

  /// - Parameter problems: what keeps libraries from being compared, each by the name of a result.
  init(_ plan: ComparePlan, seed: UInt64, problems: [(name: String, details: [String])] = []) {
    self.plan = plan
    writer = TAPWriter(plan: problems.count + plan.points.count + plan.gaps.count)
    writer.expect(problems.map(\.name) + plan.points.map(\.name) + plan.gaps.map(\.name))
    writer.comment("ptkit \(PTKit.configuration.version) compare seed \(Numbers.hex(seed))")
    for problem in problems { writer.report(TAPResult(problem.name, .error, details: problem.details)) }
    for gap in plan.gaps { writer.skip(gap.name, reason: "no such side", details: [gap.reason]) }
  }

  /// Writes a line for people.
  func comment(_ text: String) { writer.comment(text) }

  /// Writes a point's result.
  mutating func report(_ point: ComparePoint, _ report: CompareReport) {
    let details = count(report.operations, report.tally)
    if let failure = report.failure {
      writer.report(TAPResult(point.name, .error, details: [failure]))
    } else if let difference = report.difference {
      let text = try? DifferenceText(difference, point, library: .embedded)
      writer.fail(point.name, details: details + (text?.lines ?? [difference.message]))
    } else {
      writer.pass(point.name, details: details)
    }
  }

  /// Writes the result of a point with a library.
  mutating func report(_ point: ComparePoint, _ report: CompareTaskReport) {
    let details = count(report.operations, report.tally)
    switch report.ending {
    case .pass: writer.pass(point.name, details: details)
    case .difference(let lines): writer.fail(point.name, details: details + lines)
    case .failure(let text): writer.report(TAPResult(point.name, .error, details: [text]))
    case .gap(let reason): writer.skip(point.name, reason: "no such side", details: [reason])
    case .crash(let lines, let operations):
      writer.report(TAPResult(point.name, .error, details: lines + Self.reproducer(point, operations)))
    }
  }

  /// The command that runs the operations again before which a library ended its process.
  private static func reproducer(_ point: ComparePoint, _ operations: [Operation]) -> [String] {
    guard !operations.isEmpty else { return [] }
    let difference = Difference(.results, "", operations: operations)
    guard let text = try? DifferenceText(difference, point, library: .embedded) else { return [] }
    return ["reproduce:", "  " + text.compareCommand]
  }

  /// Takes in numbers; in words for people.
  private mutating func count(_ operations: Int, _ tally: RuleTally) -> [String] {
    self.tally.add(tally)
    self.operations += operations
    let used = tally.used.map { "\($0.name) \($0.count)" }
    return ["\(operations) operations"] + (used.isEmpty ? [] : ["rules: " + used.joined(separator: ", ")])
  }

  /// Ends the stream; `isWhole` where every rule should have applied.
  func finish(isWhole: Bool) -> ExitStatus {
    writer.comment("\(operations) operations compared")
    for rule in tally.unused { writer.comment("rule \(rule) never applied") }
    let status = writer.finish()
    return status == .pass && isWhole && !tally.unused.isEmpty ? .failure : status
  }
}

/// The table of rules.
enum CompareRules {
  static func print(json: Bool) {
    if json {
      let rules = CompareRule.all.map { rule in
        JSON.object([
          ("name", .string(rule.name)), ("scope", .string(rule.scope)), ("excuses", .string(rule.excuses)),
          ("reason", .string(rule.reason)),
        ])
      }
      return Swift.print(JSON.object([("rules", .array(rules))]).text)
    }
    for rule in CompareRule.all {
      Swift.print(
        "\(rule.name)\n  sides:   \(rule.scope)\n  excuses: \(rule.excuses)\n  reason:  \(rule.reason)\n")
    }
  }
}
