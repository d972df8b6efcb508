// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// A leaf that a scan found.
public struct ScannedLeaf: Hashable, Sendable {
  /// Its first IOVA and output address, and its size, in bytes.
  public var iova: UInt64
  public var pa: UInt64
  public var size: UInt64
  /// The level of its table; 0 is the last.
  public var level: Int
  /// Where its first word stands, and the words.
  public var physical: UInt64
  public var words: [UInt64]
  /// Of one word out of a leaf whose words disagree: the size of the leaf that the word says it is part of, and its
  /// number in it. Else the leaf's own size, and 0.
  public var wholeSize: UInt64
  public var position = 0
  /// What its words say by themselves, and whether the whole path permits reads and writes.
  public var protection: Protection
  public var read: Bool
  public var write: Bool

  /// The last IOVA that it translates.
  public var last: UInt64 { iova &+ (size &- 1) }
}

/// A table that a scan reached.
public struct ScannedTable: Hashable, Sendable {
  /// Its physical address and level.
  public var physical: UInt64
  public var level: Int
  /// The first IOVA that it translates.
  public var iova: UInt64
  /// The word that points to it, where that stands, and in a table of which level; nil of the root.
  public var pointer: WalkStep?
}

/// A word that is not 0 and maps nothing: not present, or none of the format's entries.
public struct ScannedStray: Hashable, Sendable {
  public var iova: UInt64
  public var step: WalkStep
}

/// All that the tables of a root hold.
public struct TableScan: Sendable {
  public var root: TableRoot
  /// The leaves in the order of the tables' indices.
  public var leaves: [ScannedLeaf] = []
  public var tables: [ScannedTable] = []
  public var strays: [ScannedStray] = []
  /// What is wrong with the tables by themselves.
  public var findings: [Finding] = []
  /// How many words were looked at.
  public var wordCount = 0

  /// The bytes that the leaves map.
  public var mappedBytes: UInt64 { leaves.reduce(0) { $0 &+ $1.size } }
}

/// Reads every word of all tables below a root.
public final class TableScanner {
  private let memory: any MachineMemory
  private let format: ReferenceFormat
  private let entries: EntryScanner
  private let device: String
  private var scan: TableScan
  private var inputWidth = 0
  /// The tables seen, with the first IOVA of each.
  private var seen: [UInt64: UInt64] = [:]
  private var path: [UInt64] = []
  /// The first index of the last group of the table at hand whose words disagree.
  private var brokenGroup: Int?
  // So that a table of garbage does not fill the report; all findings are counted.
  private static let maximumFindings = 10_000

  private init(_ memory: any MachineMemory, _ format: ReferenceFormat, _ root: TableRoot, device: String) {
    self.memory = memory
    self.format = format
    self.device = device
    entries = EntryScanner(format)
    scan = TableScan(root: root)
  }

  /// Scans the tables below `root`.
  ///
  /// - Parameters:
  ///   - rights: what the structures above the root grant.
  ///   - device: what findings call the device.
  /// - Throws: what reading the memory throws.
  public static func scan(
    _ root: TableRoot, format: ReferenceFormat, memory: any MachineMemory, rights: PathRights = .all,
    device: String = ""
  ) throws -> TableScan {
    let scanner = TableScanner(memory, format, root, device: device)
    guard root.level >= 0, root.level < format.levelCount else {
      scanner.report(
        .structure, nil, nil,
        "the root has level \(root.level); \(format.configuration) has \(format.levelCount)")
      return scanner.scan
    }
    scanner.inputWidth = format.inputWidth(rootLevel: root.level)
    scanner.seen[root.physical] = 0
    scanner.scan.tables.append(ScannedTable(physical: root.physical, level: root.level, iova: 0))
    try scanner.visit(
      Place(physical: root.physical, level: root.level, base: 0, isRoot: true, rights: rights), pointer: nil)
    scanner.checkOverlaps()
    return scanner.scan
  }

  /// A table to look at.
  private struct Place {
    var physical: UInt64
    var level: Int
    /// The IOVA bits that lead to it.
    var base: UInt64
    var isRoot: Bool
    var rights: PathRights
  }

  private func visit(_ place: Place, pointer: WalkStep?) throws {
    let count = format.wordCount(level: place.level, isRoot: place.isRoot)
    guard let words = try memory.words(at: place.physical, count: count) else {
      return report(
        .pointer, canonical(place.base), pointer,
        "the table of level \(place.level) at \(Numbers.hex(place.physical)) is not in memory")
    }
    path.append(place.physical)
    let outerGroup = brokenGroup
    brokenGroup = nil
    defer {
      path.removeLast()
      brokenGroup = outerGroup
    }
    scan.wordCount += count
    var index = 0
    while index < count {
      index = words[index] == 0 ? index + 1 : try look(at: index, of: words, in: place)
    }
  }

