// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// Two words of a table side by side.
enum WordText {
  /// The word that stands there and the one that should, field by field; `!` marks where they differ.
  static func both(_ format: ReferenceFormat, actual: UInt64, expected: UInt64, level: Int) -> [String] {
    let found = format.decode(actual, level: level)
    let wanted = format.decode(expected, level: level)
    let sameFields = found.fields.map { [$0.high, $0.low] } == wanted.fields.map { [$0.high, $0.low] }
    guard sameFields else {
      return ["found:"] + lines(found) + ["expected:"] + lines(wanted)
    }
    var text = ["found    " + firstLine(found), "expected " + firstLine(wanted)]
    for (field, other) in zip(found.fields, wanted.fields) {
      let bits = field.high == field.low ? "\(field.high)" : "\(field.high):\(field.low)"
      let differs = field.value != other.value
      let values =
        differs
        ? "\(Numbers.hex(field.value)), expected \(Numbers.hex(other.value))" : Numbers.hex(field.value)
      text.append("\(differs ? "!" : " ") \(bits) \(field.name) \(values)  \(field.meaning)")
    }
    return text
  }

  private static func lines(_ word: DecodedWord) -> [String] {
    word.explanation.split(separator: "\n").map { "  " + $0 }
  }

  private static func firstLine(_ word: DecodedWord) -> String {
    word.explanation.split(separator: "\n").first.map { String($0) } ?? ""
  }
}
