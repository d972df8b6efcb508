// SPDX-License-Identifier: GPL-2.0-only

/// One alternative of a condition on words: the bits of `mask` hold `value`.
struct WordClause: Hashable, Sendable {
  var mask: UInt64
  var value: UInt64

  static let always = WordClause(mask: 0, value: 0)

  /// Both clauses at once; nil when they contradict each other.
  func and(_ other: WordClause) -> WordClause? {
    guard (value ^ other.value) & mask & other.mask == 0 else { return nil }
    return WordClause(mask: mask | other.mask, value: value | other.value)
  }
}

/// Where the alternatives of a condition stand in a format's list of clauses.
struct WordTest: Hashable, Sendable {
  var start: Int32
  var count: Int32

  static let never = WordTest(start: 0, count: 0)
}

/// Turns conditions over the names of fields into clauses, once per configuration.
struct WordTestCompiler {
  /// A field's bits in the word.
  struct FieldBits {
    var mask: UInt64
    var low: Int
  }

  let scope: ExpressionScope
  let fields: [String: FieldBits]

  // Any sensible condition has a handful of alternatives.
  private static let maximumClauses = 64

  /// The alternatives under which `expression` holds; no alternative is never.
  func clauses(_ expression: Expression, negated: Bool = false) throws -> [WordClause] {
    if !expression.names.contains(where: { fields[$0] != nil }) {
      let holds = try expression.evaluate(in: scope) != 0
      return holds != negated ? [.always] : []
    }
    switch expression {
    case .name(let name):
      return try compare(name, 0, equal: negated)
    case .not(let operand):
      return try clauses(operand, negated: !negated)
    case .binary(.equal, .name(let name), let right):
      return try compare(name, right.evaluate(in: scope), equal: !negated)
    case .binary(.unequal, .name(let name), let right):
      return try compare(name, right.evaluate(in: scope), equal: negated)
    case .binary(.and, let left, let right):
      return try join(left, right, conjunction: !negated, negated: negated)
    case .binary(.or, let left, let right):
      return try join(left, right, conjunction: negated, negated: negated)
    default:
      throw SpecProblem(
        "a condition on a word combines FIELD, FIELD == VALUE and FIELD != VALUE with and, or, not")
    }
  }

  private func compare(_ name: String, _ value: Int, equal: Bool) throws -> [WordClause] {
    guard let field = fields[name] else {
      throw SpecProblem("a condition on a word compares a field with a value; '\(name)' is no field")
    }
    let wanted = UInt64(bitPattern: Int64(value)) &<< UInt64(field.low)
    let fits = wanted & ~field.mask == 0 && wanted &>> UInt64(field.low) == UInt64(bitPattern: Int64(value))
    if equal { return fits ? [WordClause(mask: field.mask, value: wanted)] : [] }
    guard fits else { return [.always] }
    // Unequal: some bit differs.
    var alternatives: [WordClause] = []
    var rest = field.mask
    while rest != 0 {
      let bit = rest & (~rest &+ 1)
      alternatives.append(WordClause(mask: bit, value: ~wanted & bit))
      rest &= ~bit
    }
    return alternatives
  }

  private func join(
    _ left: Expression, _ right: Expression, conjunction: Bool, negated: Bool
  ) throws -> [WordClause] {
    let first = try clauses(left, negated: negated)
    let second = try clauses(right, negated: negated)
    let joined =
      conjunction ? first.flatMap { clause in second.compactMap { clause.and($0) } } : first + second
    guard joined.count <= Self.maximumClauses else {
      throw SpecProblem("the condition has more than \(Self.maximumClauses) alternatives")
    }
    return joined
  }
}
