// SPDX-License-Identifier: GPL-2.0-only

/// What a TAP stream says.
public struct TAPStream: Hashable, Sendable {
  /// A directive of a result line.
  public struct Directive: Hashable, Sendable {
    /// `SKIP`, `TODO`, `XFAIL`, `XPASS`, `TIMEOUT` or `ERROR`.
    public var word: String
    /// What follows it; may be empty.
    public var reason: String

    public init(word: String, reason: String = "") {
      self.word = word
      self.reason = reason
    }
  }

  /// A result line and the comments before it.
  public struct Result: Hashable, Sendable {
    /// The number on the line, or nil where it has none.
    public var number: Int?
    /// Whether it says `ok`.
    public var isOK: Bool
    /// The name, without dash; may be empty.
    public var name: String
    /// The directive, if there is one.
    public var directive: Directive?
    /// The comment lines since the result before, without `# `.
    public var diagnostics: [String]
    /// The line's number in the text, from 1.
    public var line: Int

    /// The outcome in kselftest's terms. A failing TODO is an expected failure.
    public var outcome: TAPOutcome {
      switch (directive?.word, isOK) {
      case ("SKIP", _): .skip
      case ("XFAIL", true), ("TODO", false): .xfail
      case ("XPASS", _), ("TODO", true): .xpass
      case ("TIMEOUT", false), ("ERROR", _): .error
      case (_, true): .pass
      case (_, false): .fail
      }
    }

    /// The result for a `TAPWriter`, its name below `prefix` where one is given.
    public func result(prefix: String? = nil) -> TAPResult {
      let reason = directive.flatMap { $0.reason.isEmpty ? nil : $0.reason }
      return TAPResult(
        prefix.map { "\($0).\(name)" } ?? name, outcome, reason: reason, details: diagnostics)
    }
  }

  /// The version in the first line, or nil where it is missing.
  public internal(set) var version: Int?
  /// How many results the plan announces, or nil where there is no plan.
  public internal(set) var plan: Int?
  /// The results in their order.
  public internal(set) var results: [Result] = []
  /// Comment lines after the last result, without `# `.
  public internal(set) var closingComments: [String] = []
  /// What follows `Bail out!`, or nil.
  public internal(set) var bailOut: String?
  /// How many lines are none of TAP's; lines of nested streams are among them.
  public internal(set) var noiseLines = 0
  /// What contradicts itself: no plan or two, results missing, too many or misnumbered.
  public internal(set) var problems: [String] = []

  /// The outcomes.
  public var totals: TAPTotals {
    results.reduce(into: TAPTotals()) { $0.count($1.outcome) }
  }

  /// Whether the stream is whole and no result is a failure.
  public var isSuccess: Bool { problems.isEmpty && bailOut == nil && !totals.hasFailures }
}
