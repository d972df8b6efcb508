// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// A word in a table, where a rule looks at it.
struct WordContext {
  var reference: ReferenceFormat
  var level: Int
  /// Its index in its table.
  var index: Int
  /// The leaf that the left side maps there, if it does.
  var leaf: LeafList.Leaf?
}

/// The right side's word, from the left side's.
typealias WordTransform = (_ word: UInt64, _ context: WordContext) -> UInt64

/// A difference between two sides that is there by design. A rule says exactly what each side does; whatever differs
/// in any other way is reported.
public struct CompareRule: Sendable {
  /// Its name: words of letters and digits joined by `-`.
  public let name: String
  /// Which sides, formats and eras it is about.
  public let scope: String
  /// What it excuses: bits of words, results, or what is mapped.
  public let excuses: String
  /// What each side does, and the Linux behaviour behind that.
  public let reason: String
  /// Whether it can apply when two sides are compared.
  let applies: @Sendable (_ left: ResolvedSide, _ right: ResolvedSide) -> Bool
  /// For rules about words: made once for two configurations, it gives the word of the right side from that of the
  /// left; the same word where the rule has nothing to say. Nil for rules about operations, which the right side's
  /// predictor names when they apply.
  let word: (@Sendable (_ left: Configuration, _ right: Configuration) -> WordTransform)?

  init(
    _ name: String, scope: String, excuses: String, reason: String,
    applies: @escaping @Sendable (_ left: ResolvedSide, _ right: ResolvedSide) -> Bool,
    word: (@Sendable (_ left: Configuration, _ right: Configuration) -> WordTransform)? = nil
  ) {
    self.name = name
    self.scope = scope
    self.excuses = excuses
    self.reason = reason
    self.applies = applies
    self.word = word
  }

  /// All rules.
  public static let all: [CompareRule] = genericRules + wordRules + LegacyRule.rules
}

/// How often rules applied.
public struct RuleTally: Hashable, Sendable {
  /// By the rule's name.
  public private(set) var counts: [String: Int] = [:]
  /// The rules that could have applied.
  public private(set) var applicable: Set<String> = []

  public init() {}

  public init(counts: [String: Int], applicable: Set<String>) {
    self.counts = counts
    self.applicable = applicable
  }

  mutating func note(_ name: String) { counts[name, default: 0] += 1 }
  mutating func expect(_ names: some Sequence<String>) { applicable.formUnion(names) }

  /// Adds another run's.
  public mutating func add(_ other: RuleTally) {
    counts.merge(other.counts, uniquingKeysWith: +)
    applicable.formUnion(other.applicable)
  }

  /// The applicable rules that never applied, in the order of the table.
  public var unused: [String] {
    CompareRule.all.map(\.name).filter { applicable.contains($0) && counts[$0] == nil }
  }

  /// The rules that applied and how often, in the order of the table.
  public var used: [(name: String, count: Int)] {
    CompareRule.all.compactMap { rule in counts[rule.name].map { (rule.name, $0) } }
  }
}
