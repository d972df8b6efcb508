// SPDX-License-Identifier: GPL-2.0-only

/// The lines of a golden file that say something: comments, blanks at both ends and line ends
/// (LF or CR LF) are removed, blank lines skipped.
struct GoldenLines {
  private let bytes: [UInt8]
  private var position = 0
  /// The number of the line that `next` returned last, from 1; after the end, of the last line.
  private(set) var number = 0

  /// - Throws: `GoldenParseError` with line and column of the first byte that is no UTF-8.
  init(_ bytes: [UInt8], path: String) throws {
    self.bytes = bytes
    guard bytes.contains(where: { $0 >= 0x80 }), let (line, column) = Self.invalidPosition(bytes) else {
      return
    }
    throw GoldenParseError(
      path: path, line: line, message: "expected UTF-8, found an invalid byte in column \(column)")
  }

  /// The next line that is not blank, or nil at the end of the file.
  mutating func next() -> GoldenLine? {
    while position < bytes.count {
      let start = position
      var end = start
      var comment: Int?
      while end < bytes.count, bytes[end] != UInt8(ascii: "\n") {
        if comment == nil, bytes[end] == UInt8(ascii: "#") { comment = end }
        end += 1
      }
      position = end + 1
      number += 1
      let text = Self.trim(bytes[start..<(comment ?? end)])
      if !text.isEmpty { return GoldenLine(number: number, bytes: text) }
    }
    return nil
  }

  private static func trim(_ slice: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var slice = slice
    while let first = slice.first, GoldenLine.isBlank(first) { slice.removeFirst() }
    while let last = slice.last, GoldenLine.isBlank(last) { slice.removeLast() }
    return slice
  }

  /// Line and column (in bytes), both from 1, of the first sequence that is no UTF-8.
  private static func invalidPosition(_ bytes: [UInt8]) -> (line: Int, column: Int)? {
    var line = 1
    var column = 1
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    while true {
      switch parser.parseScalar(from: &iterator) {
      case .emptyInput: return nil
      case .error: return (line, column)
      case .valid(let scalar):
        column += scalar.count
        if scalar.first == UInt8(ascii: "\n") {
          line += 1
          column = 1
        }
      }
    }
  }
}

/// One line of a golden file, and a cursor in it. It is never empty at the start.
struct GoldenLine {
  /// From 1.
  let number: Int
  private(set) var bytes: ArraySlice<UInt8>

  init(number: Int, bytes: ArraySlice<UInt8>) {
    self.number = number
    self.bytes = bytes
  }

  static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
  }

  var isAtEnd: Bool { bytes.isEmpty }

  /// What is left of the line.
  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// The first word of what is left, without moving.
  var firstWord: String {
    String(decoding: bytes.prefix { !Self.isBlank($0) }, as: UTF8.self)
  }

  mutating func skipBlanks() {
    while let first = bytes.first, Self.isBlank(first) { bytes.removeFirst() }
  }

  /// Moves past the next word and the blanks behind it; the empty string at the end.
  mutating func takeWord() -> String {
    let word = bytes.prefix { !Self.isBlank($0) }
    bytes = bytes[word.endIndex...]
    skipBlanks()
    return String(decoding: word, as: UTF8.self)
  }

  /// The words that are left.
  var words: [String] {
    bytes.split(whereSeparator: Self.isBlank).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Moves past `text` if it stands next.
  mutating func take(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard bytes.count >= count else { return false }
    for offset in 0..<count where bytes[bytes.startIndex + offset] != text.utf8Start[offset] { return false }
    bytes.removeFirst(count)
    return true
  }

  /// Moves past a decimal number or, with `0x`, a hexadecimal one; nil when none stands next or
  /// it does not fit 64 bits.
  mutating func takeNumber() -> UInt64? {
    var rest = bytes
    let isHexadecimal = rest.starts(with: [UInt8(ascii: "0"), UInt8(ascii: "x")])
    if isHexadecimal { rest.removeFirst(2) }
    let radix: UInt64 = isHexadecimal ? 16 : 10
    var value: UInt64 = 0
    var count = 0
    while let byte = rest.first, let digit = Self.digit(byte), digit < radix {
      let (product, tooLarge) = value.multipliedReportingOverflow(by: radix)
      let (sum, overflow) = product.addingReportingOverflow(digit)
      guard !tooLarge, !overflow else { return nil }
      value = sum
      count += 1
      rest.removeFirst()
    }
    guard count > 0 else { return nil }
    bytes = rest
    return value
  }

  private static func digit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte &- UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte &- UInt8(ascii: "a") &+ 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte &- UInt8(ascii: "A") &+ 10)
    default: nil
    }
  }
}
