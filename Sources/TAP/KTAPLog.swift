// SPDX-License-Identifier: GPL-2.0-only

/// Lines of logs of consoles and kernels, with what these put around them taken off.
enum KTAPLog {
  /// A line as the program wrote it.
  struct Line: Hashable {
    /// The text, without timestamp, escape codes and carriage return.
    var text: String
    /// What a kernel wrote into the middle of the line, up to its end; empty where it wrote nothing.
    var interruption = ""
    /// Whether all of it was UTF-8.
    var isUTF8 = true
  }

  private static let escape = UInt8(ascii: "\u{1b}")

  static func clean(_ bytes: ArraySlice<UInt8>) -> Line {
    var bytes = withoutControls(bytes)[...]
    bytes = bytes.dropFirst(prefixLength(bytes))
    var line = Line(text: "", isUTF8: String(validating: bytes, as: UTF8.self) != nil)
    if let cut = interruption(bytes) {
      line.interruption = String(decoding: bytes[cut...], as: UTF8.self)
      bytes = bytes[..<cut]
    }
    line.text = String(decoding: bytes, as: UTF8.self)
    return line
  }

  /// Removes escape codes and control characters, and what a carriage return lets the rest of the line overwrite.
  private static func withoutControls(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    guard bytes.contains(where: { $0 < 32 || $0 == 127 }) else { return Array(bytes) }
    let carriageReturn = UInt8(ascii: "\r")
    var rest = bytes
    while rest.last == carriageReturn { rest.removeLast() }
    if let last = rest.lastIndex(of: carriageReturn) { rest = rest[(last + 1)...] }
    var kept: [UInt8] = []
    while let byte = rest.first {
      if byte == escape {
        rest = rest.dropFirst(escapeLength(rest))
      } else {
        if byte >= 32 && byte != 127 || byte == UInt8(ascii: "\t") { kept.append(byte) }
        rest.removeFirst()
      }
    }
    return kept
  }

  /// The length of an escape code in the forms of ECMA-48.
  private static func escapeLength(_ bytes: ArraySlice<UInt8>) -> Int {
    let body = bytes.dropFirst()
    switch body.first {
    case UInt8(ascii: "["):
      let final = body.dropFirst().firstIndex { (0x40...0x7e).contains($0) }
      return final.map { $0 - bytes.startIndex + 1 } ?? bytes.count
    case UInt8(ascii: "]"):
      let end = body.firstIndex { $0 == 7 || $0 == escape }
      return end.map { $0 - bytes.startIndex + (bytes[$0] == 7 ? 1 : 0) } ?? bytes.count
    case .some(0x20...0x2f): return 3
    default: return 2
    }
  }

  /// The length of `<6>[   12.345678][    T1] ` at the start; 0 where there is none.
  private static func prefixLength(_ bytes: ArraySlice<UInt8>) -> Int {
    var rest = bytes
    if rest.first == UInt8(ascii: "<") {
      let digits = rest.dropFirst().prefix(while: isDigit)
      let behind = rest.dropFirst(1 + digits.count)
      if !digits.isEmpty, behind.first == UInt8(ascii: ">") { rest = behind.dropFirst() }
    }
    guard let stamp = stampLength(rest) else { return bytes.count - rest.count }
    rest = rest.dropFirst(stamp)
    if rest.first == UInt8(ascii: "["), let close = rest.firstIndex(of: UInt8(ascii: "]")) {
      let caller = rest[..<close].dropFirst().drop { $0 == UInt8(ascii: " ") }
      if let kind = caller.first, kind == UInt8(ascii: "T") || kind == UInt8(ascii: "C"),
        caller.dropFirst().allSatisfy(isDigit)
      {
        rest = rest[(close + 1)...]
      }
    }
    return bytes.count - rest.count + (rest.first == UInt8(ascii: " ") ? 1 : 0)
  }

  /// The length of `[   12.345678]` at the start, or nil where there is none.
  private static func stampLength(_ bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.first == UInt8(ascii: "[") else { return nil }
    let seconds = bytes.dropFirst().drop { $0 == UInt8(ascii: " ") }
    let point = seconds.drop(while: isDigit)
    guard point.count < seconds.count, point.first == UInt8(ascii: ".") else { return nil }
    let end = point.dropFirst().drop(while: isDigit)
    guard point.count - end.count == 7, end.first == UInt8(ascii: "]") else { return nil }
    return bytes.count - end.count + 1
  }

  /// Where a timestamp starts inside the line.
  private static func interruption(_ bytes: ArraySlice<UInt8>) -> Int? {
    var rest = bytes.dropFirst()
    while let bracket = rest.firstIndex(of: UInt8(ascii: "[")) {
      if stampLength(bytes[bracket...]) != nil { return bracket }
      rest = bytes[(bracket + 1)...]
    }
    return nil
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
}
