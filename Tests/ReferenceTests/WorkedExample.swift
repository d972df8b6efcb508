// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// A mapping with the words that each level must hold, worked out by hand from the manuals.
///
/// In text: `config CONFIGURATION` holds until restated; `map IOVA PA SIZE PROT` starts an example; then a
/// line `TABLE INDEX WORD` for each level from the root down, followed by `-> CHILD` for a table
/// pointer, `xN` for a leaf of N like words, `first N` and `last` for the ends of N consecutive ones.
struct WorkedExample {
  struct Row {
    var table: UInt64
    var index: Int
    var word: UInt64
    var child: UInt64?
    /// Of a leaf: how many words it has, and which of them the row shows.
    var count = 1
    var position = 0
  }

  var configuration: String
  var iova: UInt64
  var pa: UInt64
  var size: UInt64
  var protection: Protection
  var rows: [Row] = []

  struct Malformed: Error {
    var line: String
  }

  static func parse(_ text: String) throws -> [WorkedExample] {
    var examples: [WorkedExample] = []
    var configuration = ""
    for line in text.split(separator: "\n").map(String.init) {
      let words = line.split(separator: " ").map(String.init)
      switch words.first {
      case "config": configuration = words[1]
      case "map": examples.append(try mapping(words, configuration, line))
      default:
        guard !examples.isEmpty else { throw Malformed(line: line) }
        try examples[examples.count - 1].add(words, line)
      }
    }
    return examples
  }

  private static func mapping(_ words: [String], _ configuration: String, _ line: String) throws
    -> WorkedExample
  {
    guard words.count == 5, let iova = Numbers.parse(words[1]), let pa = Numbers.parse(words[2]),
      let size = Numbers.parseSize(words[3]), let protection = Protection(text: words[4])
    else { throw Malformed(line: line) }
    return WorkedExample(configuration: configuration, iova: iova, pa: pa, size: size, protection: protection)
  }

  private mutating func add(_ words: [String], _ line: String) throws {
    guard words.count >= 3, let table = Numbers.parse(words[0]), let index = Numbers.parse(words[1]),
      let word = Numbers.parse(words[2])
    else { throw Malformed(line: line) }
    var row = Row(table: table, index: Int(index), word: word)
    switch words.dropFirst(3).first {
    case "->": row.child = Numbers.parse(words[4])
    case "first": row.count = Int(words[4]) ?? 0
    case "last":
      row.count = rows.last?.count ?? 0
      row.position = row.count - 1
    case .some(let copies): row.count = Int(copies.dropFirst()) ?? 0
    case nil: break
    }
    rows.append(row)
  }

  /// The address of the root; the tables stand within 1 MiB from there on.
  var root: UInt64 { rows.first?.table ?? 0 }

  /// What the reference says differently; empty when it agrees with every word.
  func disagreements(_ format: ReferenceFormat) -> [String] {
    var found: [String] = []
    var level = format.rootLevel
    for row in rows {
      let index = format.index(of: iova, level: level, isRoot: level == format.rootLevel) + row.position
      if index != row.index { found.append("level \(level): index \(index), not \(row.index)") }
      let encoded: UInt64?
      if let child = row.child {
        encoded = format.encodeTable(level: level, pa: child)
        if format.decode(row.word, level: level).kind != .table(child: child, level: level - 1) {
          found.append("level \(level): \(Numbers.hex(row.word)) is no pointer to \(Numbers.hex(child))")
        }
      } else {
        encoded = format.encodeLeafWord(
          row.position, level: level, pa: pa, size: size, protection: protection)
        if format.leafWordCount(level: level, size: size) != row.count {
          found.append("level \(level): not \(row.count) words")
        }
      }
      if encoded != row.word {
        found.append(
          "level \(level): \(encoded.map(Numbers.hex) ?? "nothing") instead of \(Numbers.hex(row.word))")
      }
      if row.child != nil { level -= 1 }
    }
    return found
  }

  /// The tables of the example, in memory; identical or consecutive words are filled in.
  func memory(_ format: ReferenceFormat) -> TestMemory {
    let memory = TestMemory(base: root, wordBytes: format.wordBytes)
    for row in rows {
      memory.set(row.table, row.index, row.word)
    }
    guard let first = rows.first(where: { $0.child == nil && $0.position == 0 }), first.count > 1 else {
      return memory
    }
    let last = rows[rows.count - 1]
    let step = last.position == 0 ? 0 : (last.word - first.word) / UInt64(last.position)
    for position in 0..<first.count {
      memory.set(first.table, first.index + position, first.word + UInt64(position) * step)
    }
    return memory
  }
}
