// SPDX-License-Identifier: GPL-2.0-only

import Compare
import PageTable
import ReferenceSpecs
import TAP

/// The TAP stream of a comparison.
struct CompareOutput {
  private let plan: ComparePlan
  private let writer: TAPWriter
  private var tally = RuleTally()
  private var operations = 0

  init(_ plan: ComparePlan, seed: UInt64) {
    self.plan = plan
    writer = TAPWriter(plan: plan.points.count + plan.gaps.count)
    writer.expect(plan.points.map(\.name) + plan.gaps.map(\.name))
    writer.comment("ptkit \(PTKit.configuration.version) compare seed \(Numbers.hex(seed))")
    for gap in plan.gaps { writer.skip(gap.name, reason: "no such side", details: [gap.reason]) }
  }

  /// Writes a point's result.
  mutating func report(_ point: ComparePoint, _ report: CompareReport) {
    tally.add(report.tally)
    operations += report.operations
    var details = ["\(report.operations) operations"]
    let used = report.tally.used.map { "\($0.name) \($0.count)" }
    if !used.isEmpty { details.append("rules: " + used.joined(separator: ", ")) }
    if let failure = report.failure {
      writer.report(TAPResult(point.name, .error, details: [failure]))
    } else if let difference = report.difference {
      let text = try? DifferenceText(difference, point, library: .embedded)
      writer.fail(point.name, details: details + (text?.lines ?? [difference.message]))
    } else {
      writer.pass(point.name, details: details)
    }
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
