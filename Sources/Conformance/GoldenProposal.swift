// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a golden file would say if the implementation were right. It is written beside the file for a
/// person to compare; the golden file itself is never touched, and whoever proposes has to fail.
public struct GoldenProposal: Hashable, Sendable {
  /// The proposed text: the file's own lines, comments included, with the items that differ replaced.
  public var text: String
  /// How many items differ.
  public var changed: Int

  /// Runs every item of a golden file.
  ///
  /// - Parameter bytes: the file's bytes.
  /// - Throws: `GoldenParseError` when the file does not parse; what making a table or its image throws.
  public init(bytes: [UInt8], path: String, environment: GoldenEnvironment) throws {
    let file = try GoldenFile(bytes: bytes, path: path)
    var lines: [String?] = String(decoding: bytes, as: UTF8.self)
      .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }.map(String.init)
    changed = 0
    for section in file.sections {
      let makeTable = try Self.maker(section, environment)
      let encoder =
        try section.entries.isEmpty
        ? nil : environment.encoder(environment.configuration(section.format, section.pairs))
      for entry in section.entries {
        guard let encoder, encoder.isBound(by: entry.kind) else { continue }
        var found = entry
        found.word = encoder.word(of: entry.kind)
        if found != entry {
          Self.replace(entry.line...entry.line, with: [GoldenWriter.line(found)], in: &lines, &changed)
        }
      }
      for golden in section.cases {
        let table = try makeTable(section.memoryBase ?? GoldenEnvironment.defaultMemoryBase)
        let found = try golden.recorded(on: table)
        guard found != golden else { continue }
        Self.replace(golden.lines, with: GoldenWriter.lines(found), in: &lines, &changed)
      }
    }
    text = lines.compactMap { $0 }.joined(separator: "\n")
  }

  /// What makes the page tables of a section: the drivers' own code where its cases show that.
  private static func maker(
    _ section: GoldenSection, _ environment: GoldenEnvironment
  ) throws -> (UInt64) throws -> any PageTableUnderTest {
    if let legacy = environment.legacy, section.isModelled(by: legacy) {
      let configuration = try legacy.configuration(section.format, section.legacyPairs)
      return { try legacy.makeTable(configuration, $0) }
    }
    let configuration = try environment.configuration(section.format, section.pairs)
    return { try environment.makeTable(configuration, $0) }
  }

  private static func replace(
    _ range: ClosedRange<Int>, with new: [String], in lines: inout [String?], _ changed: inout Int
  ) {
    changed += 1
    for number in range where lines.indices.contains(number - 1) { lines[number - 1] = nil }
    if lines.indices.contains(range.lowerBound - 1) {
      lines[range.lowerBound - 1] = new.joined(separator: "\n")
    }
  }

  /// Writes a proposal for the golden file at `path` to `path.new` when the implementation disagrees
  /// with the file; a `.new` file from before is replaced.
  ///
  /// Returns the path of the proposal, or nil when there is nothing to propose.
  /// - Throws: `GoldenParseError` when a file cannot be read, parsed or written.
  public static func write(path: String, environment: GoldenEnvironment) throws -> String? {
    let proposal = try GoldenProposal(bytes: try FileBytes.read(path), path: path, environment: environment)
    guard proposal.changed > 0 else { return nil }
    try FileBytes.write(proposal.text, to: path + ".new")
    return path + ".new"
  }
}

extension GoldenEncoder {
  /// Whether an entry line binds the encoder.
  func isBound(by kind: GoldenEntry.Kind) -> Bool {
    guard case .leaf(let leaf) = kind else { return encodesTables }
    return encodesAccessed || leaf.accessed == nil
  }

  /// The word of an entry.
  func word(of kind: GoldenEntry.Kind) -> UInt64? {
    switch kind {
    case .leaf(let leaf): encodeLeaf(leaf)
    case .table(let level, let address): encodeTable(level: level, address: address)
    }
  }
}

extension GoldenCase {
  /// The case as `table` has it; notes and the number of tables only where the case and the table have
  /// them.
  func recorded(on table: any PageTableUnderTest) throws -> GoldenCase {
    var found = try GoldenCase(name: name, running: steps.map(\.operation), on: table)
    found.lines = lines
    if tables == nil { found.tables = nil }
    for index in found.steps.indices {
      found.steps[index].line = steps[index].line
      if !table.keepsNotes { found.steps[index].notes = steps[index].notes }
    }
    return found
  }
}
