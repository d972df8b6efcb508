// SPDX-License-Identifier: GPL-2.0-only

import Reference

/// The text of a specification file, with a place in it: what skips blanks and comments, and reads texts.
struct YAMLScanner {
  let file: String
  private let bytes: [UInt8]
  private var position = 0
  private var lineStart = 0
  /// The line of the place, from 1.
  private(set) var line = 1

  /// - Throws: `SpecError` for a tab or another character that no text has.
  init(_ text: String, file: String) throws {
    self.file = file
    bytes = Array(text.replacing("\r\n", with: "\n").utf8)
    var line = 1
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      if scalar == "\n" {
        line += 1
      } else if !Self.isText(scalar) {
        let tab = scalar == "\t" ? ": indent and separate by spaces, not by a tab" : ""
        throw SpecError(
          file: file, line: line, "the character U+\(String(scalar.value, radix: 16)) cannot stand here\(tab)"
        )
      }
    }
  }

  /// Neither control characters nor other ends of lines than "\n".
  private static func isText(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20...0x7e, 0xa0...0x2027, 0x202a...0xd7ff, 0xe000...0xfefe, 0xff00...0xfffd, 0x10000...: true
    default: false
    }
  }

  // MARK: Where it stands

  private func byte(_ offset: Int = 0) -> UInt8? {
    bytes.indices.contains(position + offset) ? bytes[position + offset] : nil
  }

  private func isBlank(_ offset: Int) -> Bool {
    guard let byte = byte(offset) else { return true }
    return byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n")
  }

  func isAt(_ character: Character) -> Bool { byte().map { $0 == character.asciiValue } ?? false }

  var isAtEnd: Bool { position >= bytes.count }
  /// The place's distance from the start of its line.
  var column: Int { position - lineStart }
  var isAtDash: Bool { isAt("-") && isBlank(1) }
  var isAtColon: Bool { isAt(":") && isBlank(1) }
  var isAtBracket: Bool { isAt("{") || isAt("[") }
  /// Whether nothing but a comment follows on the line.
  var isAtLineEnd: Bool { isAtEnd || isAt("\n") || isAtComment }

  private var isAtComment: Bool { isAt("#") && isBlank(-1) }

  func error(_ message: String) -> SpecError { SpecError(file: file, line: line, message) }

  // MARK: Going on

  /// Goes over the character here, which is no end of a line.
  mutating func advance() { position += 1 }

  mutating func skipSpaces() {
    while isAt(" ") { position += 1 }
  }

  /// Goes to the next token, over spaces, ends of lines and comments.
  mutating func skipToToken() throws {
    while let byte = byte() {
      if byte == UInt8(ascii: "\n") {
        position += 1
        line += 1
        lineStart = position
      } else if byte == UInt8(ascii: " ") {
        position += 1
      } else if isAtComment {
        while !isAtEnd, !isAt("\n") { position += 1 }
      } else {
        return
      }
    }
  }

  /// Goes over `---` on a line of its own; returns whether it was there.
  mutating func skipDocumentStart() -> Bool {
    guard column == 0, startsMarker("---"), isBlank(3) else { return false }
    position += 3
    skipSpaces()
    return true
  }

  private func startsMarker(_ marker: String) -> Bool { bytes[position...].starts(with: marker.utf8) }

  // MARK: Texts

  /// The text here, quoted or plain; it ends on its line.
  mutating func scalar(isInFlow: Bool) throws -> String {
    if isAt("\"") { return try quoted() }
    if isAt("'") { return try singleQuoted() }
    return try plain(isInFlow: isInFlow)
  }

  private mutating func plain(isInFlow: Bool) throws -> String {
    guard let first = byte() else { throw error("expected a text, found the end of the file") }
    // Characters that mean something else in YAML when they come first.
    let isReserved = "?:,[]{}#&*!|>%@`".utf8.contains(first) || isAtDash
    let isMarker = column == 0 && (startsMarker("---") || startsMarker("..."))
    guard !isReserved, !isMarker else {
      throw error("expected a text, found '\(Character(Unicode.Scalar(first)))': quote what begins with it")
    }
    let start = position
    while let byte = byte(), byte != UInt8(ascii: "\n"), !isAtColon, !isAtComment {
      if isInFlow {
        if ",[]{}".utf8.contains(byte) { break }
        let next = self.byte(1) ?? 0
        guard byte != UInt8(ascii: ":") || !",[]{}?".utf8.contains(next),
          byte != UInt8(ascii: "?") || !isBlank(1)
        else { throw error("found '\(Character(Unicode.Scalar(byte)))' in a text: quote it") }
      }
      position += 1
    }
    var end = position
    while end > start, bytes[end - 1] == UInt8(ascii: " ") { end -= 1 }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  private mutating func quoted() throws -> String {
    var text: [UInt8] = []
    position += 1
    while let byte = byte(), byte != UInt8(ascii: "\n") {
      position += 1
      if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      switch self.byte() {
      case UInt8(ascii: "\""): text.append(UInt8(ascii: "\""))
      case UInt8(ascii: "\\"): text.append(UInt8(ascii: "\\"))
      case UInt8(ascii: "n"): text.append(UInt8(ascii: "\n"))
      default: throw error(#"after a backslash expected ", \ or n"#)
      }
      position += 1
    }
    throw error("a quoted text ends on its line")
  }

  private mutating func singleQuoted() throws -> String {
    var text: [UInt8] = []
    position += 1
    while let byte = byte(), byte != UInt8(ascii: "\n") {
      position += 1
      if byte == UInt8(ascii: "'") {
        guard isAt("'") else { return String(decoding: text, as: UTF8.self) }
        position += 1
      }
      text.append(byte)
    }
    throw error("a quoted text ends on its line")
  }
}
