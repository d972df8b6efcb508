// SPDX-License-Identifier: GPL-2.0-only

/// A directive of a result line.
public struct KTAPDirective: Hashable, Sendable {
  /// The directives of TAP, KTAP and kselftest.
  public enum Word: String, Hashable, Sendable, CaseIterable {
    case skip = "SKIP"
    case todo = "TODO"
    case xfail = "XFAIL"
    case xpass = "XPASS"
    case timeout = "TIMEOUT"
    case error = "ERROR"
  }

  /// What it is.
  public var word: Word
  /// What follows it; may be empty.
  public var reason: String

  public init(_ word: Word, reason: String = "") {
    self.word = word
    self.reason = reason
  }
}

/// A result of a stream, with the stream below it where it has one.
public struct KTAPResult: Hashable, Sendable {
  /// The number on the line, or nil where it has none.
  public internal(set) var number: Int?
  /// Whether the line says `ok`.
  public internal(set) var isOK: Bool
  /// The name as it stands there, without dash; may be empty.
  public internal(set) var name: String
  /// The directive, if there is one.
  public internal(set) var directive: KTAPDirective?
  /// Comments that belong to it, without `# `.
  public internal(set) var comments: [String] = []
  /// The last lines since the result before, comments and those that are none of TAP's: what a reader of a failure needs.
  public internal(set) var log: [String] = []
  /// The results that this one sums up.
  public internal(set) var children: KTAPStream?
  /// The line's number in the text, from 1.
  public internal(set) var line: Int

  /// The outcome in kselftest's terms. A failing TODO is an expected failure.
  public var outcome: TAPOutcome {
    switch (directive?.word, isOK) {
    case (.skip, _): .skip
    case (.xfail, true), (.todo, false): .xfail
    case (.xpass, _), (.todo, true): .xpass
    case (.timeout, false), (.error, _): .error
    case (_, true): .pass
    case (_, false): .fail
    }
  }
}

/// A stream of results: a file's, a suite's, a program's, or those of a test's parameters.
public struct KTAPStream: Hashable, Sendable {
  /// The column at which its lines start, from 0.
  public let column: Int
  /// The number of its first line, from 1.
  public let line: Int
  /// The name that stands before it, or nil where none does.
  public internal(set) var name: String?
  /// The version of TAP or KTAP that it states, or nil where it states none.
  public internal(set) var version: Int?
  /// How many results the plan announces, or nil where there is no plan.
  public internal(set) var plan: Int?
  /// What follows the `#` of the plan; may be empty.
  public internal(set) var planRemark = ""
  /// The results in their order.
  public internal(set) var results: [KTAPResult] = []
  /// What follows `Bail out!`, or nil.
  public internal(set) var bailOut: String?
  /// What contradicts itself: two plans, results too many, numbers or totals that are wrong.
  public internal(set) var problems: [String] = []
  private var numbers: Set<Int> = []
  private var lastNumber = 0

  init(column: Int, line: Int, name: String? = nil) {
    self.column = column
    self.line = line
    self.name = name
  }

  /// Whether it says nothing but its name.
  var isEmpty: Bool { version == nil && plan == nil && results.isEmpty && bailOut == nil && problems.isEmpty }

  /// The outcomes, those below the results left out.
  public var totals: TAPTotals {
    results.reduce(into: TAPTotals()) { $0.count($1.outcome) }
  }

  /// Whether it is whole and neither it nor what is below its results has a failure.
  public var isSuccess: Bool {
    problems.isEmpty && missingCount == 0 && bailOut == nil && !totals.hasFailures
      && results.allSatisfy { $0.children?.isSuccess ?? true }
  }

  /// The outcomes of the results that sum up no others.
  var leafOutcomes: [TAPOutcome] {
    results.flatMap { $0.children?.leafOutcomes ?? [$0.outcome] }
  }

  // MARK: Numbers

  /// Adds a result; one without number has the number after the one before.
  mutating func append(_ result: KTAPResult) {
    let number = result.number ?? lastNumber &+ 1
    if !numbers.insert(number).inserted {
      problems.append("line \(result.line): a second result \(number)")
    } else if number < lastNumber {
      problems.append("line \(result.line): result \(number) after result \(lastNumber)")
    }
    if let plan, number > plan, number > 0 {
      problems.append("line \(result.line): result \(number), and the plan announces \(plan)")
    }
    lastNumber = number
    results.append(result)
  }

  /// The highest number that should be there.
  private var expectedCount: Int { max(plan ?? 0, numbers.max() ?? 0) }

  /// How many results are missing.
  public var missingCount: Int {
    max(0, expectedCount - numbers.count { $0 > 0 && $0 <= expectedCount })
  }

  /// The first numbers of results that are missing, at most `limit`.
  func missingNumbers(limit: Int) -> [Int] {
    var missing: [Int] = []
    var number = 1
    while missing.count < min(limit, missingCount), number <= expectedCount {
      if !numbers.contains(number) { missing.append(number) }
      number += 1
    }
    return missing
  }
}
