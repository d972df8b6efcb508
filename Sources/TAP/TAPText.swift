// SPDX-License-Identifier: GPL-2.0-only

/// Texts made fit for lines of a TAP stream.
enum TAPText {
  /// Comment lines for a text of any content: one for each of its lines, without control characters.
  static func comments(_ text: String) -> [String] {
    text.split(omittingEmptySubsequences: false) { $0.isNewline }.map { line in
      let clean = String(String.UnicodeScalarView(line.unicodeScalars.map { isControl($0) ? "?" : $0 }))
      return clean.isEmpty ? "#" : "# \(looksLikeTAP(clean) ? "> " : "")\(clean)"
    }
  }

  /// Whether a text may follow a directive: short, and of one line.
  static func isReason(_ text: String) -> Bool {
    !text.isEmpty && text.unicodeScalars.count <= 80
      && text.unicodeScalars.allSatisfy { $0.isASCII && !isControl($0) && $0 != "#" && $0 != "\\" }
  }

  /// Consumers of nested streams take the comment sign off, and must not find a result behind it.
  private static func looksLikeTAP(_ line: String) -> Bool {
    let text = line.drop { $0 == " " || $0 == "#" }
    return ["ok", "not ok", "Bail out!", "TAP version", "KTAP version", "1.."].contains { text.hasPrefix($0) }
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control && scalar != "\t"
  }
}
