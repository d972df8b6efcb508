// SPDX-License-Identifier: GPL-2.0-only

import PageTable

@testable import Conformance

/// What a tiny page table does wrong.
enum TinyDefect {
  case none
  /// Leaves have a bit that they should not have.
  case leafBit(UInt64)
  /// Pointers in level 2 lead to the page behind their table.
  case pointer
  /// `unmap` removes one page more than it says.
  case removesTooMuch
  /// Leaves permit writes that nobody asked for.
  case writable
  /// The image hides what the memory holds.
  case lyingImage(TableImage)
  /// Every operation warns.
  case warns
}

/// A format of nothing but 4 KiB pages in three levels, for tests of the checks: a pointer has bit 1, a leaf
/// bit 0, bit 2 for writes and bit 3 for reads; bits 12 to 51 are the address.
final class TinyTable: PageTableUnderTest, PhysicalMemoryReader {
  static let addressMask = Bits.mask(51, 12)
  static let pages = 32

  let configuration: Configuration
  var keepsNotes = true
  var defect: TinyDefect
  private let base: UInt64
  private let arena: UnsafeMutableRawPointer
  private var used = 0
  private var notes: [OperationNote] = []

  init(_ configuration: Configuration, base: UInt64, defect: TinyDefect = .none) {
    self.configuration = configuration
    self.base = base
    self.defect = defect
    arena = .allocate(byteCount: Self.pages * 4096, alignment: 4096)
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: Self.pages * 4096)
    _ = allocate()
  }

  deinit { arena.deallocate() }

  var root: TableRoot { TableRoot(physical: base, level: 2) }
  var memory: any PhysicalMemoryReader { self }
  var tablePages: Int { used }

  func bytes(at physical: UInt64, count: Int) -> UnsafeRawBufferPointer? {
    guard physical >= base, physical - base <= UInt64(Self.pages * 4096 - count) else { return nil }
    return UnsafeRawBufferPointer(start: arena + Int(physical - base), count: count)
  }

  func takeNotes() -> [OperationNote] {
    defer { notes = [] }
    return notes
  }

  func image() throws -> TableImage {
    if case .lyingImage(let image) = defect { return image }
    return try TableImage(
      root: root, memory: self, wordCount: { _, _ in 512 },
      classify: { word, _ in
        word & 2 == 0
          ? .plain : .table(child: word & Self.addressMask, cleared: word & ~Self.addressMask)
      })
  }

  func perform(_ operation: Operation) -> OperationResult {
    if case .warns = defect { notes.append(.warn) }
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      for offset in stride(from: 0, to: length, by: 4096) {
        guard let word = word(iova + offset, allocates: true) else { return .failed(.enomem) }
        var leaf = (pa + offset) & Self.addressMask | 1
        if protection.contains(.write) { leaf |= 4 }
        if protection.contains(.read) { leaf |= 8 }
        if case .leafBit(let bit) = defect { leaf |= bit }
        if case .writable = defect { leaf |= 4 }
        word.pointee = leaf
      }
      return .ok
    case .unmap(let iova, let length):
      var removed: UInt64 = 0
      while removed < length, let word = word(iova + removed, allocates: false), word.pointee != 0 {
        word.pointee = 0
        removed += 4096
      }
      if case .removesTooMuch = defect { word(iova + removed, allocates: false)?.pointee = 0 }
      if removed > 0 { notes.append(.sync(first: iova, last: iova + removed - 1, released: 0)) }
      return .unmapped(removed)
    case .phys(let iova):
      guard let word = word(iova, allocates: false), word.pointee & 1 != 0 else { return .physical(nil) }
      return .physical(word.pointee & Self.addressMask | iova & 0xfff)
    default: return .failed(.eopnotsupp)
    }
  }

  private func allocate() -> UInt64? {
    guard used < Self.pages else { return nil }
    used += 1
    return base + UInt64(used - 1) * 4096
  }

  private func word(_ iova: UInt64, allocates: Bool) -> UnsafeMutablePointer<UInt64>? {
    var table = base
    for level in [2, 1, 0] {
      let index = Int(iova >> UInt64(12 + 9 * level)) & 511
      let word = (arena + Int(table - base)).assumingMemoryBound(to: UInt64.self) + index
      if level == 0 { return word }
      if word.pointee == 0 {
        guard allocates, let child = allocate() else { return nil }
        var shown = child
        if case .pointer = defect, level == 2 { shown += 8 * 4096 }
        word.pointee = shown | 2
        table = child
      } else {
        table = word.pointee & Self.addressMask
        if case .pointer = defect, level == 2 { table -= 8 * 4096 }
      }
    }
    return nil
  }
}

/// The tiny format's reference, written apart from its page table.
struct TinyReference: GoldenReference {
  var encodesAccessed: Bool { true }
  var outputWidth = 52
  let wordBytes = 8
  /// A bit that the encoder of tables gets wrong.
  var wrongTableBit: UInt64 = 0

