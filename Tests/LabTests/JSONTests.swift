// SPDX-License-Identifier: GPL-2.0-only

import Testing

@testable import Lab

@Suite struct JSONTests {
  private func read(_ text: String) throws -> JSONValue { try JSONReader.value(Array(text.utf8)) }

  @Test func valuesAreRead() throws {
    let value = try read(#" {"a": [1, -2.5e1, true, null], "b": {"c": "x\n\u0041\ud83d\ude00\ud800 \/"}} "#)
    #expect(value["a"] == .array([.integer(1), .real(-25), .bool(true), .null]))
    #expect(value["b"]?["c"]?.text == "x\nA\u{1f600}\u{fffd} /")
    #expect(try read("[]") == .array([]))
    #expect(try read("{}") == .object([:]))
    #expect(try read("-9223372036854775808") == .integer(.min))
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let value = JSONValue.object(["q\"\\\n": .array([.text("é\u{1}"), .bool(false), .integer(-7), .null])])
    #expect(try read(value.line) == value)
    #expect(!value.line.contains("\n"))
  }

  @Test(arguments: [
    ("", 0, "a value"), ("{", 1, "a name"), ("{\"a\"", 4, "':'"), ("{\"a\":1", 6, "',' or '}'"),
    ("[1", 2, "',' or ']'"),
    ("[1,]", 3, "a value"), ("\"abc", 4, "'\"'"), ("\"a\nb\"", 2, "no control character"),
    ("\"\\x\"", 2, "an escape"),
    ("\"\\u12", 3, "four digits"), ("\"\\u+123\"", 3, "four digits"), ("tru", 0, "'true'"),
    ("1 2", 2, "the end"),
    ("--", 0, "a value"), ("\"\\", 2, "an escape"),
  ])
  func badTextIsRefused(text: String, offset: Int, expected: String) {
    #expect(throws: JSONError(offset: offset, expected: expected)) { try read(text) }
  }

  @Test func deepNestingIsRefused() {
    #expect(throws: JSONError.self) { try read(String(repeating: "[", count: 100_000)) }
    #expect(throws: Never.self) {
      try read(String(repeating: "[", count: 60) + String(repeating: "]", count: 60))
    }
  }
}
