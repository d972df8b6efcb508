// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A golden file: vectors in sections, each section with one provenance and one configuration.
public struct GoldenFile: Hashable, Sendable {
  /// The path under which the file was read, as messages show it.
  public var path: String
  /// The sections in the order of the file.
  public var sections: [GoldenSection]

  public init(path: String, sections: [GoldenSection]) {
    self.path = path
    self.sections = sections
  }

  /// All cases of all sections.
  public var caseCount: Int { sections.reduce(0) { $0 + $1.cases.count } }

  /// All entries of all sections.
  public var entryCount: Int { sections.reduce(0) { $0 + $1.entries.count } }
}

/// Whose results the operations of a section show.
public enum GoldenBehaviour: String, Hashable, Sendable, CaseIterable {
  /// The consolidated algorithms of drivers/iommu/generic_pt.
  case generic
  /// The per-format code that preceded them.
  case legacy
}

/// The vectors that stand under one set of `source`, `behaviour`, `format`, `config`, `memory` lines.
public struct GoldenSection: Hashable, Sendable {
  /// Where the vectors come from: a manual's section, or a Linux version and file.
  public var source = ""
  /// Whose results the operations show; nil in a section of entries alone that does not say.
  public var behaviour: GoldenBehaviour?
  /// The format's name.
  public var format = ""
  /// The `key=value` words of the configuration, without `era`.
  public var pairs: [String] = []
  /// The Linux version whose code made a legacy case; nil is 7.3.
  public var era: String?
  /// Physical address of the first byte of table memory; nil leaves it to the checker.
  public var memoryBase: UInt64?
  /// The line of the latest of the lines above, from 1.
  public var line = 0
  /// The entries in the order of the file.
  public var entries: [GoldenEntry] = []
  /// The cases in the order of the file.
  public var cases: [GoldenCase] = []

  public init() {}

  /// The configuration as the file has it, `format:key=value,…`, with its era.
  public var configurationText: String {
    let words = pairs + (era.map { ["era=\($0)"] } ?? [])
    return words.isEmpty ? format : "\(format):\(words.joined(separator: ","))"
  }
}

/// One word as the encoder must produce it.
public struct GoldenEntry: Hashable, Sendable {
  /// What the word says.
  public enum Kind: Hashable, Sendable {
    case leaf(GoldenLeaf)
    /// A pointer to the table at `address`, in bytes, from an entry of level `level`.
    case table(level: Int, address: UInt64)
  }

  /// What is encoded.
  public var kind: Kind
  /// The word; nil where the format cannot express it.
  public var word: UInt64?
  /// The entry's line in its file, from 1; 0 when it comes from no file.
  public var line: Int

  public init(_ kind: Kind, word: UInt64?, line: Int = 0) {
    self.kind = kind
    self.word = word
    self.line = line
  }
}

/// A leaf to encode.
public struct GoldenLeaf: Hashable, Sendable {
  /// The level of its table; 0 is the last.
  public var level: Int
  /// The output address in bytes.
  public var address: UInt64
  /// The bytes it maps, contiguous entries taken together.
  public var size: UInt64
  public var protection: Protection
  /// Whether the dirty state is set; nil leaves it as a new mapping has it.
  public var dirty: Bool?
  /// Whether the accessed state is set; nil leaves it as a new mapping has it.
  public var accessed: Bool?

  public init(
    level: Int, address: UInt64, size: UInt64, protection: Protection, dirty: Bool? = nil,
    accessed: Bool? = nil
  ) {
    self.level = level
    self.address = address
    self.size = size
    self.protection = protection
    self.dirty = dirty
    self.accessed = accessed
  }
}

/// Operations on a new, empty page table and the image that they leave.
public struct GoldenCase: Hashable, Sendable {
  /// One operation with what it returned and what else happened.
  public struct Step: Hashable, Sendable {
    public var operation: Operation
    public var result: OperationResult
    public var notes: [OperationNote]
    /// The step's line in its file, from 1; 0 when it comes from no file.
    public var line: Int

    public init(_ operation: Operation, _ result: OperationResult, notes: [OperationNote] = [], line: Int = 0)
    {
      self.operation = operation
      self.result = result
      self.notes = notes
      self.line = line
    }
  }

  public var name: String
  public var steps: [Step]
  public var image: TableImage
  /// 4 KiB pages of table memory that stay allocated; nil when the file does not say.
  public var tables: Int?
  /// The lines of the file from `case` to `end`, from 1; 0…0 when it comes from no file.
  public var lines: ClosedRange<Int>

  public init(
    name: String, steps: [Step], image: TableImage, tables: Int? = nil, lines: ClosedRange<Int> = 0...0
  ) {
    self.name = name
    self.steps = steps
    self.image = image
    self.tables = tables
    self.lines = lines
  }

  /// Whether Linux printed a warning during any of the operations.
  public var hasWarning: Bool { steps.contains { $0.notes.contains(.warn) } }

  /// Whether any operation removed a mapping.
  var hasUnmap: Bool {
    steps.contains { step in
      if case .unmapped(let length) = step.result { length > 0 } else { false }
    }
  }
}

/// A golden file that cannot be read or does not follow the grammar.
public struct GoldenParseError: Error, Hashable, Sendable, CustomStringConvertible {
  public var path: String
  /// From 1; 0 when no line is to blame.
  public var line: Int
  /// What was expected and what was found.
  public var message: String

  public init(path: String, line: Int, message: String) {
    self.path = path
    self.line = line
    self.message = message
  }

  public var description: String { line == 0 ? "\(path): \(message)" : "\(path):\(line): \(message)" }
}
