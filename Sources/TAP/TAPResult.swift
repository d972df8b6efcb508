// SPDX-License-Identifier: GPL-2.0-only

/// How a test ended, in the terms of kselftest's totals.
public enum TAPOutcome: String, Hashable, Sendable, CaseIterable {
  /// It passed.
  case pass
  /// It failed.
  case fail
  /// It failed as it was expected to; counts as a success.
  case xfail
  /// It passed though it was expected to fail; counts as a failure.
  case xpass
  /// It could not run here.
  case skip
  /// It did not run to its end, or its report was wrong; counts as a failure.
  case error

  /// Whether the result line says `ok`.
  public var isOK: Bool {
    switch self {
    case .pass, .xfail, .skip: true
    case .fail, .xpass, .error: false
    }
  }

  /// The directive on the result line, without `#`.
  var directive: String? {
    switch self {
    case .skip: "SKIP"
    case .xfail: "XFAIL"
    case .pass, .fail, .xpass, .error: nil
    }
  }
}

/// The result of one test.
public struct TAPResult: Hashable, Sendable {
  /// The name, in the grammar of `TAPName`.
  public var name: String
  /// How the test ended.
  public var outcome: TAPOutcome
  /// A short text of a skip or an expected failure that is the same in every run, or nil. Consumers make it
  /// part of the test's identity; what varies belongs into `details`.
  public var reason: String?
  /// Lines for a reader, printed before the result.
  public var details: [String]

  public init(_ name: String, _ outcome: TAPOutcome, reason: String? = nil, details: [String] = []) {
    self.name = name
    self.outcome = outcome
    self.reason = reason
    self.details = details
  }
}

/// How many tests ended how.
public struct TAPTotals: Hashable, Sendable, CustomStringConvertible {
  private var counts: [TAPOutcome: Int] = [:]

  public init() {}

  /// The number of tests with an outcome.
  public subscript(outcome: TAPOutcome) -> Int { counts[outcome] ?? 0 }

  /// The number of tests.
  public var count: Int { counts.values.reduce(0, +) }

  /// Whether no test did anything but being skipped; so it is without tests.
  public var areAllSkipped: Bool { self[.skip] == count }

  /// Whether any test says `not ok`.
  public var hasFailures: Bool { TAPOutcome.allCases.contains { !$0.isOK && self[$0] > 0 } }

  /// Counts one more.
  public mutating func count(_ outcome: TAPOutcome) { counts[outcome, default: 0] += 1 }

  /// The line of kselftest, without `# `.
  public var description: String {
    "Totals: "
      + [TAPOutcome.pass, .fail, .xfail, .xpass, .skip, .error].map { "\($0.rawValue):\(self[$0])" }
      .joined(separator: " ")
  }
}
