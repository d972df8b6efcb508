// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a table word is.
public enum EntryKind: Hashable, Sendable {
  /// Not present; all bits but those that say so are free.
  case empty
  /// A pointer to the table at `child`, of level `level`.
  case table(child: UInt64, level: Int)
  /// A leaf, or one of the words of a leaf that has several.
  case leaf(DecodedLeaf)
  /// Present, but none of the format's entries at its level.
  case malformed
}

/// The leaf that a word belongs to.
public struct DecodedLeaf: Hashable, Sendable {
  /// The output address, in bytes: of the whole leaf where all words are the same, of the
  /// word's own part where each holds its own.
  public var pa: UInt64
  /// The size of the whole leaf, in bytes.
  public var size: UInt64
  /// How many words it has, and whether their addresses are consecutive.
  public var wordCount: Int
  public var isConsecutive: Bool
  /// What the word alone grants and means.
  public var protection: Protection
  public var dirty: Bool
  public var accessed: Bool
}

/// One field of a decoded word.
public struct DecodedField: Hashable, Sendable {
  public var name: String
  /// The bits, both ends inclusive.
  public var high: Int
  public var low: Int
  /// The field's value, shifted down to bit 0.
  public var value: UInt64
  public var role: FieldSpec.Role
  /// What the value means.
  public var meaning: String
  /// The manual's section.
  public var section: String
  /// Whether the value is not what the entry must hold: a reserved bit that is set, or a fixed
  /// value that differs (in malformed words).
  public var isWrong: Bool
}

/// A table word with the meaning of all its bits.
public struct DecodedWord: Hashable, Sendable {
  public var word: UInt64
  public var level: Int
  /// The manual's name of the level.
  public var levelName: String
  /// The manual's name of the kind of entry; of the nearest one when the word is malformed.
  public var entryName: String
  public var kind: EntryKind
  /// The fields, from the highest bit down.
  public var fields: [DecodedField]
  /// The names of reserved fields, faulting or not, in which bits are set.
  public var reservedSet: [String]
  /// Other things a walk would object to.
  public var problems: [String]

  /// The word in text, a line for its kind, each field, and each problem.
  public var explanation: String {
    var lines = ["\(Numbers.hex(word)) at level \(level) (\(levelName)): \(summary)"]
    let bits = fields.map { $0.high == $0.low ? "\($0.high)" : "\($0.high):\($0.low)" }
    let values = fields.map { Numbers.hex($0.value) }
    let names = fields.map(\.name)
    let widths = [bits, names, values].map { column in column.map(\.count).max() ?? 0 }
    for (position, field) in fields.enumerated() {
      let cells = [
        Self.pad(bits[position], widths[0]), Self.pad(names[position], widths[1]),
        Self.pad(values[position], widths[2]),
      ]
      let mark = field.isWrong ? "! " : "  "
      let section = field.section.isEmpty ? "" : " [\(field.section)]"
      lines.append("\(mark)\(cells.joined(separator: "  "))  \(field.meaning)\(section)")
    }
    lines += reservedSet.map { "! reserved bits set: \($0)" }
    lines += problems.map { "! \($0)" }
    return lines.joined(separator: "\n")
  }

  private var summary: String {
    switch kind {
    case .empty: return "not present"
    case .malformed: return "malformed, nearest to '\(entryName)'"
    case .table(let child, let level):
      return "\(entryName), pointer to a table of level \(level) at \(Numbers.hex(child))"
    case .leaf(let leaf):
      var text =
        "\(entryName), \(Numbers.size(leaf.size)) at \(Numbers.hex(leaf.pa)), \(leaf.protection.text)"
      if leaf.wordCount > 1 {
        text +=
          ", one of \(leaf.wordCount) \(leaf.isConsecutive ? "words with consecutive addresses" : "like words")"
      }
      return text + (leaf.dirty ? ", dirty" : "") + (leaf.accessed ? ", accessed" : "")
    }
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
