// SPDX-License-Identifier: GPL-2.0-only

/// How many results a stream itself says that it has: `# Totals: pass:11 fail:0 skip:3 total:14`.
struct KTAPTally: Hashable {
  /// `Totals`, or the name of a suite or test.
  var label: String
  /// The counts by their words.
  var counts: [String: Int]

  /// Reads the text of a comment; nil when it is none.
  init?(_ text: Substring) {
    let parts = text.split(separator: " ")
    guard let last = parts.first, last.last == ":" else { return nil }
    label = String(last.dropLast())
    counts = [:]
    for part in parts.dropFirst() {
      let pair = part.split(separator: ":", omittingEmptySubsequences: false)
      guard pair.count == 2, let count = Int(pair[1]), count >= 0 else { return nil }
      counts[String(pair[0])] = count
    }
    if counts["pass"] == nil || counts["fail"] == nil { return nil }
  }

  /// Whether KUnit wrote it: at the indentation of the result that follows, about the results below that.
  var isKUnits: Bool { counts["total"] != nil }

  /// Whether it counts parameters of tests rather than tests.
  var countsLeaves: Bool { isKUnits && label == "Totals" }

  /// What contradicts it in the outcomes that it is about; nil when all is well.
  func contradiction(_ outcomes: [TAPOutcome]) -> String? {
    var found = TAPTotals()
    for outcome in outcomes { found.count(outcome) }
    // A program's end without result is a failure to kselftest's runner.
    let pairs = [
      ("pass", found[.pass]), ("fail", found[.fail] + found[.error]), ("xfail", found[.xfail]),
      ("xpass", found[.xpass]), ("skip", found[.skip]), ("total", outcomes.count),
    ]
    var wrong: [String] = []
    for (word, count) in pairs {
      guard let said = said(word), said != count else { continue }
      wrong.append("\(word):\(said) where there are \(count)")
    }
    return wrong.isEmpty ? nil : "'\(label)' says \(wrong.joined(separator: ", "))"
  }

  private func said(_ word: String) -> Int? {
    guard let count = counts[word] else { return nil }
    return word == "fail" ? count &+ (counts["error"] ?? 0) : count
  }
}
