// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Simulator

/// Words of one table, by where a walk meets them: the same on both sides, wherever the tables lie.
struct WordSpan: Hashable {
  /// The table's level; 0 is the last.
  var level: Int
  /// The first IOVA that the table is about, without sign extension.
  var base: UInt64
  var first: Int
  var count: Int
}

/// Follows a side's tables through the events of its memory, so that only what an operation touched is compared.
struct TableTracker {
  /// Where a table stands.
  private struct Place: Equatable {
    var level: Int
    var base: UInt64
    var isRoot: Bool
  }

  let reference: ReferenceFormat
  let machine: SimulatedMachine
  /// The first IOVA of each root.
  let rootBases: [UInt64]
  /// By page: the table in it, or 0 for none. No two tables share a page.
  private var owners: [UInt64] = []
  /// By the page where a table starts: its place once a walk leads there.
  private var places: [Place?] = []
  /// The words touched since the last `takeTouched`.
  private var touched: [WordSpan] = []

  init(_ reference: ReferenceFormat, _ machine: SimulatedMachine) {
    self.reference = reference
    self.machine = machine
    rootBases = (0..<max(1, reference.rootCount)).map { ordinal in
      (0..<64).reduce(UInt64(0)) { base, bit in
        let weight = reference.rootOrdinal(of: Bits.bit(bit))
        return weight != 0 && weight & ordinal == weight ? base | Bits.bit(bit) : base
      }
    }
  }

  mutating func takeTouched() -> [WordSpan] {
    defer { touched.removeAll(keepingCapacity: true) }
    return touched
  }

  // MARK: Events

  /// Takes in what happened; `roots` are those after it.
  mutating func digest(_ events: [MemoryEvent], roots: [TableRoot]) {
    for event in events {
      switch event {
      case .allocate(let physical, let sizeLog2): allocate(physical, sizeLog2)
      case .release(let physical, _):
        if let page = page(of: physical), page < places.count { places[page] = nil }
      case .entryWrites(let at, let count, _, _, _): touch(at, count)
      case .tableInstall(_, let entry, _): touch(entry, 1)
      case .topChange: placeRoots(roots)
      default: break
      }
    }
  }

  mutating func placeRoots(_ roots: [TableRoot]) {
    for (ordinal, root) in roots.enumerated() where ordinal < rootBases.count {
      place(root.physical, Place(level: root.level, base: rootBases[ordinal], isRoot: true))
    }
  }

  private mutating func allocate(_ physical: UInt64, _ sizeLog2: Int) {
    guard let first = page(of: physical) else { return }
    let count = max(1, (1 << sizeLog2) / 4096)
    if owners.count < first + count {
      owners += Array(repeating: 0, count: first + count - owners.count)
      places += Array(repeating: nil, count: owners.count - places.count)
    }
    for page in first..<first + count { owners[page] = physical }
    places[first] = nil
  }

  private mutating func touch(_ at: UInt64, _ count: Int) {
    guard let page = page(of: at), page < owners.count, owners[page] != 0 else { return }
    let table = owners[page]
    guard let start = self.page(of: table), let place = places[start] else { return }
    let first = Int(at &- table) / reference.wordBytes
    touched.append(WordSpan(level: place.level, base: place.base, first: first, count: count))
    guard place.level > 0 else { return }
    for index in first..<first + count { follow(table, place, index) }
  }

  /// Places the table that a word points to.
  private mutating func follow(_ table: UInt64, _ place: Place, _ index: Int) {
    let word = load(table, index)
    guard word != 0, case .table(let child, _) = reference.wordKind(word, level: place.level) else { return }
    let shift = UInt64(reference.shift(level: place.level) ?? 0)
    self.place(
      child, Place(level: place.level - 1, base: place.base | UInt64(index) &<< shift, isRoot: false))
  }

  private mutating func place(_ table: UInt64, _ place: Place) {
    guard let page = page(of: table), page < owners.count, owners[page] == table, places[page] != place
    else { return }
    places[page] = place
    let count = reference.wordCount(level: place.level, isRoot: place.isRoot)
    touched.append(WordSpan(level: place.level, base: place.base, first: 0, count: count))
    guard place.level > 0 else { return }
    for index in 0..<count { follow(table, place, index) }
  }

  private func page(of physical: UInt64) -> Int? {
    let offset = physical &- machine.physicalBase
    return offset < machine.reservedBytes ? Int(offset >> 12) : nil
  }

  // MARK: Words

  /// A word of a table; 0 outside of table memory.
  @inline(__always)
  func load(_ table: UInt64, _ index: Int) -> UInt64 {
    let bytes = reference.wordBytes
    let offset = table &- machine.physicalBase &+ UInt64(index &* bytes)
    guard offset < machine.reservedBytes, offset & UInt64(bytes &- 1) == 0 else { return 0 }
    let start = machine.arena + Int(offset)
    return bytes == 8 ? start.load(as: UInt64.self) : UInt64(start.load(as: UInt32.self))
  }

  /// Where the host keeps a word; nil outside of table memory.
  @inline(__always)
  func pointer(_ table: UInt64, _ index: Int) -> UnsafeRawPointer? {
    let offset = table &- machine.physicalBase &+ UInt64(index &* reference.wordBytes)
    return offset < machine.reservedBytes ? UnsafeRawPointer(machine.arena + Int(offset)) : nil
  }

  /// Where a table is.
  enum Found {
    case at(UInt64)
    /// A walk does not lead there.
    case missing
    /// The top is of a lower level.
    case aboveTop
  }

  /// The table that a walk from `roots` meets at a place.
  func locate(level: Int, base: UInt64, roots: [TableRoot]) -> Found {
    let ordinal = roots.count > 1 ? reference.rootOrdinal(of: base) : 0
    guard ordinal < roots.count else { return .missing }
    let root = roots[ordinal]
    guard level <= root.level else { return .aboveTop }
    // A top that grows may not span the place yet.
    let words = reference.wordCount(level: root.level, isRoot: true)
    let bits = (reference.shift(level: root.level) ?? 0) + words.trailingZeroBitCount
    guard roots.count > 1 || bits >= 64 || base >> UInt64(bits) == 0 else { return .missing }
    // A top that grows does not span all addresses yet.
    guard base & ~Bits.lowMask(reference.inputWidth(rootLevel: root.level)) == 0 else { return .missing }
    var table = root.physical
    var current = root.level
    while current > level {
      let index = reference.index(of: base, level: current, isRoot: current == root.level)
      guard case .table(let child, _) = reference.wordKind(load(table, index), level: current) else {
        return .missing
      }
      table = child
      current -= 1
    }
    return .at(table)
  }

  /// Whether no leaf is below a table.
  func isEmpty(_ table: UInt64, level: Int) -> Bool {
    for index in 0..<reference.wordCount(level: level, isRoot: false) {
      let word = load(table, index)
      if word == 0 { continue }
      guard level > 0, case .table(let child, _) = reference.wordKind(word, level: level),
        isEmpty(child, level: level - 1)
      else { return false }
    }
    return true
  }
}
