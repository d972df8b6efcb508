// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Reads expressions. Lowest precedence first: `a if c else b`, `or`, `and`, `not`,
/// comparisons and `contains`, `&`, `+ -`, `* /`, unary minus.
struct ExpressionParser {
  private enum Token: Hashable {
    case number(Int)
    case word(String)
    case symbol(String)

    var text: String {
      switch self {
      case .number(let number): String(number)
      case .word(let text), .symbol(let text): text
      }
    }
  }

  private let source: String
  private var tokens: [Token] = []
  private var position = 0
  private var depth = 0

  private static let keywords: Set<String> = ["if", "else", "and", "or", "not", "contains"]
  private static let symbols = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "&", "(", ")", ","]
  // Enough for any sensible text; bounds so that no text exhausts the stack.
  private static let maximumDepth = 40
  private static let maximumLength = 1000

  private init(_ source: String) { self.source = source }

  /// Reads all of `text` as one expression.
  ///
  /// - Throws: `SpecProblem` that says what was expected.
  static func parse(_ text: String) throws -> Expression {
    guard text.utf8.count <= maximumLength else {
      throw SpecProblem("an expression of more than \(maximumLength) characters")
    }
    var parser = ExpressionParser(text)
    parser.tokens = try tokenize(text)
    let expression = try parser.conditional()
    guard parser.position == parser.tokens.count else { throw parser.expected("the end of the expression") }
    return expression
  }

  private static func tokenize(_ text: String) throws -> [Token] {
    var tokens: [Token] = []
    var rest = Substring(text)
    while let first = rest.first {
      if first == " " {
        rest = rest.dropFirst()
      } else if first.isASCII, first.isLetter || first.isNumber || first == "_" {
        let run = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        tokens.append(first.isNumber ? .number(try number(run)) : .word(String(run)))
        rest = rest.dropFirst(run.count)
      } else if let symbol = symbols.first(where: { rest.hasPrefix($0) }) {
        tokens.append(.symbol(symbol))
        rest = rest.dropFirst(symbol.count)
      } else {
        throw SpecProblem("'\(text)': unexpected '\(first)' in an expression")
      }
    }
    return tokens
  }

  private static func number(_ run: Substring) throws -> Int {
    if run.hasPrefix("0b"), let value = Int(run.dropFirst(2), radix: 2) { return value }
    guard let value = Numbers.parseSize(run), let exact = Int(exactly: value) else {
      throw SpecProblem("expected a number such as 12, 0x1f, 0b101 or 64K, found '\(run)'")
    }
    return exact
  }

  private func expected(_ what: String) -> SpecProblem {
    let found = position < tokens.count ? "'\(tokens[position].text)'" : "its end"
    return SpecProblem("'\(source)': expected \(what), found \(found)")
  }

  private mutating func take(_ text: String) -> Bool {
    guard position < tokens.count else { return false }
    switch tokens[position] {
    case .word(text), .symbol(text):
      position += 1
      return true
    default:
      return false
    }
  }

  private mutating func conditional() throws -> Expression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw SpecProblem("'\(source)': nested too deeply") }
    let value = try disjunction()
    guard take("if") else { return value }
    let condition = try disjunction()
    guard take("else") else { throw expected("'else'") }
    return .conditional(value, condition: condition, otherwise: try conditional())
  }

  private mutating func disjunction() throws -> Expression {
    var left = try conjunction()
    while take("or") { left = .binary(.or, left, try conjunction()) }
    return left
  }

  private mutating func conjunction() throws -> Expression {
    var left = try negation()
    while take("and") { left = .binary(.and, left, try negation()) }
    return left
  }

  private mutating func negation() throws -> Expression {
    var negations = 0
    while take("not") { negations += 1 }
    let operand = try comparison()
    if negations == 0 { return operand }
    return negations.isMultiple(of: 2) ? .not(.not(operand)) : .not(operand)
  }

  private mutating func comparison() throws -> Expression {
    let left = try bitAnd()
    if take("contains") {
      guard case .name(let key) = left, position < tokens.count, case .word(let word) = tokens[position]
      else {
        throw expected("KEY contains WORD")
      }
      position += 1
      return .contains(key: key, word: word)
    }
    for operation in [Expression.Operator.equal, .unequal, .lessOrEqual, .greaterOrEqual, .less, .greater]
    where take(operation.rawValue) {
      return .binary(operation, left, try bitAnd())
    }
    return left
  }

  private mutating func bitAnd() throws -> Expression {
    var left = try sum()
    while take("&") { left = .binary(.bitAnd, left, try sum()) }
    return left
  }

  private mutating func sum() throws -> Expression {
    var left = try product()
    while true {
      if take("+") {
        left = .binary(.add, left, try product())
      } else if take("-") {
        left = .binary(.subtract, left, try product())
      } else {
        return left
      }
    }
  }

  private mutating func product() throws -> Expression {
    var left = try unary()
    while true {
      if take("*") {
        left = .binary(.multiply, left, try unary())
      } else if take("/") {
        left = .binary(.divide, left, try unary())
      } else {
        return left
      }
    }
  }

  private mutating func unary() throws -> Expression {
    guard take("-") else { return try primary() }
    return .negated(try primary())
  }

  private mutating func primary() throws -> Expression {
    if take("(") {
      let inner = try conditional()
      guard take(")") else { throw expected("')'") }
      return inner
    }
    guard position < tokens.count else { throw expected("a value") }
    switch tokens[position] {
    case .number(let number):
      position += 1
      return .number(number)
    case .word(let word) where !Self.keywords.contains(word):
      position += 1
      return take("(") ? try call(word) : .name(word)
    default:
      throw expected("a value")
    }
  }

  private mutating func call(_ name: String) throws -> Expression {
    guard let function = Expression.Function(rawValue: name) else {
      let known = Expression.Function.allCases.map(\.rawValue)
      throw SpecProblem(
        "unknown function '\(name)'\(Nearest.hint(name, in: known)); known are \(known.joined(separator: ", "))"
      )
    }
    var arguments: [Expression] = []
    if take(")") { return .call(function, arguments) }
    repeat { arguments.append(try conditional()) } while take(",")
    guard take(")") else { throw expected("')'") }
    return .call(function, arguments)
  }
}

extension Expression {
  /// Reads an expression.
  ///
  /// - Throws: `SpecError` naming `file` and `line`.
  public init(_ text: String, file: String, line: Int) throws {
    do {
      self = try ExpressionParser.parse(text)
    } catch let problem as SpecProblem {
      throw SpecError(file: file, line: line, problem.message)
    }
  }
}
