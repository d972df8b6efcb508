// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// Texts on a pipe between the process of a library and its supervisor: separated and ended by control characters.
enum Fields {
  private static let separator: UInt8 = 0x1f
  private static let end: UInt8 = 0x1e

  static func bytes(_ fields: [String]) -> [UInt8] {
    let cleaned = fields.map { Array($0.utf8).filter { $0 != separator && $0 != end } }
    return Array(cleaned.joined(separator: [separator])) + [end]
  }

  /// Writes a record; false when nobody reads.
  @discardableResult
  static func write(_ fields: [String], to descriptor: Int32) -> Bool {
    var rest = bytes(fields)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// A record without control characters at its end, as a line of input.
  static func line(_ fields: [String]) -> String {
    String(
      decoding: bytes(fields).dropLast().map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 },
      as: UTF8.self)
  }

  /// Reads a record without its end.
  static func read(_ bytes: some Collection<UInt8>) -> [String] {
    bytes.split(separator: separator, omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  /// Puts records together from what a pipe gives.
  struct Reader {
    private var rest: [UInt8] = []

    mutating func add(_ bytes: [UInt8]) -> [[String]] {
      rest += bytes
      guard let last = rest.lastIndex(of: Fields.end) else { return [] }
      let records = rest[...last].split(separator: Fields.end).map { Fields.read($0) }
      rest = Array(rest[(last + 1)...])
      return records
    }
  }
}