  func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? {
    guard leaf.level == 0, leaf.size == 4096, leaf.address & 4095 == 0, leaf.address < 1 << 52 else {
      return nil
    }
    return leaf.address | 1 | (leaf.protection.contains(.write) ? 4 : 0)
      | (leaf.protection.contains(.read) ? 8 : 0) | (leaf.accessed == true ? 16 : 0)
  }

  func encodeTable(level: Int, address: UInt64) -> UInt64? {
    level > 0 && level < 3 ? (address | 2) ^ wrongTableBit : nil
  }

  func wordCount(level: Int, isRoot: Bool) -> Int { 512 }

  func classify(_ word: UInt64, level: Int) -> WordKind {
    let address = Bits.mask(51, 12)
    return word & 3 == 2 ? .table(child: word & address, cleared: word & ~address) : .plain
  }

  func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> GoldenTranslation {
    guard iova < 1 << 39, var table = roots.first?.physical else { return .fault("beyond 39 bits") }
    for level in [2, 1, 0] {
      let index = iova >> UInt64(12 + 9 * level) & 511
      guard let bytes = memory.bytes(at: table + index * 8, count: 8) else { return .fault("no memory") }
      let word = bytes.loadUnaligned(as: UInt64.self)
      if word & 3 == 1, level == 0 {
        if word & 12 == 0 { return .refused("no permission") }
        let page = iova & ~0xfff
        return .leaf(
          address: word & Bits.mask(51, 12) | iova & 0xfff, first: page, last: page | 0xfff,
          readable: word & 8 != 0, writable: word & 4 != 0)
      }
      guard word & 3 == 2 else { return .fault("not present at level \(level)") }
      table = word & Bits.mask(51, 12)
    }
    return .fault("a pointer at level 0")
  }
}

/// A format whose schema and witnesses only tests know.
enum Tiny {
  static let schema = ConfigurationSchema(
    format: "tiny", keys: [ConfigurationKey("va", .number(30...39), default: "39", "IOVA bits")])

  static func environment(
    defect: TinyDefect = .none, keepsNotes: Bool = true, reference: TinyReference = TinyReference(),
    encoder: TinyReference = TinyReference()
  ) -> GoldenEnvironment {
    GoldenEnvironment(
      configuration: { format, pairs in
        guard format == "tiny" else { throw ConfigurationError(.einval, "unknown format '\(format)'") }
        return try schema.configuration(pairs, permissive: true)
      },
      makeTable: { configuration, base in
        let table = TinyTable(configuration, base: base, defect: defect)
        table.keepsNotes = keepsNotes
        return table
      },
      encoder: { _ in encoder }, reference: { _ in reference })
  }

  /// The tiny format's old driver, which has one era and calls its key `bits`.
  static func legacy(_ defect: TinyDefect = .none) -> GoldenLegacy {
    let old = ConfigurationSchema(
      format: "tiny",
      keys: [
        ConfigurationKey("bits", .number(30...39), default: "39", "IOVA bits"),
        ConfigurationKey("era", .choice(["7.3"]), default: "7.3", "the Linux version"),
      ])
    return GoldenLegacy(
      eras: { $0 == "tiny" ? ["7.3"] : [] },
      configuration: { try old.configuration($1) },
      makeTable: { TinyTable($0, base: $1, defect: defect) },
      counterpart: { try? schema.configuration(["va=\($0.text("bits"))"]) })
  }

  /// A file with two entries and a case, true of the tiny format.
  static let text = """
    golden 1
    source Linux 7.3 tiny.c
    behaviour generic
    format tiny
    config va=39
    memory base=0x200000000

    entry leaf  level=0 pa=0x5000 size=4K prot=rw = 0x500d   # a page
    entry table level=1 pa=0x7000 = 0x7002
    entry leaf level=1 pa=0x0 size=2M prot=rw = invalid

    case map-unmap
    map 0x1000 0x5000 0x3000 r => ok
    map 0x40000000 0xabcde000 0x1000 rw => ok
    unmap 0x2000 0x1000 => 0x1000  ! sync 0x2000..0x2fff
    phys 0x3004 => 0x7004
    phys 0x2000 => none
    image
    T0 L2 [0x0] 0x2 -> T1
    T0 L2 [0x1] 0x2 -> T3
    T1 L1 [0x0] 0x2 -> T2
    T2 L0 [0x1] 0x5009
    T2 L0 [0x3] 0x7009
    T3 L1 [0x0] 0x2 -> T4
    T4 L0 [0x0] 0xabcde00d
    tables 5
    end

    """

  /// The reports of all items of a text, in the order of the plan.
  static func check(
    _ text: String, _ environment: GoldenEnvironment = environment(),
    divergences: Divergences = Divergences(),
    path: String = "tiny.golden"
  ) throws -> [GoldenItemReport] {
    var plan = GoldenPlan()
    plan.add(try GoldenFile(text: text, path: path), environment: environment)
    return GoldenChecker(environment: environment, divergences: divergences).check(plan).flatMap(\.items)
  }
}
