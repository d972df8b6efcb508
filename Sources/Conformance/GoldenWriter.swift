// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Renders vectors in the golden grammar.
public struct GoldenWriter {
  /// The text so far.
  public private(set) var text = "golden 1\n"

  public init() {}

  /// A whole file.
  public static func render(_ file: GoldenFile) -> String {
    var writer = GoldenWriter()
    for section in file.sections { writer.add(section) }
    return writer.text
  }

  /// Writes a section: its context, its entries, its cases.
  public mutating func add(_ section: GoldenSection) {
    text += "\n"
    for line in Self.lines(context: section) { text += line + "\n" }
    if !section.entries.isEmpty { text += "\n" }
    for entry in section.entries { add(entry) }
    for item in section.cases { add(item) }
  }

  /// Writes an entry.
  public mutating func add(_ entry: GoldenEntry) { text += Self.line(entry) + "\n" }

  /// Writes a case, after a blank line.
  public mutating func add(_ item: GoldenCase) {
    text += "\n"
    for line in Self.lines(item) { text += line + "\n" }
  }

  /// The lines that set a section's context.
  public static func lines(context section: GoldenSection) -> [String] {
    var lines = ["source \(section.source)"]
    if let behaviour = section.behaviour { lines.append("behaviour \(behaviour.rawValue)") }
    lines.append("format \(section.format)")
    lines.append(
      (["config"] + section.pairs + (section.era.map { ["era=\($0)"] } ?? [])).joined(separator: " "))
    if let base = section.memoryBase { lines.append("memory base=\(Numbers.hex(base))") }
    return lines
  }

  /// An entry's line.
  public static func line(_ entry: GoldenEntry) -> String {
    var words: [String]
    switch entry.kind {
    case .table(let level, let address):
      words = ["entry table", "level=\(level)", "pa=\(Numbers.hex(address))"]
    case .leaf(let leaf):
      words = [
        "entry leaf", "level=\(leaf.level)", "pa=\(Numbers.hex(leaf.address))",
        "size=\(Numbers.hex(leaf.size))",
        "prot=\(leaf.protection.text)",
      ]
      if let dirty = leaf.dirty { words.append(dirty ? "dirty" : "dirty=0") }
      if let accessed = leaf.accessed { words.append(accessed ? "accessed" : "accessed=0") }
    }
    return (words + ["=", GoldenText.word(entry.word)]).joined(separator: " ")
  }

  /// A case's lines, from `case` to `end`.
  public static func lines(_ item: GoldenCase) -> [String] {
    var lines = ["case \(item.name)"]
    lines += item.steps.map(Self.line)
    lines.append("image")
    lines += item.image.lines
    if let tables = item.tables { lines.append("tables \(tables)") }
    return lines + ["end"]
  }

  /// An operation with its result and notes.
  public static func line(_ step: GoldenCase.Step) -> String {
    var line = step.operation.description
    if step.result != .none { line += " => \(step.result.text)" }
    for note in step.notes { line += "  ! \(note.text)" }
    return line
  }
}

extension GoldenCase {
  /// Runs operations on a page table and records what happens.
  ///
  /// - Throws: what taking the image throws.
  public init(name: String, running operations: [Operation], on table: any PageTableUnderTest) throws {
    _ = table.takeNotes()
    let steps = operations.map { operation in
      let result = table.perform(operation)
      return Step(operation, result, notes: table.takeNotes())
    }
    self.init(name: name, steps: steps, image: try table.image(), tables: table.tablePages)
  }
}
