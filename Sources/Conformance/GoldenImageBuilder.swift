// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Collects the lines of an image and sees to it that they make one.
struct GoldenImageBuilder {
  /// The widest index of any table: 16 concatenated tables of 8192 words.
  static let indexLimit: UInt64 = 1 << 17
  /// The most words of one case, so that a damaged range cannot fill memory.
  static let wordLimit = 1 << 21

  private(set) var words: [TableImage.Word] = []
  /// Level of each table, as its words or the pointer to it say, and the line that says so.
  private var levels: [Int: (level: Int, line: Int)] = [:]
  private var parents: [Int: Int] = [:]
  private var lastLine = 0

  /// Adds `Tn Ln [index] value -> Tn` or `Tn Ln [a..b] value step S`.
  mutating func add(_ line: GoldenLine, parser: GoldenParser) throws {
    var cursor = line
    lastLine = line.number
    let table = try Self.number(&cursor, behind: "T", "a table 'Tn'", parser)
    cursor.skipBlanks()
    let level = try Self.number(&cursor, behind: "L", "a level 'Ln'", parser)
    cursor.skipBlanks()
    let (first, last) = try Self.indices(&cursor, parser)
    cursor.skipBlanks()
    guard let value = cursor.takeNumber(),
      cursor.isAtEnd || cursor.bytes.first.map(GoldenLine.isBlank) == true
    else { throw Self.error(cursor, "a word", parser) }
    cursor.skipBlanks()
    try setLevel(level, of: table, line: line.number, parser)
    if cursor.take("->") {
      cursor.skipBlanks()
      let child = try Self.number(&cursor, behind: "T", "a table 'Tn'", parser)
      try parser.requireEnd(cursor)
      guard first == last else {
        throw parser.error(line.number, expected: "one word before '-> Tn'", found: line.text)
      }
      try addPointer(
        table: table, level: level, index: first, value: value, child: child, line: line.number, parser)
      return
    }
    var step: UInt64 = 0
    if cursor.take("step") {
      cursor.skipBlanks()
      guard let number = cursor.takeNumber() else { throw Self.error(cursor, "a step", parser) }
      step = number
    }
    guard cursor.isAtEnd else { throw Self.error(cursor, "'-> Tn', 'step N' or the end of the line", parser) }
    guard words.count + (last - first) < Self.wordLimit else {
      throw parser.error(line.number, expected: "at most \(Self.wordLimit) words in a case", found: line.text)
    }
    for index in first...last {
      let word = value &+ step &* UInt64(index - first)
      guard word != 0 else {
        throw parser.error(line.number, expected: "words that are not zero", found: line.text)
      }
      words.append(TableImage.Word(table: table, level: level, index: index, value: word))
    }
  }

  /// Checks what only the whole image shows: no word twice.
  mutating func finish(parser: GoldenParser) throws {
    words.sort { ($0.table, $0.index) < ($1.table, $1.index) }
    for (left, right) in zip(words, words.dropFirst())
    where left.table == right.table && left.index == right.index {
      throw parser.error(
        lastLine, expected: "each word once",
        found: "T\(left.table) [\(Numbers.hex(UInt64(left.index)))] twice")
    }
  }

  private mutating func addPointer(
    table: Int, level: Int, index: Int, value: UInt64, child: Int, line: Int, _ parser: GoldenParser
  ) throws {
    guard child > table else {
      throw parser.error(line, expected: "a table after T\(table)", found: "T\(child)")
    }
    guard level > 0 else {
      throw parser.error(line, expected: "no table below level 0", found: "T\(child)")
    }
    if let parent = parents.updateValue(table, forKey: child) {
      throw parser.error(line, expected: "one pointer to T\(child)", found: "another in T\(parent)")
    }
    try setLevel(level - 1, of: child, line: line, parser)
    words.append(TableImage.Word(table: table, level: level, index: index, value: value, child: child))
  }

  private mutating func setLevel(_ level: Int, of table: Int, line: Int, _ parser: GoldenParser) throws {
    guard let known = levels[table] else {
      levels[table] = (level, line)
      return
    }
    guard known.level == level else {
      throw parser.error(
        line, expected: "T\(table) at level \(known.level) as in line \(known.line)", found: "L\(level)")
    }
  }

  // MARK: Fields

  private static func number(
    _ cursor: inout GoldenLine, behind prefix: StaticString, _ expected: String, _ parser: GoldenParser
  ) throws -> Int {
    guard cursor.take(prefix), let number = cursor.takeNumber(), number < 1 << 24 else {
      throw error(cursor, expected, parser)
    }
    return Int(number)
  }

  private static func indices(_ cursor: inout GoldenLine, _ parser: GoldenParser) throws -> (Int, Int) {
    guard cursor.take("["), let first = cursor.takeNumber(), first < indexLimit else {
      throw error(cursor, "an index '[a]' or '[a..b]' below \(Numbers.hex(indexLimit))", parser)
    }
    var last = first
    if cursor.take("..") {
      let start = cursor
      guard let number = cursor.takeNumber(), number >= first, number < indexLimit else {
        throw error(start, "an index from \(Numbers.hex(first)) to \(Numbers.hex(indexLimit - 1))", parser)
      }
      last = number
    }
    guard cursor.take("]") else { throw error(cursor, "']'", parser) }
    return (Int(first), Int(last))
  }

  private static func error(_ cursor: GoldenLine, _ expected: String, _ parser: GoldenParser)
    -> GoldenParseError
  {
    var cursor = cursor
    cursor.skipBlanks()
    return parser.error(
      cursor.number, expected: expected, found: cursor.isAtEnd ? nil : cursor.firstWord)
  }
}
