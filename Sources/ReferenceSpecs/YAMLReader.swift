// SPDX-License-Identifier: GPL-2.0-only

import Reference

/// Reads the part of YAML that specification files use: mappings and lists, in blocks or between braces and brackets,
/// plain and quoted text on one line, comments. All else (anchors, tags, text over several lines) is an error.
///
/// A reader of all of YAML would bring Foundation and its Unicode tables into static binaries, 40 MB of them.
struct YAMLReader {
  var scanner: YAMLScanner

  // Files have four or five; without a limit a file of brackets would use up the stack.
  private static let maximumDepth = 32

  /// - Throws: `SpecError` for characters that no text has.
  init(_ text: String, file: String) throws {
    scanner = try YAMLScanner(text, file: file)
  }

  /// All that stands in the file.
  ///
  /// - Throws: `SpecError` with the line and what was expected there.
  mutating func document() throws -> SpecTree {
    try scanner.skipToToken()
    if scanner.skipDocumentStart() { try scanner.skipToToken() }
    guard !scanner.isAtEnd else {
      throw SpecError(file: scanner.file, line: 0, "expected a format, found nothing")
    }
    let tree = try block(depth: 0)
    try scanner.skipToToken()
    guard scanner.isAtEnd else {
      throw scanner.error("expected a key or '- ' in the column of those before it; text stays on its line")
    }
    return tree
  }

  // MARK: Blocks

  /// What begins at the token here: a list, a mapping, or a value on this line.
  private mutating func block(depth: Int) throws -> SpecTree {
    let (line, column) = (scanner.line, scanner.column)
    if scanner.isAtDash { return try list(column: column, depth: depth) }
    if scanner.isAtBracket { return try closed(try flow(depth: depth)) }
    let text = try scanner.scalar(isInFlow: false)
    scanner.skipSpaces()
    guard scanner.isAtColon else { return try closed(SpecTree(content: .scalar(text), line: line)) }
    return try mapping(first: text, line: line, column: column, depth: depth)
  }

  /// A mapping whose first key has been read.
  private mutating func mapping(first: String, line: Int, column: Int, depth: Int) throws -> SpecTree {
    var (key, keyLine) = (first, line)
    var pairs: [SpecTree.Pair] = []
    while true {
      scanner.advance()
      try add(
        SpecTree.Pair(
          key: key, keyLine: keyLine, value: try value(below: column, line: keyLine, depth: depth)),
        to: &pairs)
      try scanner.skipToToken()
      guard !scanner.isAtEnd, scanner.column == column else { break }
      guard !scanner.isAtDash, !scanner.isAtBracket else {
        throw scanner.error("expected 'KEY: VALUE' beside the keys before it")
      }
      keyLine = scanner.line
      key = try scanner.scalar(isInFlow: false)
      scanner.skipSpaces()
      guard scanner.isAtColon else { throw scanner.error("expected ': ' after the key '\(key)'") }
    }
    return SpecTree(content: .mapping(pairs), line: line)
  }

  private func add(_ pair: SpecTree.Pair, to pairs: inout [SpecTree.Pair]) throws {
    guard !pairs.contains(where: { $0.key == pair.key }) else {
      throw SpecError(file: scanner.file, line: pair.keyLine, "keys given twice: \(pair.key)")
    }
    pairs.append(pair)
  }

  /// The value of a key in `column`: on the key's line, or below it and further right; a list may stand in the same column.
  private mutating func value(below column: Int, line: Int, depth: Int) throws -> SpecTree {
    scanner.skipSpaces()
    guard scanner.isAtLineEnd else {
      guard !scanner.isAtDash else { throw scanner.error("a list begins on a line of its own") }
      if scanner.isAtBracket { return try closed(try flow(depth: depth)) }
      let text = try scanner.scalar(isInFlow: false)
      scanner.skipSpaces()
      guard !scanner.isAtColon else { throw scanner.error("a second ': ' on the line: quote the text") }
      return try closed(SpecTree(content: .scalar(text), line: line))
    }
    try scanner.skipToToken()
    let isInside =
      scanner.column > column || scanner.column == column && scanner.isAtDash
    guard !scanner.isAtEnd, isInside else { return SpecTree(content: .scalar(""), line: line) }
    return try block(depth: deeper(depth))
  }

  private mutating func list(column: Int, depth: Int) throws -> SpecTree {
    let line = scanner.line
    var elements: [SpecTree] = []
    repeat {
      let dashLine = scanner.line
      scanner.advance()
      scanner.skipSpaces()
      if scanner.isAtLineEnd { try scanner.skipToToken() }
      if scanner.isAtEnd || scanner.column <= column {
        elements.append(SpecTree(content: .scalar(""), line: dashLine))
      } else {
        elements.append(try block(depth: deeper(depth)))
      }
      try scanner.skipToToken()
    } while !scanner.isAtEnd && scanner.column == column && scanner.isAtDash
    return SpecTree(content: .list(elements), line: line)
  }

  /// A value that ends its line.
  private mutating func closed(_ tree: SpecTree) throws -> SpecTree {
    scanner.skipSpaces()
    guard scanner.isAtLineEnd else { throw scanner.error("expected the end of the line after a value") }
    return tree
  }

  private func deeper(_ depth: Int) throws -> Int {
    guard depth < Self.maximumDepth else { throw scanner.error("more than \(Self.maximumDepth) levels") }
    return depth + 1
  }

  // MARK: Between braces and brackets

  /// What stands between `{` and `}` or `[` and `]`, on as many lines as it takes.
  private mutating func flow(depth: Int) throws -> SpecTree {
    let line = scanner.line
    let depth = try deeper(depth)
    guard scanner.isAtBracket else {
      return SpecTree(content: .scalar(try scanner.scalar(isInFlow: true)), line: line)
    }
    let isMapping = scanner.isAt("{")
    let closing: Character = isMapping ? "}" : "]"
    var (pairs, elements): ([SpecTree.Pair], [SpecTree]) = ([], [])
    scanner.advance()
    try scanner.skipToToken()
    while !scanner.isAt(closing) {
      if isMapping {
        try add(try flowPair(depth: depth), to: &pairs)
      } else {
        elements.append(try flow(depth: depth))
      }
      try scanner.skipToToken()
      if scanner.isAt(closing) { break }
      guard scanner.isAt(",") else { throw scanner.error("did not find the ',' or '\(closing)' that is due") }
      scanner.advance()
      try scanner.skipToToken()
    }
    scanner.advance()
    return SpecTree(content: isMapping ? .mapping(pairs) : .list(elements), line: line)
  }

  private mutating func flowPair(depth: Int) throws -> SpecTree.Pair {
    let line = scanner.line
    let key = try scanner.scalar(isInFlow: true)
    scanner.skipSpaces()
    guard scanner.isAtColon else { throw scanner.error("did not find the ': ' that is due after '\(key)'") }
    scanner.advance()
    try scanner.skipToToken()
    if scanner.isAt(",") || scanner.isAt("}") {
      return SpecTree.Pair(key: key, keyLine: line, value: SpecTree(content: .scalar(""), line: line))
    }
    return SpecTree.Pair(key: key, keyLine: line, value: try flow(depth: depth))
  }
}
