// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Glibc
import PageTable
import Reference
import Simulator

/// Finds out what a library wrote to its tables by comparing them with what they held at the last look: at each cache
/// flush, invalidation, release and top change, and at the end of each operation. So the log has every entry before
/// whatever must come after it.
final class EntryWatcher {
  private struct Table {
    var physical: UInt64
    var bytes: Int
    /// What it held at the last look; it belongs to the watcher.
    var seen: UnsafeMutableRawPointer
    /// Where it stands; `unknown` while no pointer to it is known.
    var level = unknown
    /// The table that points to it.
    var parent: UInt64?
    /// The IOVAs that it is about, without sign extension; all of them where that is not known.
    var span: ClosedRange<UInt64> = 0...UInt64.max
    /// Its place in the list of its level.
    var place = 0
  }

  private static let unknown = -1

  private let reference: ReferenceFormat
  private let recorder: RecordingMemory
  private let wordBytes: Int
  private var tables: [Table] = []
  /// Places in `tables` without a table.
  private var unused: [Int] = []
  /// By page of table memory: the place of its table, or `unknown`.
  private var places: [Int] = []
  /// By level, from `unknown` on: the places of tables.
  private var levels: [[Int]] = [[]]

  /// Whether an operation is looked for in the tables of its range alone, but for every so many-th: several times faster,
  /// and writes elsewhere are found later. What only reads is not looked at.
  var isNarrow = false
  private static let wideInterval = 16
  private var operations = 0
  /// The IOVAs of the operation that runs, as they are and without sign extension; none for all.
  private var focus: [ClosedRange<UInt64>] = []
  private var rootLevel = 0

  init(_ reference: ReferenceFormat, _ recorder: RecordingMemory) {
    self.reference = reference
    self.recorder = recorder
    wordBytes = reference.wordBytes
  }

  deinit {
    for level in levels { for place in level { tables[place].seen.deallocate() } }
  }

  // MARK: Tables

  func allocated(_ physical: UInt64, sizeLog2: Int) {
    guard SimulatedMachine.tableSizes.contains(sizeLog2), let pages = pages(physical, 1 << sizeLog2) else {
      return
    }
    if let old = place(of: physical) { forget(old) }
    let seen = UnsafeMutableRawPointer.allocate(byteCount: 1 << sizeLog2, alignment: 64)
    memset(seen, 0, 1 << sizeLog2)
    let table = Table(physical: physical, bytes: 1 << sizeLog2, seen: seen)
    let place = unused.popLast() ?? tables.count
    if place == tables.count { tables.append(table) } else { tables[place] = table }
    if places.count < pages.upperBound {
      places += Array(repeating: Self.unknown, count: max(pages.upperBound, 2 * places.count) - places.count)
    }
    for page in pages { places[page] = place }
    enter(place)
  }

  func release(_ physical: UInt64) {
    guard let place = place(of: physical) else { return }
    if let parent = tables[place].parent.flatMap({ self.place(of: $0) }) { scan(parent) }
    forget(place)
  }

  private func forget(_ place: Int) {
    let table = tables[place]
    leave(place)
    table.seen.deallocate()
    for page in pages(table.physical, table.bytes) ?? 0..<0 { places[page] = Self.unknown }
    unused.append(place)
  }

  private func pages(_ physical: UInt64, _ bytes: Int) -> Range<Int>? {
    let offset = physical &- recorder.physicalBase
    guard offset &+ UInt64(bytes) <= recorder.machine.reservedBytes, offset < recorder.machine.reservedBytes
    else { return nil }
    return Int(offset >> 12)..<Int((offset &+ UInt64(bytes) &+ 4095) >> 12)
  }

  /// The place of the table that starts at an address.
  private func place(of physical: UInt64) -> Int? {
    guard let place = place(around: physical), tables[place].physical == physical else { return nil }
    return place
  }

  /// The place of the table that holds a byte.
  private func place(around physical: UInt64) -> Int? {
    let offset = physical &- recorder.physicalBase
    guard offset < recorder.machine.reservedBytes, Int(offset >> 12) < places.count else { return nil }
    let place = places[Int(offset >> 12)]
    guard place >= 0, physical &- tables[place].physical < UInt64(tables[place].bytes) else { return nil }
    return place
  }

  private func enter(_ place: Int) {
    let list = tables[place].level + 1
    while levels.count <= list { levels.append([]) }
    tables[place].place = levels[list].count
    levels[list].append(place)
  }

