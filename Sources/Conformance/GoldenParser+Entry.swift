// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension GoldenParser {
  /// Reads `leaf KEY=VALUE… = WORD` or `table KEY=VALUE… = WORD`, behind `entry`.
  func parseEntry(_ line: inout GoldenLine) throws -> GoldenEntry {
    let number = line.number
    let name = line.isAtEnd ? nil : line.takeWord()
    let allowed: [String]
    switch name {
    case "leaf": allowed = ["level", "pa", "size", "prot", "dirty", "accessed"]
    case "table": allowed = ["level", "pa"]
    default: throw error(number, expected: "'leaf' or 'table'", found: name)
    }
    var fields = GoldenEntryFields(parser: self, line: number, values: [:])
    while !line.isAtEnd, line.firstWord != "=" {
      try fields.add(line.takeWord(), allowed: allowed)
    }
    let kind: GoldenEntry.Kind =
      name == "leaf"
      ? .leaf(try fields.leaf()) : .table(level: try fields.level(), address: try fields.size("pa"))
    guard !line.isAtEnd else { throw error(number, expected: "'= WORD' or '= invalid'") }
    _ = line.takeWord()
    return GoldenEntry(kind, word: try parseWord(&line), line: number)
  }

  private func parseWord(_ line: inout GoldenLine) throws -> UInt64? {
    let text = try takeOnlyWord(&line, expected: "a word or 'invalid'")
    if text == "invalid" { return nil }
    guard let word = Numbers.parse(text) else {
      throw error(line.number, expected: "a word or 'invalid'", found: text)
    }
    return word
  }
}

/// The `key=value` words of an entry line.
private struct GoldenEntryFields {
  let parser: GoldenParser
  let line: Int
  var values: [String: String]

  mutating func add(_ word: String, allowed: [String]) throws {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard allowed.contains(parts[0]) else {
      throw parser.error(line, expected: "\(allowed.joined(separator: ", ")) or '= WORD'", found: word)
    }
    guard values[parts[0]] == nil else {
      throw parser.error(line, expected: "each key once", found: word)
    }
    // The flags `dirty` and `accessed` may stand without a value.
    guard parts.count == 2 || parts[0] == "dirty" || parts[0] == "accessed" else {
      throw parser.error(line, expected: "\(parts[0])=VALUE", found: word)
    }
    values[parts[0]] = parts.count == 2 ? parts[1] : "1"
  }

  func leaf() throws -> GoldenLeaf {
    let text = try required("prot")
    guard let protection = Protection(text: text) else {
      throw parser.error(
        line, expected: "a protection (r, w, rw, then any of ,cache ,noexec ,mmio ,priv; or none)",
        found: text)
    }
    return GoldenLeaf(
      level: try level(), address: try size("pa"), size: try size("size"), protection: protection,
      dirty: try flag("dirty"), accessed: try flag("accessed"))
  }

  func level() throws -> Int {
    let text = try required("level")
    guard let number = Numbers.parse(text), number < 16 else {
      throw parser.error(line, expected: "a level below 16", found: text)
    }
    return Int(number)
  }

  func size(_ key: String) throws -> UInt64 {
    let text = try required(key)
    guard let number = Numbers.parseSize(text) else {
      throw parser.error(line, expected: "\(key)=NUMBER", found: text)
    }
    return number
  }

  private func flag(_ key: String) throws -> Bool? {
    switch values[key] {
    case nil: nil
    case "0": false
    case "1": true
    case let other: throw parser.error(line, expected: "\(key), \(key)=0 or \(key)=1", found: other)
    }
  }

  private func required(_ key: String) throws -> String {
    guard let value = values[key] else {
      throw parser.error(line, expected: "\(key)=VALUE", found: "an entry without \(key)")
    }
    return value
  }
}
