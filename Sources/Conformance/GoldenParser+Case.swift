// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension GoldenParser {
  /// Reads a case from behind the word `case` to its `end`.
  mutating func parseCase(_ line: inout GoldenLine) throws -> GoldenCase {
    let start = line.number
    let name = try takeOnlyWord(&line, expected: "the name of the case")
    let steps = try parseSteps(of: name)
    var image = GoldenImageBuilder()
    while let line = lines.next() {
      if line.bytes.first == UInt8(ascii: "T") {
        try image.add(line, parser: self)
        continue
      }
      try image.finish(parser: self)
      let tables = try parseTables(line)
      let end = tables == nil ? line : try nextLine("'end'")
      guard end.words == ["end"] else {
        let expected = tables == nil ? "a word 'Tn Ln [index] value', 'tables N' or 'end'" : "'end'"
        throw error(end.number, expected: expected, found: end.text)
      }
      return GoldenCase(
        name: name, steps: steps, image: TableImage(words: image.words), tables: tables,
        lines: start...end.number)
    }
    throw unexpectedEnd("'end' of case \(Self.shorten(name))")
  }

  /// Reads operations up to the line `image`.
  private mutating func parseSteps(of name: String) throws -> [GoldenCase.Step] {
    var steps: [GoldenCase.Step] = []
    while let line = lines.next() {
      if line.words == ["image"] { return steps }
      switch line.firstWord {
      case "image": throw error(line.number, expected: "'image' alone", found: line.text)
      case "end", "case", "tables": throw error(line.number, expected: "'image'", found: line.firstWord)
      default: steps.append(try parseStep(line))
      }
    }
    throw unexpectedEnd("'image' of case \(Self.shorten(name))")
  }

  /// Reads `OPERATION => RESULT ! NOTE …`.
  private func parseStep(_ line: GoldenLine) throws -> GoldenCase.Step {
    let text = line.text
    do {
      guard let arrow = text.utf8.firstIndex(of: UInt8(ascii: "="), followedBy: UInt8(ascii: ">")) else {
        let operation = try Operation(text: text)
        guard case .allocationBudget = operation else {
          throw GrammarError("expected '=> RESULT', found the end of the line")
        }
        return GoldenCase.Step(operation, .none, line: line.number)
      }
      let operation = try Operation(text: text[..<arrow])
      let behind = text[text.utf8.index(arrow, offsetBy: 2)...]
      let parts = behind.split(separator: "!", omittingEmptySubsequences: false)
      return GoldenCase.Step(
        operation, try OperationResult(text: parts[0], of: operation),
        notes: try parts.dropFirst().map { try OperationNote(text: $0) }, line: line.number)
    } catch let cause as GrammarError {
      throw error(line.number, cause)
    }
  }

  /// The number of a `tables N` line, or nil when `line` is another.
  private func parseTables(_ line: GoldenLine) throws -> Int? {
    guard line.firstWord == "tables" else { return nil }
    var line = line
    _ = line.takeWord()
    let word = try takeOnlyWord(&line, expected: "a number of pages")
    guard let number = Numbers.parse(word), let tables = Int(exactly: number) else {
      throw error(line.number, expected: "a number of pages", found: word)
    }
    return tables
  }

  private mutating func nextLine(_ expected: String) throws -> GoldenLine {
    guard let line = lines.next() else { throw unexpectedEnd(expected) }
    return line
  }
}

extension String.UTF8View {
  /// The first place where two bytes follow each other.
  fileprivate func firstIndex(of first: UInt8, followedBy second: UInt8) -> Index? {
    var previous: Index?
    for index in indices {
      if let previous, self[previous] == first, self[index] == second { return previous }
      previous = index
    }
    return nil
  }
}
