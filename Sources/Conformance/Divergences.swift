// SPDX-License-Identifier: GPL-2.0-only

/// The table of known divergences: cases, or conditions of cases, in which Linux's vectors and a check disagree, each with the
/// reason. It stands in a Markdown file under the header `| case | check | reason |`.
public struct Divergences: Hashable, Sendable {
  /// One row of the table.
  public struct Row: Hashable, Sendable {
    /// A case's name, or a pattern in which `*` stands for anything, or the word of a condition; before a
    /// slash may stand the format, or the file's name without suffix.
    public var pattern: String
    public var check: GoldenCheck
    public var reason: String
    /// The row's line in its file, from 1.
    public var line: Int

    public init(pattern: String, check: GoldenCheck, reason: String, line: Int = 0) {
      self.pattern = pattern
      self.check = check
      self.reason = reason
      self.line = line
    }

    /// The condition that the row names in place of a case; nil when it names cases.
    public var condition: DivergenceCondition? {
      Self.word(pattern).flatMap { DivergenceCondition(rawValue: String($0)) }
    }

    /// What stands in `pattern` for a condition, known or not; nil when it is of cases.
    static func word(_ pattern: String) -> Substring? {
      let word = pattern.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
      return word.hasPrefix("@") ? word : nil
    }
  }

  /// The path of the file, as messages show it.
  public var path: String
  public var rows: [Row]

  public init(path: String = "DIVERGENCES.md", rows: [Row] = []) {
    self.path = path
    self.rows = rows
  }

  /// Reads the file at `path`.
  ///
  /// - Throws: `GoldenParseError` when it cannot be read or a row is wrong.
  public init(contentsOf path: String) throws {
    let bytes = try FileBytes.read(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw GoldenParseError(path: path, line: 0, message: "expected UTF-8")
    }
    try self.init(text: text, path: path)
  }

  /// Reads the rows of every table with the header `case`, `check`, `reason`; other text is left alone.
  ///
  /// - Throws: `GoldenParseError` for a row that has other columns or names no check.
  public init(text: String, path: String) throws {
    self.init(path: path)
    var isInside = false
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      guard let cells = Self.cells(line) else {
        isInside = false
        continue
      }
      if cells.map({ $0.lowercased() }) == ["case", "check", "reason"] {
        isInside = true
      } else if isInside, !cells.allSatisfy(Self.isRule) {
        rows.append(try Self.row(cells, line: index + 1, path: path))
      }
    }
  }

  /// The position of the first row that excuses `finding` in the case `name`.
  ///
  /// - Parameter folders: what may stand before a slash in a pattern: the format, the file's stem.
  public func row(for finding: GoldenFinding, case name: String, folders: [String]) -> Int? {
    let conditions = finding.conditions.map(\.rawValue)
    return rows.firstIndex { row in
      guard row.check == finding.check else { return false }
      let words = row.condition == nil ? [name] : conditions
      let names =
        row.pattern.contains("/") ? folders.flatMap { folder in words.map { "\(folder)/\($0)" } } : words
      return names.contains { Self.matches($0, pattern: row.pattern) }
    }
  }

  /// The rows that no report of a full run applied; each is an error of the table.
  public func unused(after reports: some Sequence<GoldenItemReport>) -> [Row] {
    var applied: Set<Int> = []
    for report in reports { applied.formUnion(report.appliedDivergences) }
    return rows.indices.filter { !applied.contains($0) }.map { rows[$0] }
  }

  /// What is wrong with a row that never applied, with file and line.
  public func complaint(about row: Row) -> String {
    let cases = row.condition == nil ? "matches" : "meets"
    return "\(path):\(row.line): no case \(cases) '\(row.pattern)' and fails in '\(row.check.rawValue)'"
  }

  // MARK: Text

  /// The cells of a table's line, or nil when `line` is none.
  private static func cells(_ line: Substring) -> [String]? {
    var text = trim(line)
    guard text.hasPrefix("|") else { return nil }
    text = text.dropFirst()
    if text.hasSuffix("|") { text = text.dropLast() }
    return text.split(separator: "|", omittingEmptySubsequences: false).map { cell in
      var cell = trim(cell)
      if cell.count > 1, cell.hasPrefix("`"), cell.hasSuffix("`") { cell = cell.dropFirst().dropLast() }
      return String(cell)
    }
  }

  private static func trim(_ text: Substring) -> Substring {
    var text = text.drop { $0.isWhitespace }
    while text.last?.isWhitespace == true { text = text.dropLast() }
    return text
  }

  private static func isRule(_ cell: String) -> Bool {
    !cell.isEmpty && cell.allSatisfy { $0 == "-" || $0 == ":" }
  }

  private static func row(_ cells: [String], line: Int, path: String) throws -> Row {
    guard cells.count == 3 else {
      throw GoldenParseError(
        path: path, line: line, message: "expected case, check and reason, found \(cells.count) columns")
    }
    guard !cells[0].isEmpty else {
      throw GoldenParseError(path: path, line: line, message: "expected a case, found an empty cell")
    }
    guard let check = GoldenCheck(rawValue: cells[1]) else {
      let known = GoldenCheck.allCases.map(\.rawValue).joined(separator: ", ")
      throw GoldenParseError(
        path: path, line: line, message: "expected a check (\(known)), found '\(cells[1])'")
    }
    if let word = Row.word(cells[0]) {
      guard let condition = DivergenceCondition(rawValue: String(word)) else {
        throw GoldenParseError(
          path: path, line: line,
          message: "expected a condition (\(DivergenceCondition.known)), found '\(word)'")
      }
      guard condition.check == check else {
        throw GoldenParseError(
          path: path, line: line,
          message: "expected the check '\(condition.check.rawValue)' for \(word), found '\(cells[1])'")
      }
    }
    guard !cells[2].isEmpty else {
      throw GoldenParseError(path: path, line: line, message: "expected a reason, found an empty cell")
    }
    return Row(pattern: cells[0], check: check, reason: cells[2], line: line)
  }

  /// Whether `text` is of the form of `pattern`, in which `*` stands for any text.
  static func matches(_ text: String, pattern: String) -> Bool {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard parts.count > 1, let head = parts.first, let tail = parts.last else { return text == pattern }
    guard text.utf8.count >= head.utf8.count + tail.utf8.count, text.hasPrefix(head), text.hasSuffix(tail)
    else { return false }
    var rest = text.dropFirst(head.count).dropLast(tail.count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
      guard let found = rest.firstRange(of: part) else { return false }
      rest = rest[found.upperBound...]
    }
    return true
  }
}
