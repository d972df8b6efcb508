// SPDX-License-Identifier: GPL-2.0-only

/// The canonical snapshot of a page table: its tables numbered depth first in ascending index
/// order from the top, and every non-zero word.
///
/// Two implementations agree when their images are equal.
public struct TableImage: Hashable, Sendable {
  /// One non-zero word.
  public struct Word: Hashable, Sendable {
    /// Ordinal of its table; 0 is the top.
    public var table: Int
    /// Level of its table; 0 is the last level.
    public var level: Int
    /// Index in the table.
    public var index: Int
    /// The word; of a table pointer, with the bits that the child's address contributes cleared.
    public var value: UInt64
    /// The ordinal of the table a pointer leads to; nil for other words.
    public var child: Int?

    public init(table: Int, level: Int, index: Int, value: UInt64, child: Int? = nil) {
      self.table = table
      self.level = level
      self.index = index
      self.value = value
      self.child = child
    }
  }

  /// The words, ordered by table and index.
  public var words: [Word]

  public init(words: [Word]) {
    self.words = words.sorted { ($0.table, $0.index) < ($1.table, $1.index) }
  }

  /// The first word, in order of table and index, that only one of two images has.
  public func firstDifference(from other: TableImage) -> (left: Word?, right: Word?)? {
    for position in 0..<max(words.count, other.words.count) {
      let left = position < words.count ? words[position] : nil
      let right = position < other.words.count ? other.words[position] : nil
      if left == right { continue }
      guard let left, let right, (left.table, left.index) != (right.table, right.index) else {
        return (left, right)
      }
      return (left.table, left.index) < (right.table, right.index) ? (left, nil) : (nil, right)
    }
    return nil
  }

  /// The image's lines in the golden grammar; runs of words with a constant step stand on one line.
  public var lines: [String] {
    var lines: [String] = []
    var start = 0
    while start < words.count {
      let first = words[start]
      var end = start + 1
      var step: UInt64 = 0
      while first.child == nil, end < words.count, words[end].child == nil,
        words[end].table == first.table, words[end].index == words[end - 1].index + 1,
        end == start + 1 || words[end].value &- words[end - 1].value == step
      {
        step = words[end].value &- words[end - 1].value
        end += 1
      }
      // Two words with unlike values read better on lines of their own.
      if end == start + 2, step != 0 { end = start + 1 }
      lines.append(Self.line(first, count: end - start, step: step))
      start = end
    }
    return lines
  }

  private static func line(_ word: Word, count: Int, step: UInt64) -> String {
    let last = count > 1 ? "..\(Numbers.hex(UInt64(word.index + count - 1)))" : ""
    var line =
      "T\(word.table) L\(word.level) [\(Numbers.hex(UInt64(word.index)))\(last)] \(Numbers.hex(word.value))"
    if count > 1, step != 0 { line += " step \(Numbers.hex(step))" }
    if let child = word.child { line += " -> T\(child)" }
    return line
  }
}

/// How a witness reads one word while a table image is taken.
public enum WordKind: Hashable, Sendable {
  /// Not a pointer: a leaf, or a word that maps nothing.
  case plain
  /// A pointer to a lower table, its physical address, and the word with the child's address cleared.
  case table(child: UInt64, cleared: UInt64)
}

/// A table pointer that leads outside of table memory.
public struct DanglingPointerError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
}

extension TableImage {
  /// Takes the image of the tables below `root`.
  ///
  /// - Parameters:
  ///   - wordBytes: the size of a table word, 4 or 8 bytes.
  ///   - wordCount: how many words a table of a level has; `isRoot` for the top table.
  ///   - classify: how the witness reads a non-zero word of a level.
  /// - Throws: `DanglingPointerError` when a pointer leads outside of `memory`.
  public init(
    root: TableRoot, memory: some PhysicalMemoryReader, wordBytes: Int = 8,
    wordCount: (_ level: Int, _ isRoot: Bool) -> Int,
    classify: (_ word: UInt64, _ level: Int) -> WordKind
  ) throws {
    try self.init(
      roots: [root], memory: memory, wordBytes: wordBytes, wordCount: wordCount, classify: classify)
  }

  /// Takes the image of the tables below each of `roots` in turn; the parameters are those of one root.
  public init(
    roots: [TableRoot], memory: some PhysicalMemoryReader, wordBytes: Int = 8,
    wordCount: (_ level: Int, _ isRoot: Bool) -> Int,
    classify: (_ word: UInt64, _ level: Int) -> WordKind
  ) throws {
    var words: [Word] = []
    var tables = 0

    func visit(_ physical: UInt64, level: Int, isRoot: Bool) throws {
      let ordinal = tables
      tables += 1
      let count = wordCount(level, isRoot)
      guard let bytes = memory.bytes(at: physical, count: count * wordBytes) else {
        throw DanglingPointerError(
          description: "the table of level \(level) at \(Numbers.hex(physical)) is not in table memory")
      }
      func add(_ index: Int, _ word: UInt64) throws {
        switch level == 0 ? .plain : classify(word, level) {
        case .plain:
          words.append(Word(table: ordinal, level: level, index: index, value: word))
        case .table(let child, let cleared):
          words.append(Word(table: ordinal, level: level, index: index, value: cleared, child: tables))
          try visit(child, level: level - 1, isRoot: false)
        }
      }
      if wordBytes == 4 {
        for (index, word) in bytes.bindMemory(to: UInt32.self).enumerated() where word != 0 {
          try add(index, UInt64(word))
        }
      } else {
        for (index, word) in bytes.bindMemory(to: UInt64.self).enumerated() where word != 0 {
          try add(index, word)
        }
      }
    }

    for root in roots { try visit(root.physical, level: root.level, isRoot: true) }
    self.init(words: words)
  }
}