  /// Looks at a word that is not 0; returns the index of the next one to look at.
  private func look(at index: Int, of words: [UInt64], in place: Place) throws -> Int {
    let word = words[index]
    let step = WalkStep(
      level: place.level, index: index, physical: place.physical &+ UInt64(index &* 8), word: word)
    let bits = place.base | UInt64(index) &<< UInt64(format.shift(level: place.level) ?? 0)
    let iova = canonical(bits)
    guard let scanned = entries.scan(word, level: place.level) else { return index + 1 }
    if iova == nil, scanned.kind != .empty { report(.unreachable, nil, step, "no IOVA leads to this word") }
    if scanned.isWrong { reportWrong(step, iova) }
    let rights = Self.restricted(place.rights, by: scanned.rights)
    switch scanned.kind {
    case .empty, .malformed: scan.strays.append(ScannedStray(iova: iova ?? 0, step: step))
    case .table(let child, let level):
      let next = Place(physical: child, level: level, base: bits, isRoot: false, rights: rights)
      try follow(next, step, iova ?? 0)
    case .leaf(let leaf):
      let found = ScannedLeaf(
        iova: iova ?? 0, pa: leaf.pa, size: leaf.size, level: place.level, physical: step.physical,
        words: [word],
        wholeSize: leaf.size, protection: leaf.protection, read: rights.read, write: rights.write)
      return add(found, leaf, words, index)
    }
    return index + 1
  }

  private static func restricted(_ rights: PathRights, by word: PathRights) -> PathRights {
    PathRights(
      read: rights.read && word.read, write: rights.write && word.write, noexec: rights.noexec || word.noexec,
      priv: rights.priv || word.priv)
  }

  /// The IOVA that the hardware takes for these translated bits; nil when there is none.
  private func canonical(_ bits: UInt64) -> UInt64? {
    if format.accepts(iova: bits, rootLevel: scan.root.level) { return bits }
    let upper = bits | ~Bits.lowMask(inputWidth)
    return format.accepts(iova: upper, rootLevel: scan.root.level) ? upper : nil
  }

  private func follow(_ table: Place, _ step: WalkStep, _ iova: UInt64) throws {
    if path.contains(table.physical) {
      return report(
        .loop, iova, step, "the pointer leads back to the table at \(Numbers.hex(table.physical)) above it")
    }
    if let other = seen[table.physical] {
      return report(
        .shared, iova, step,
        "the table at \(Numbers.hex(table.physical)) is also reached by IOVA \(Numbers.hex(other))")
    }
    seen[table.physical] = iova
    scan.tables.append(ScannedTable(physical: table.physical, level: table.level, iova: iova, pointer: step))
    try visit(table, pointer: step)
  }

  /// Adds a leaf, and returns the index of the next word to look at.
  private func add(
    _ leaf: ScannedLeaf, _ decoded: DecodedLeaf, _ words: [UInt64], _ index: Int
  ) -> Int {
    let count = decoded.wordCount
    guard count > 1 else {
      scan.leaves.append(leaf)
      return index + 1
    }
    let start = index & ~(count - 1)
    let end = start + count
    let stranger = (start..<min(end, words.count)).first {
      !entries.agree(words[index], words[$0], level: leaf.level, distance: $0 - index)
    }
    if stranger == nil, index == start, end <= words.count {
      var whole = leaf
      whole.words = Array(words[start..<end])
      scan.leaves.append(whole)
      return end
    }
    if let stranger, brokenGroup != start {
      brokenGroup = start
      let step = WalkStep(
        level: leaf.level, index: stranger,
        physical: leaf.physical &+ UInt64(bitPattern: Int64((stranger - index) * 8)),
        word: words[stranger])
      report(
        .group, leaf.iova, step,
        "word \(stranger - start) of \(count) of a leaf of \(Numbers.size(leaf.size)) disagrees with word "
          + "\(index - start), \(Numbers.hex(words[index]))",
        details: WordText.both(format, actual: words[stranger], expected: words[index], level: leaf.level))
    }
    // The word alone, for what it covers by itself.
    var part = leaf
    let shift = UInt64(format.shift(level: leaf.level) ?? 0)
    part.size = 1 &<< shift
    part.position = index - start
    if !decoded.isConsecutive { part.pa = leaf.pa &+ UInt64(index - start) &<< shift }
    scan.leaves.append(part)
    return index + 1
  }

  private func checkOverlaps() {
    let sorted = scan.leaves.sorted { $0.iova < $1.iova }
    for (leaf, next) in zip(sorted, sorted.dropFirst()) where next.iova <= leaf.last {
      report(
        .overlap, next.iova,
        WalkStep(level: next.level, index: 0, physical: next.physical, word: next.words.first ?? 0),
        "the leaf of \(Numbers.size(leaf.size)) at IOVA \(Numbers.hex(leaf.iova)) translates it too")
    }
  }

  private func reportWrong(_ step: WalkStep, _ iova: UInt64?) {
    let decoded = format.decode(step.word, level: step.level)
    var reasons = decoded.reservedSet.map { "reserved bits set: \($0)" } + decoded.problems
    if decoded.kind == .malformed { reasons.insert("no entry of this level", at: 0) }
    report(
      .malformed, iova, step, reasons.joined(separator: "; "),
      details: decoded.explanation.split(separator: "\n").map { String($0) })
  }

  private func report(
    _ kind: Finding.Kind, _ iova: UInt64?, _ step: WalkStep?, _ text: String, details: [String] = []
  ) {
    guard scan.findings.count < Self.maximumFindings else { return }
    scan.findings.append(
      Finding(
        kind, device: device, iova: iova, level: step?.level, physical: step?.physical ?? scan.root.physical,
        word: step?.word, text, details: details))
  }
}
