// SPDX-License-Identifier: GPL-2.0-only

/// A small expression of a format specification: integers, the keys of the configuration,
/// definitions of the specification, and what the context adds (level, protection flags).
///
/// True is 1 and false is 0. Arithmetic wraps in 64 bits; nothing traps.
public indirect enum Expression: Hashable, Sendable {
  case number(Int)
  case name(String)
  /// `KEY contains WORD`, of a configuration key that takes flags.
  case contains(key: String, word: String)
  case negated(Expression)
  case not(Expression)
  case binary(Operator, Expression, Expression)
  /// `VALUE if CONDITION else OTHER`.
  case conditional(Expression, condition: Expression, otherwise: Expression)
  case call(Function, [Expression])

  /// The operators between two operands.
  public enum Operator: String, Hashable, Sendable, CaseIterable {
    case equal = "=="
    case unequal = "!="
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case less = "<"
    case greater = ">"
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case bitAnd = "&"
    case and
    case or
  }

  /// The functions.
  public enum Function: String, Hashable, Sendable, CaseIterable {
    /// The base-2 logarithm of a power of two.
    case log2
    /// The smallest of its arguments.
    case min
    /// The largest of its arguments.
    case max
    /// The first argument divided by the second, rounded up.
    case ceildiv
    /// The number with one bit set; 0 for a position outside of 0 to 63.
    case bit
  }

  /// The names that the value depends on.
  var names: Set<String> {
    switch self {
    case .number: []
    case .name(let name): [name]
    case .contains(let key, _): [key]
    case .negated(let operand), .not(let operand): operand.names
    case .binary(_, let left, let right): left.names.union(right.names)
    case .conditional(let value, let condition, let otherwise):
      value.names.union(condition.names).union(otherwise.names)
    case .call(_, let arguments): arguments.reduce(into: []) { $0.formUnion($1.names) }
    }
  }
}

/// What a name stands for while an expression is evaluated.
enum ExpressionValue: Hashable, Sendable {
  case number(Int)
  case words(Set<String>)
}

/// The names an expression may use, with their values.
struct ExpressionScope: Sendable {
  private var values: [String: ExpressionValue] = [:]

  subscript(name: String) -> ExpressionValue? {
    get { values[name] }
    set { values[name] = newValue }
  }

  var names: [String] { Array(values.keys) }

  /// The scope with one more number.
  func with(_ name: String, _ number: Int) -> ExpressionScope {
    var copy = self
    copy.values[name] = .number(number)
    return copy
  }
}

extension Expression {
  /// The value in `scope`.
  ///
  /// - Throws: `SpecProblem` for an unknown name, a name of the wrong kind, or a division by zero.
  func evaluate(in scope: ExpressionScope) throws -> Int {
    switch self {
    case .number(let number):
      return number
    case .name(let name):
      guard let value = scope[name] else { throw Self.unknown(name, in: scope) }
      guard case .number(let number) = value else {
        throw SpecProblem("'\(name)' takes words: write '\(name) contains WORD'")
      }
      return number
    case .contains(let key, let word):
      guard let value = scope[key] else { throw Self.unknown(key, in: scope) }
      guard case .words(let words) = value else {
        throw SpecProblem("'\(key)' is a number, 'contains' needs a key that takes words")
      }
      return words.contains(word) ? 1 : 0
    case .negated(let operand):
      return try 0 &- operand.evaluate(in: scope)
    case .not(let operand):
      return try operand.evaluate(in: scope) == 0 ? 1 : 0
    case .binary(let operation, let left, let right):
      return try Self.apply(operation, left, right, in: scope)
    case .conditional(let value, let condition, let otherwise):
      return try condition.evaluate(in: scope) != 0
        ? value.evaluate(in: scope) : otherwise.evaluate(in: scope)
    case .call(let function, let arguments):
      return try Self.apply(function, arguments.map { try $0.evaluate(in: scope) })
    }
  }

  private static func unknown(_ name: String, in scope: ExpressionScope) -> SpecProblem {
    SpecProblem("unknown name '\(name)'; known are \(scope.names.sorted().joined(separator: ", "))")
  }

  private static func apply(
    _ operation: Operator, _ left: Expression, _ right: Expression, in scope: ExpressionScope
  ) throws -> Int {
    let first = try left.evaluate(in: scope)
    // The right operand of and/or need not make sense when the left one decides.
    if operation == .and, first == 0 { return 0 }
    if operation == .or, first != 0 { return 1 }
    let second = try right.evaluate(in: scope)
    switch operation {
    case .equal: return first == second ? 1 : 0
    case .unequal: return first != second ? 1 : 0
    case .lessOrEqual: return first <= second ? 1 : 0
    case .greaterOrEqual: return first >= second ? 1 : 0
    case .less: return first < second ? 1 : 0
    case .greater: return first > second ? 1 : 0
    case .add: return first &+ second
    case .subtract: return first &- second
    case .multiply: return first &* second
    case .divide: return try quotient(first, second)
    case .bitAnd: return first & second
    case .and, .or: return second != 0 ? 1 : 0
    }
  }

  private static func quotient(_ dividend: Int, _ divisor: Int) throws -> Int {
    guard divisor != 0 else { throw SpecProblem("division by zero") }
    return dividend.dividedReportingOverflow(by: divisor).partialValue
  }

  private static func apply(_ function: Function, _ arguments: [Int]) throws -> Int {
    switch function {
    case .log2:
      guard arguments.count == 1, let value = arguments.first, value > 0, value.nonzeroBitCount == 1 else {
        throw SpecProblem("log2 takes one power of two, found \(arguments)")
      }
      return value.trailingZeroBitCount
    case .min, .max:
      guard let value = function == .min ? arguments.min() : arguments.max() else {
        throw SpecProblem("\(function.rawValue) takes at least one argument")
      }
      return value
    case .ceildiv:
      guard arguments.count == 2, arguments[1] > 0, arguments[0] >= 0 else {
        throw SpecProblem("ceildiv takes two positive numbers, found \(arguments)")
      }
      return arguments[0] / arguments[1] + (arguments[0] % arguments[1] == 0 ? 0 : 1)
    case .bit:
      guard arguments.count == 1, let position = arguments.first else {
        throw SpecProblem("bit takes one position, found \(arguments)")
      }
      return (0...63).contains(position) ? 1 << position : 0
    }
  }
}