  private func leave(_ place: Int) {
    let (list, position) = (tables[place].level + 1, tables[place].place)
    guard let last = levels[list].popLast(), last != place else { return }
    levels[list][position] = last
    tables[last].place = position
  }

  // MARK: Looks

  /// An operation begins.
  func begin(_ operation: Operation) {
    focus = []
    guard isNarrow, let reach = operation.reach else { return }
    operations += 1
    guard operations % Self.wideInterval != 0 else { return }
    let mask = Bits.lowMask(reference.inputWidth(rootLevel: rootLevel))
    let (first, last) = (reach.lowerBound & mask, reach.upperBound & mask)
    if first <= last { focus = [reach, first...last] }
  }

  /// An operation ends.
  func end(_ operation: Operation) {
    // There are many lookups; should one write, the next operation finds it.
    if case .phys = operation { return }
    scanAll()
  }

  /// Looks at the table that holds a byte.
  func scan(around physical: UInt64) {
    if let place = place(around: physical) { scan(place) }
  }

  /// Looks at all tables, or at those of the operation's range; first at those that nothing points to yet.
  func scanAll() {
    for list in levels.indices {
      // A look can give tables their level: they leave the list of the unknown, which comes first.
      var position = 0
      while position < levels[list].count {
        let place = levels[list][position]
        if list == 0 || focus.isEmpty || focus.contains(where: tables[place].span.overlaps) { scan(place) }
        position += 1
      }
    }
  }

  /// A root of `level` is there now.
  func installRoot(_ physical: UInt64, level: Int) {
    rootLevel = level
    install(physical, level: level)
  }

  /// A pointer to a table of `level` is there now.
  private func install(_ physical: UInt64, level: Int) {
    guard let place = place(of: physical), tables[place].level != level else { return }
    leave(place)
    tables[place].level = max(Self.unknown, level)
    enter(place)
    guard level > 0 else { return }
    for index in 0..<tables[place].bytes / wordBytes { link(place, index) }
  }

  private func scan(_ place: Int) {
    let table = tables[place]
    let now = recorder.arena + Int(table.physical &- recorder.physicalBase)
    if memcmp(table.seen, now, table.bytes) == 0 { return }
    var first: Int?
    var changed: [Int] = []
    let count = table.bytes / wordBytes
    for index in 0..<count {
      let (old, new) = (word(table.seen, index), word(now, index))
      guard old != new, isChange(old, new, table.level) else {
        if let start = first { record(table, start..<index) }
        first = nil
        continue
      }
      if table.level > 0 { changed.append(index) }
      first = first ?? index
    }
    if let start = first { record(table, start..<count) }
    memcpy(table.seen, now, table.bytes)
    for index in changed { link(place, index) }
  }

  private func record(_ table: Table, _ words: Range<Int>) {
    recorder.recordEntryWrites(
      at: table.physical &+ UInt64(words.lowerBound * wordBytes), count: words.count, wordBytes: wordBytes)
  }

  /// Whether a write means something to hardware: what software marks in a pointer does not.
  private func isChange(_ old: UInt64, _ new: UInt64, _ level: Int) -> Bool {
    guard level > 0, case .table(let before, _) = reference.wordKind(old, level: level),
      case .table(let after, _) = reference.wordKind(new, level: level)
    else { return true }
    return before != after
  }

  private func link(_ place: Int, _ index: Int) {
    let table = tables[place]
    let word = word(table.seen, index)
    guard word != 0, table.level > 0,
      case .table(let physical, _) = reference.wordKind(word, level: table.level),
      let child = self.place(of: physical)
    else { return }
    recorder.recordTableInstall(physical, at: table.physical &+ UInt64(index * wordBytes))
    tables[child].parent = table.physical
    tables[child].span = span(table, index)
    install(physical, level: table.level - 1)
  }

  /// The IOVAs of a table that a word leads to. Which part of them a root has, where there are several, is not known.
  private func span(_ table: Table, _ index: Int) -> ClosedRange<UInt64> {
    guard reference.rootCount == 1, let shift = reference.shift(level: table.level), shift < 64 else {
      return 0...UInt64.max
    }
    let first = table.span.lowerBound | UInt64(index) << UInt64(shift)
    return first...(first | Bits.lowMask(shift))
  }

  @inline(__always)
  private func word(_ bytes: UnsafeRawPointer, _ index: Int) -> UInt64 {
    wordBytes == 4
      ? UInt64(bytes.load(fromByteOffset: index &* 4, as: UInt32.self))
      : bytes.load(fromByteOffset: index &* 8, as: UInt64.self)
  }
}
