// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A page-table format for one configuration, interpreted from its specification: encodes,
/// decodes and explains words, and walks tables as the hardware does.
///
/// The specification is evaluated once, to masks and shifts; instances are immutable.
public final class ReferenceFormat: Sendable {
  /// The specification.
  public let spec: FormatSpec
  /// The configuration it was evaluated for.
  public let configuration: Configuration
  /// Bytes of a table word: 4 or 8.
  public let wordBytes: Int
  /// The level that a page table of this configuration starts with; 0 is the last level.
  public let rootLevel: Int
  /// Bits of an output address.
  public let outputWidth: Int

  let levels: [CompiledLevel]
  let entries: [CompiledEntry]
  let details: [EntryDetail]
  let moves: [AddressMove]
  let clauses: [WordClause]
  let checks: [CompiledCheck]
  let absentMask: UInt64
  let absentValue: UInt64
  let refusals: [(encoder: FieldEncoder, why: String)]
  /// The faults of `FaultKey`, by ordinal, in the specification's list.
  let faultIndex: [Int]
  /// For each fault and level, how the fault is called there: another position in the list, or its own.
  let faultNames: [[Int]]
  private let rootSelect: (high: Int, low: Int)?

  /// Evaluates `spec` for `configuration`.
  ///
  /// - Throws: `SpecError` when the specification does not hold together for it.
  public init(spec: FormatSpec, configuration: Configuration) throws {
    guard spec.wordBits == 32 || spec.wordBits == 64 else {
      throw SpecError(file: spec.file, line: 0, "words have 32 or 64 bits, not \(spec.wordBits)")
    }
    let result = try FormatCompiler(spec: spec, configuration: configuration).compile()
    self.spec = spec
    self.configuration = configuration
    wordBytes = spec.wordBits / 8
    rootLevel = result.rootLevel
    outputWidth = result.outputWidth
    levels = result.levels
    entries = result.tables.entries
    details = result.tables.details
    moves = result.tables.moves
    clauses = result.tables.clauses
    checks = result.tables.checks
    absentMask = result.absentMask
    absentValue = result.absentValue
    refusals = result.refusals
    rootSelect = result.rootSelect
    // The compiler has made sure that all of them are described.
    faultIndex = FaultKey.allCases.map { key in spec.faults.firstIndex { $0.key == key.rawValue } ?? 0 }
    let levelCount = levels.count
    faultNames = spec.faults.indices.map { fault in
      (0..<levelCount).map { level in
        spec.faults.firstIndex { $0.key == "\(spec.faults[fault].key)_\(level)" } ?? fault
      }
    }
  }

  /// How many levels the configuration knows; a root may be of any of them where the top grows.
  public var levelCount: Int { levels.count }

  /// The manual's name of a level; nil when there is no such level.
  public func levelName(_ level: Int) -> String? {
    levels.indices.contains(level) ? levels[level].name : nil
  }

  /// log2 of the bytes that one word of a level covers; nil when there is no such level.
  public func shift(level: Int) -> Int? {
    levels.indices.contains(level) ? levels[level].shift : nil
  }

  /// How many words a table of a level has; 0 when there is no such level.
  public func wordCount(level: Int, isRoot: Bool) -> Int {
    guard levels.indices.contains(level) else { return 0 }
    return 1 << (isRoot ? levels[level].rootWidth : levels[level].width)
  }

  /// The index of `iova` in a table of a level; 0 when there is no such level.
  public func index(of iova: UInt64, level: Int, isRoot: Bool) -> Int {
    guard levels.indices.contains(level) else { return 0 }
    let width = isRoot ? levels[level].rootWidth : levels[level].width
    return Int((iova &>> UInt64(levels[level].shift)) & Bits.lowMask(width))
  }

  /// How many bits of an IOVA are translated with a root of `rootLevel`.
  public func inputWidth(rootLevel: Int) -> Int {
    levels.indices.contains(rootLevel) ? levels[rootLevel].input.width : 0
  }

  /// Whether a walk from a root of `rootLevel` translates `iova` at all.
  public func accepts(iova: UInt64, rootLevel: Int) -> Bool {
    levels.indices.contains(rootLevel) && levels[rootLevel].input.accepts(iova)
  }

  /// How many roots the IOVA's bits choose among.
  public var rootCount: Int { rootSelect.map { 1 << ($0.high - $0.low + 1) } ?? 1 }

  /// Which of the roots translates `iova`.
  public func rootOrdinal(of iova: UInt64) -> Int {
    guard let rootSelect else { return 0 }
    return Int((iova & Bits.mask(rootSelect.high, rootSelect.low)) &>> UInt64(rootSelect.low))
  }

  /// The sizes in bytes of the leaves that may be encoded at a level, ascending.
  public func leafSizes(level: Int) -> [UInt64] {
    guard levels.indices.contains(level) else { return [] }
    let logs = levels[level].entries
      .filter { !entries[$0].isTable && details[$0].offered }
      .map { entries[$0].sizeLog2 }
    return Set(logs).sorted().map { 1 << UInt64($0) }
  }

  // MARK: - Classification

  /// Whether `word` is not present.
  @inline(__always)
  func isAbsent(_ word: UInt64) -> Bool { word & absentMask == absentValue }

  /// The kind of entry that `word` is at an existing level, or nil for none.
  @inline(__always)
  func entryIndex(of word: UInt64, level: Int) -> Int? {
    var index = levels[level].entries.lowerBound
    let end = levels[level].entries.upperBound
    while index < end {
      if entries[index].matches(word) { return index }
      index &+= 1
    }
    return nil
  }

  @inline(__always)
  func holds(_ test: WordTest, _ word: UInt64) -> Bool {
    var position = Int(test.start)
    let end = position &+ Int(test.count)
    while position < end {
      let clause = clauses[position]
      if word & clause.mask == clause.value { return true }
      position &+= 1
    }
    return false
  }

  /// The address in `word`, an entry of kind number `entry`.
  @inline(__always)
  func address(in word: UInt64, _ entry: Int) -> UInt64 {
    var address: UInt64 = 0
    var position = entries[entry].firstMove
    let end = position &+ entries[entry].moveCount
    while position < end {
      address |= moves[position].address(in: word)
      position &+= 1
    }
    return address
  }
}
