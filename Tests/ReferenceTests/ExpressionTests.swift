// SPDX-License-Identifier: GPL-2.0-only

import Testing

@testable import Reference

/// The expression language of specifications.
struct ExpressionTests {
  private var scope: ExpressionScope {
    var scope = ExpressionScope()
    scope["va"] = .number(48)
    scope["granule"] = .number(4096)
    scope["features"] = .words(["sign_extend"])
    return scope
  }

  private func value(_ text: String) throws -> Int {
    try Expression(text, file: "test", line: 3).evaluate(in: scope)
  }

  @Test(arguments: [
    ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("10 - 2 - 3", 5), ("7 / 2", 3), ("-4 + 1", -3), ("0x10", 16),
    ("0b101", 5), ("64K", 65536), ("4k == granule", 1), ("va >= 48 and va < 49", 1), ("not va == 48", 0),
    ("not not va", 1), ("1 or 1 / 0", 1), ("0 and 1 / 0", 0), ("features contains sign_extend", 1),
    ("features contains other", 0), ("1 if va == 47 else 2 if va == 48 else 3", 2), ("log2(granule)", 12),
    ("min(3, va, 7)", 3), ("max(3, va)", 48), ("ceildiv(28, 9)", 4), ("ceildiv(27, 9)", 3), ("bit(4)", 16),
    ("bit(64)", 0), ("bit(-1)", 0), ("12 & 10 == 8", 1), ("va != 48 or va <= 48", 1), ("va > 48", 0),
    ("9223372036854775807 + 1 < 0", 1), ("(0 - 9223372036854775807 - 1) / (0 - 1) < 0", 1),
  ])
  func values(_ text: String, _ expected: Int) throws {
    #expect(try value(text) == expected)
  }

  @Test(arguments: [
    ("1 +", "expected a value, found its end"), ("(1", "expected ')'"),
    ("1 2", "expected the end of the expression"),
    ("1 if 2", "expected 'else'"), ("vb", "unknown name 'vb'"), ("foo(1)", "unknown function 'foo'"),
    ("mix(1)", "did you mean max or min"), ("features", "write 'features contains WORD'"),
    ("va contains x", "'va' is a number"), ("1 contains x", "KEY contains WORD"), ("log2(3)", "power of two"),
    ("log2()", "power of two"), ("1 / 0", "division by zero"), ("min()", "at least one argument"),
    ("ceildiv(1)", "two positive numbers"), ("bit()", "one position"), ("12q", "expected a number"),
    ("99999999999999999999", "expected a number"), ("a $ b", "unexpected '$'"), ("", "expected a value"),
    ("if", "expected a value"), ("é", "unexpected"), ("vb contains x", "unknown name 'vb'"),
  ])
  func mistakesAreNamed(_ text: String, _ part: String) {
    do {
      let value = try self.value(text)
      Issue.record("\(text) is \(value)")
    } catch let error as SpecError {
      #expect(error.message.contains(part), "\(error)")
      #expect(error.line == 3)
    } catch let problem as SpecProblem {
      #expect(problem.message.contains(part), "\(problem)")
    } catch {
      Issue.record("\(error)")
    }
  }

  @Test func deepAndLongTextsAreRefused() {
    #expect(throws: SpecError.self) { try value(String(repeating: "(", count: 200) + "1") }
    #expect(throws: SpecError.self) { try value(String(repeating: "1+", count: 5000) + "1") }
  }

  @Test func conditionsOnWordsBecomeClauses() throws {
    let compiler = WordTestCompiler(
      scope: scope,
      fields: [
        "R": WordTestCompiler.FieldBits(mask: 1, low: 0), "W": WordTestCompiler.FieldBits(mask: 2, low: 1),
        "T": WordTestCompiler.FieldBits(mask: 0b11100, low: 2),
      ])
    let holds = { (text: String, word: UInt64) in
      try compiler.clauses(Expression(text, file: "test", line: 1)).contains { word & $0.mask == $0.value }
    }
    let conditions: [(String, (UInt64) -> Bool)] = [
      ("R", { $0 & 1 == 1 }), ("not R", { $0 & 1 == 0 }), ("R and W", { $0 & 3 == 3 }),
      ("R or W", { $0 & 3 != 0 }), ("not (R or W)", { $0 & 3 == 0 }), ("not (R and W)", { $0 & 3 != 3 }),
      ("T == 5", { $0 >> 2 & 7 == 5 }), ("T != 5", { $0 >> 2 & 7 != 5 }), ("T", { $0 >> 2 & 7 != 0 }),
      ("not T", { $0 >> 2 & 7 == 0 }), ("T == 9", { _ in false }), ("T != 9", { _ in true }),
      ("va == 48 and R", { $0 & 1 == 1 }), ("va == 47 and R", { _ in false }),
      ("va == 48 or R", { _ in true }),
      ("not (va == 47 and R)", { _ in true }), ("R and not R", { _ in false }), ("1", { _ in true }),
      ("T == (2 if va == 48 else 3)", { $0 >> 2 & 7 == 2 }),
      ("T == 1 or T == 2 and W", { $0 >> 2 & 7 == 1 || $0 >> 2 & 7 == 2 && $0 & 2 != 0 }),
    ]
    for (text, expected) in conditions {
      for word in 0..<UInt64(32) {
        #expect(try holds(text, word) == expected(word), "\(text) of \(word)")
      }
    }
    for text in ["R + 1", "R == W", "va == R", "T < 3", "(R or W) == 1"] {
      #expect(throws: SpecProblem.self, "\(text)") { try holds(text, 0) }
    }
    let many = Array(repeating: "(T != 1)", count: 5).joined(separator: " and ")
    #expect(throws: SpecProblem.self) { try holds(many, 0) }
  }

  @Test func faultKeysAreInOrder() {
    #expect(FaultKey.allCases.map(\.ordinal) == Array(0..<FaultKey.allCases.count))
  }
}
