// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Bits of a structure that have a name. Bit numbers count from the start of the structure, as manuals count them.
struct StructureField: Sendable {
  let name: String
  let high: Int
  let low: Int
  let text: String

  init(_ name: String, _ high: Int, _ low: Int, _ text: String = "") {
    self.name = name
    self.high = high
    self.low = low
    self.text = text
  }

  init(_ name: String, _ bit: Int, _ text: String = "") { self.init(name, bit, bit, text) }
}

/// What a structure in memory looks like. Bits without a field are reserved and must be 0.
struct StructureLayout: Sendable {
  let name: String
  /// The manual's section.
  let section: String
  /// Its size in words of 8 bytes.
  let wordCount: Int
  let fields: [StructureField]
  /// For each word, the bits that no field has.
  let reserved: [UInt64]

  init(_ name: String, section: String, wordCount: Int, _ fields: [StructureField]) {
    self.name = name
    self.section = section
    self.wordCount = wordCount
    self.fields = fields
    var reserved = Array(repeating: ~UInt64(0), count: wordCount)
    for field in fields where field.high / 64 < wordCount {
      reserved[field.low / 64] &= ~Bits.mask(field.high % 64, field.low % 64)
    }
    self.reserved = reserved
  }
}

/// A structure as it was found in memory.
public struct Structure: Sendable, CustomStringConvertible {
  let layout: StructureLayout
  /// Its physical address, in bytes.
  public let physical: UInt64
  /// Its words of 8 bytes.
  public let words: [UInt64]

  /// The manual's name, for example `context entry`.
  public var name: String { layout.name }

  /// The value of a field of the layout.
  subscript(_ name: String) -> UInt64 {
    guard let field = layout.fields.first(where: { $0.name == name }), field.low / 64 < words.count else {
      assertionFailure("\(layout.name) has no field \(name)")
      return 0
    }
    return Self.value(field, words)
  }

  /// The reserved bits that are set, by word.
  var reservedSet: [(word: Int, bits: UInt64)] {
    words.indices.compactMap { index in
      let bits = words[index] & layout.reserved[index]
      return bits == 0 ? nil : (index, bits)
    }
  }

  /// One line: name, address, words.
  public var description: String {
    "\(name) at \(Numbers.hex(physical)): " + words.map { Numbers.hex($0) }.joined(separator: " ")
  }

  /// The fields that are not 0, a line each, and the reserved bits that are set.
  public var explanation: [String] {
    let fields = layout.fields.filter { Self.value($0, words) != 0 }
    let lines = fields.map { field -> String in
      let bits = field.high == field.low ? "\(field.high)" : "\(field.high):\(field.low)"
      let text = field.text.isEmpty ? "" : "  \(field.text)"
      return "\(bits) \(field.name) = \(Numbers.hex(Self.value(field, words)))\(text)"
    }
    return lines
      + reservedSet.map {
        "! reserved bits set in word \($0.word): \(Numbers.hex($0.bits)) [\(layout.section)]"
      }
  }

  private static func value(_ field: StructureField, _ words: [UInt64]) -> UInt64 {
    (words[field.low / 64] & Bits.mask(field.high % 64, field.low % 64)) &>> UInt64(field.low % 64)
  }
}
