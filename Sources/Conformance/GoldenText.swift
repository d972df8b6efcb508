// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Texts of findings.
enum GoldenText {
  /// The first difference of two images, or nil when they are equal.
  static func difference(expected: TableImage, found: TableImage) -> String? {
    guard let difference = expected.firstDifference(from: found) else { return nil }
    guard let place = difference.left ?? difference.right else { return nil }
    return "T\(place.table) L\(place.level) [\(Numbers.hex(UInt64(clamping: place.index)))]: "
      + "expected \(word(difference.left)), found \(word(difference.right))"
  }

  /// Results in the grammar's words, `nothing` for none.
  static func result(_ result: OperationResult) -> String {
    let text = result.text
    return text.isEmpty ? "nothing" : "'\(text)'"
  }

  static func notes(_ notes: [OperationNote]) -> String {
    notes.isEmpty ? "no note" : "'\(notes.map { "! \($0.text)" }.joined(separator: " "))'"
  }

  static func word(_ word: UInt64?) -> String { word.map(Numbers.hex) ?? "invalid" }

  private static func word(_ word: TableImage.Word?) -> String {
    guard let word else { return "0x0" }
    return Numbers.hex(word.value) + (word.child.map { " -> T\($0)" } ?? "")
  }
}
