// SPDX-License-Identifier: GPL-2.0-only

/// What a golden check looks at. The names are those that DIVERGENCES.md uses.
public enum GoldenCheck: String, Hashable, Sendable, CaseIterable {
  /// The configuration can be made.
  case configuration
  /// The encoder of the implementation produces an entry's word.
  case entry
  /// Every operation returns what the case says.
  case results
  /// Invalidations and top changes are those of the case, in order.
  case notes
  /// The implementation's table image is that of the case.
  case image
  /// As many pages of table memory are allocated.
  case tables
  /// The reference reads and encodes the same words and pointers.
  case reference
  /// The reference's walk reaches what the operations mapped, and nothing else beside it.
  case walk
  /// The drivers' own code returns, warns and leaves behind what a case of legacy behaviour says.
  case legacy
}

/// One thing that a check found wrong.
public struct GoldenFinding: Hashable, Sendable {
  public var check: GoldenCheck
  /// What was expected and what was found, in one line.
  public var detail: String
  /// The conditions of divergences that it meets.
  public var conditions: Set<DivergenceCondition>

  public init(_ check: GoldenCheck, _ detail: String, conditions: Set<DivergenceCondition> = []) {
    self.check = check
    self.detail = detail
    self.conditions = conditions
  }
}

/// Why an item was not checked. The raw values are the reasons in test results.
public enum GoldenSkip: String, Hashable, Sendable, CaseIterable {
  /// A legacy case of another era than Linux 7.3.
  case notBound = "not bound"
  /// A legacy case with a warning, or whose operations have other results here.
  case resultsDiffer = "results differ"
  /// A legacy case of a configuration that the implementation does not have.
  case configuration = "configuration"
}

/// How an item came out.
public enum GoldenOutcome: Hashable, Sendable {
  case pass
  case fail
  case skip(GoldenSkip)
  /// It failed, only in checks for which DIVERGENCES.md gives a reason.
  case xfail(String)
}

/// The result of one case or entry.
public struct GoldenItemReport: Hashable, Sendable {
  /// The name in test results.
  public var name: String
  /// `FILE:LINE` of the item.
  public var location: String
  public var outcome: GoldenOutcome
  /// Lines that say what was found; empty for a pass.
  public var details: [String]
  /// The rows of DIVERGENCES.md that applied, by position.
  public var appliedDivergences: Set<Int>
  /// Whether a case of legacy behaviour bound the implementation under test as well as the drivers' own code.
  public var bindsBoth = false

  public init(
    name: String, location: String, outcome: GoldenOutcome, details: [String] = [],
    appliedDivergences: Set<Int> = []
  ) {
    self.name = name
    self.location = location
    self.outcome = outcome
    self.details = details
    self.appliedDivergences = appliedDivergences
  }
}

/// Counts of item results; bound are all that were not skipped.
public struct GoldenTally: Hashable, Sendable {
  public var passed = 0
  public var failed = 0
  public var expectedFailures = 0
  public var skipped: [GoldenSkip: Int] = [:]
  /// The cases of legacy behaviour that bound both the drivers' own code and the implementation under test.
  public var boundBoth = 0

  public init() {}

  public init(_ reports: some Sequence<GoldenItemReport>) {
    for report in reports {
      add(report.outcome)
      if report.bindsBoth { boundBoth += 1 }
    }
  }

  public mutating func add(_ outcome: GoldenOutcome) {
    switch outcome {
    case .pass: passed += 1
    case .fail: failed += 1
    case .xfail: expectedFailures += 1
    case .skip(let reason): skipped[reason, default: 0] += 1
    }
  }

  public static func += (left: inout GoldenTally, right: GoldenTally) {
    left.passed += right.passed
    left.failed += right.failed
    left.expectedFailures += right.expectedFailures
    left.boundBoth += right.boundBoth
    left.skipped.merge(right.skipped, uniquingKeysWith: +)
  }

  /// The items whose vectors bound the implementation.
  public var bound: Int { passed + failed + expectedFailures }

  /// All items.
  public var total: Int { bound + skipped.values.reduce(0, +) }

  /// A line for people, for example `14 of 20 vectors bind: 14 passed; 6 skipped (6 not bound)`.
  public var summary: String {
    var words = ["\(passed) passed"]
    if failed > 0 { words.append("\(failed) failed") }
    if expectedFailures > 0 { words.append("\(expectedFailures) failed as DIVERGENCES.md says") }
    var line = "\(bound) of \(total) vectors bind: \(words.joined(separator: ", "))"
    let reasons = GoldenSkip.allCases.compactMap { reason in
      skipped[reason].map { "\($0) \(reason.rawValue)" }
    }
    if boundBoth > 0 { line += "; \(boundBoth) of legacy code bind the generic code, too" }
    if !reasons.isEmpty { line += "; \(total - bound) skipped (\(reasons.joined(separator: ", ")))" }
    return line
  }
}

/// The result of all items of one file and configuration.
public struct GoldenGroupReport: Hashable, Sendable {
  /// The name in test results.
  public var name: String
  public var items: [GoldenItemReport]

  public init(name: String, items: [GoldenItemReport]) {
    self.name = name
    self.items = items
  }

  public var tally: GoldenTally { GoldenTally(items) }

  /// One outcome for the group: a failure if any item failed; a skip, with the commonest reason, if none
  /// bound; an expected failure if nothing passed; else a pass.
  public var outcome: GoldenOutcome {
    let tally = tally
    if tally.failed > 0 { return .fail }
    if tally.passed > 0 { return .pass }
    for item in items {
      if case .xfail = item.outcome { return item.outcome }
    }
    let commonest = GoldenSkip.allCases.max { tally.skipped[$0, default: 0] < tally.skipped[$1, default: 0] }
    guard let commonest, tally.skipped[commonest] != nil else { return .pass }
    return .skip(commonest)
  }

  /// The tally, then the details of what did not pass, of at most `limit` items.
  public func details(limit: Int = 5) -> [String] {
    let wrong = items.filter { $0.outcome == .fail }
    var lines = [tally.summary]
    for item in wrong.prefix(limit) { lines += ["\(item.location): \(item.name)"] + item.details }
    if wrong.count > limit { lines.append("and \(wrong.count - limit) more") }
    // One example says why the others of its kind are skipped.
    if tally.bound == 0, let first = items.first { lines += first.details }
    return lines
  }
}
