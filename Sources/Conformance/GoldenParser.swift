// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension GoldenFile {
  /// Parses the text of a golden file.
  ///
  /// - Parameter path: the name under which messages mention the file.
  /// - Throws: `GoldenParseError` that names file and line, what was expected and what was found.
  public init(bytes: [UInt8], path: String) throws {
    var parser = GoldenParser(lines: try GoldenLines(bytes, path: path), path: path)
    self = try parser.parse()
  }

  /// Parses the text of a golden file; see `init(bytes:path:)`.
  public init(text: String, path: String) throws {
    try self.init(bytes: Array(text.utf8), path: path)
  }
}

/// Reads a golden file from its first line to its last. Cases, entries and images are read by
/// extensions in files of their own.
struct GoldenParser {
  var lines: GoldenLines
  let path: String
  /// The section that the next item goes to.
  var section = GoldenSection()
  private var finished: [GoldenSection] = []
  /// Whether the line before was a `source` line.
  private var isBehindSource = false
  /// Line of the first case of a name within a configuration.
  private var seen: [String: Int] = [:]

  init(lines: GoldenLines, path: String) {
    self.lines = lines
    self.path = path
  }

  mutating func parse() throws -> GoldenFile {
    try parseVersion()
    while let line = lines.next() { try parseItem(line) }
    finishSection()
    return GoldenFile(path: path, sections: finished)
  }

  private mutating func parseVersion() throws {
    guard let line = lines.next() else { throw unexpectedEnd("'golden 1'") }
    guard line.words == ["golden", "1"] else {
      throw error(line.number, expected: "'golden 1'", found: line.text)
    }
  }

  private mutating func parseItem(_ line: GoldenLine) throws {
    var line = line
    let keyword = line.firstWord
    switch keyword {
    case "source", "behaviour", "format", "config", "memory":
      _ = line.takeWord()
      beginSection(line.number)
      try parseContext(keyword, &line)
      isBehindSource = keyword == "source"
      return
    case "entry":
      _ = line.takeWord()
      try requireContext(line.number, before: "entry")
      section.entries.append(try parseEntry(&line))
    case "case":
      _ = line.takeWord()
      try requireContext(line.number, before: "case")
      let item = try parseCase(&line)
      try requireNewName(item)
      section.cases.append(item)
    default:
      throw error(
        line.number,
        expected: "source, behaviour, format, config, memory, entry or case", found: keyword)
    }
    isBehindSource = false
  }

  // MARK: Context

  private mutating func parseContext(_ keyword: String, _ line: inout GoldenLine) throws {
    switch keyword {
    case "source":
      guard !line.isAtEnd else { throw error(line.number, expected: "where the vectors come from") }
      // Lines of source that follow each other add up.
      section.source = isBehindSource ? "\(section.source); \(line.text)" : line.text
    case "behaviour":
      let word = try takeOnlyWord(&line, expected: "'generic' or 'legacy'")
      guard let behaviour = GoldenBehaviour(rawValue: word) else {
        throw error(line.number, expected: "'generic' or 'legacy'", found: word)
      }
      section.behaviour = behaviour
    case "format":
      section.format = try takeOnlyWord(&line, expected: "a format's name")
    case "config":
      try parseConfiguration(line)
    default:
      let word = try takeOnlyWord(&line, expected: "base=ADDRESS")
      guard word.hasPrefix("base="), let base = Numbers.parseSize(word.dropFirst(5)) else {
        throw error(line.number, expected: "base=ADDRESS", found: word)
      }
      section.memoryBase = base
    }
  }

  /// Splits `key=value` words; `era` names the code that made legacy cases and is no key of a format.
  private mutating func parseConfiguration(_ line: GoldenLine) throws {
    var keys: Set<String> = []
    section.pairs = []
    section.era = nil
    for word in line.words {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw error(line.number, expected: "key=value", found: word)
      }
      guard keys.insert(String(parts[0])).inserted else {
        throw error(line.number, expected: "each key once", found: "\(parts[0]) again")
      }
      if parts[0] == "era" {
        guard !parts[1].isEmpty else { throw error(line.number, expected: "a Linux version", found: word) }
        section.era = String(parts[1])
      } else {
        section.pairs.append(word)
      }
    }
  }

  /// Starts a new section, with the context of the one before, if that has items.
  private mutating func beginSection(_ line: Int) {
    if !section.entries.isEmpty || !section.cases.isEmpty {
      finishSection()
      section.entries = []
      section.cases = []
    }
    section.line = line
  }

  private mutating func finishSection() {
    if !section.entries.isEmpty || !section.cases.isEmpty { finished.append(section) }
  }

  private func requireContext(_ line: Int, before item: String) throws {
    let missing: String?
    switch section {
    case _ where section.source.isEmpty: missing = "source"
    case _ where section.format.isEmpty: missing = "format"
    // An entry is a fact about the format alone.
    case _ where section.behaviour == nil && item == "case": missing = "behaviour"
    default: missing = nil
    }
    guard let missing else { return }
    throw error(line, expected: "a '\(missing)' line before the first \(item)", found: item)
  }

  private mutating func requireNewName(_ item: GoldenCase) throws {
    let key = "\(section.format) \(section.pairs.sorted()) \(section.era ?? "") \(item.name)"
    if let first = seen.updateValue(item.lines.lowerBound, forKey: key) {
      throw error(
        item.lines.lowerBound, expected: "a name that no case of this configuration has",
        found: "\(item.name)' of line \(first) again", quote: false)
    }
  }

  // MARK: Helpers

  /// The one word that is left of a line.
  func takeOnlyWord(_ line: inout GoldenLine, expected: String) throws -> String {
    guard !line.isAtEnd else { throw error(line.number, expected: expected) }
    let word = line.takeWord()
    try requireEnd(line)
    return word
  }

  func requireEnd(_ line: GoldenLine) throws {
    guard line.isAtEnd else {
      throw error(line.number, expected: "the end of the line", found: line.firstWord)
    }
  }

  /// An error at what stands in the line; nil `found` is the end of the line.
  func error(_ line: Int, expected: String, found: String? = nil, quote: Bool = true) -> GoldenParseError {
    let shown = found.map { quote ? "'\(Self.shorten($0))'" : "'\($0)" } ?? "the end of the line"
    return GoldenParseError(path: path, line: line, message: "expected \(expected), found \(shown)")
  }

  func unexpectedEnd(_ expected: String) -> GoldenParseError {
    GoldenParseError(
      path: path, line: max(1, lines.number), message: "expected \(expected), found the end of the file")
  }

  /// An error that the vocabulary's reader of operations, results and notes gave.
  func error(_ line: Int, _ cause: any Error) -> GoldenParseError {
    GoldenParseError(path: path, line: line, message: Self.shorten("\(cause)", to: 300))
  }

  /// At most `limit` characters of what a file has, without control characters.
  static func shorten(_ text: String, to limit: Int = 60) -> String {
    let visible = text.unicodeScalars.prefix(limit + 1).map {
      $0.properties.generalCategory == .control ? "\u{fffd}" : Character($0)
    }
    return visible.count > limit ? String(visible.prefix(limit)) + "…" : String(visible)
  }
}
