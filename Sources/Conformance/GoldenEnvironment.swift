// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What encodes single words: every witness that entry lines bind.
public protocol GoldenEncoder {
  /// Whether it can set the accessed state; entry lines that ask for it do not bind it otherwise.
  var encodesAccessed: Bool { get }
  /// Whether entry lines of pointers to tables bind it.
  var encodesTables: Bool { get }

  /// The word of a leaf, of a contiguous entry the first; nil where the format cannot express it.
  func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64?

  /// The word of a table of `level` that points to the table at `address`, in bytes; nil where the
  /// format cannot express it.
  func encodeTable(level: Int, address: UInt64) -> UInt64?
}

extension GoldenEncoder {
  public var encodesTables: Bool { true }
}

/// Where a walk of the reference ends.
public enum GoldenTranslation: Hashable, Sendable {
  /// In the leaf that maps `first` to `last` (inclusive, IOVA); the byte walked to is at `address`.
  case leaf(address: UInt64, first: UInt64, last: UInt64, readable: Bool, writable: Bool)
  /// In a leaf that permits neither reads nor writes; said in words.
  case refused(String)
  /// With any other fault, said in words.
  case fault(String)
}

/// The reference, as the golden check sees it. It is given nothing but memory and the root.
public protocol GoldenReference: GoldenEncoder {
  /// Bits of a physical address that words can hold and walks can reach.
  var outputWidth: Int { get }

  /// Bytes of a table word, 4 or 8.
  var wordBytes: Int { get }

  /// How many words a table of `level` has; `isRoot` for the top table.
  func wordCount(level: Int, isRoot: Bool) -> Int

  /// How the reference reads a word of a table of `level`.
  func classify(_ word: UInt64, level: Int) -> WordKind

  /// Walks to `iova` as hardware does, from the root that the IOVA chooses.
  func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> GoldenTranslation
}

/// The drivers' own code, which cases of legacy behaviour bind.
public struct GoldenLegacy {
  /// The Linux versions whose code of a format is modelled; none for a format without such code.
  public var eras: (_ format: String) -> [String]
  /// The configuration of a format's name and its `key=value` words, `era` among them.
  public var configuration: (_ format: String, _ pairs: [String]) throws -> Configuration
  /// A new, empty page table whose table memory starts at `physicalBase`.
  public var makeTable:
    (_ configuration: Configuration, _ physicalBase: UInt64) throws -> any PageTableUnderTest
  /// The same configuration in the words of the implementation under test; nil where it has none.
  public var counterpart: (Configuration) -> Configuration?
  /// Whether there are configurations that it lacks; their cases do not bind it.
  public var isPartial = false

  public init(
    eras: @escaping (String) -> [String],
    configuration: @escaping (String, [String]) throws -> Configuration,
    makeTable: @escaping (Configuration, UInt64) throws -> any PageTableUnderTest,
    counterpart: @escaping (Configuration) -> Configuration?
  ) {
    self.eras = eras
    self.configuration = configuration
    self.makeTable = makeTable
    self.counterpart = counterpart
  }
}

/// The witnesses that a golden check asks, and how to make them.
public struct GoldenEnvironment {
  /// The configuration of a format's name and its `key=value` words; permissive, as golden files imply.
  public var configuration: (_ format: String, _ pairs: [String]) throws -> Configuration
  /// A new, empty page table whose table memory starts at `physicalBase`.
  public var makeTable:
    (_ configuration: Configuration, _ physicalBase: UInt64) throws -> any PageTableUnderTest
  /// The encoder of the implementation under test; nil where it has none.
  public var encoder: (Configuration) throws -> (any GoldenEncoder)?
  /// The reference of a configuration; nil where there is none.
  public var reference: (Configuration) throws -> (any GoldenReference)?
  /// The drivers' own code; without it, cases of legacy behaviour bind what is the same in the implementation under
  /// test.
  public var legacy: GoldenLegacy?
  /// Whether results bind the implementation under test. Where not, only what operations with the same results left
  /// behind does, and configurations that it lacks are skipped.
  public var bindsResults = true

  /// Where table memory starts in sections without a `memory` line.
  public static let defaultMemoryBase: UInt64 = 0x1_0000_0000

  public init(
    configuration: @escaping (String, [String]) throws -> Configuration,
    makeTable: @escaping (Configuration, UInt64) throws -> any PageTableUnderTest,
    encoder: @escaping (Configuration) throws -> (any GoldenEncoder)?,
    reference: @escaping (Configuration) throws -> (any GoldenReference)?,
    legacy: GoldenLegacy? = nil
  ) {
    self.configuration = configuration
    self.makeTable = makeTable
    self.encoder = encoder
    self.reference = reference
    self.legacy = legacy
  }
}
