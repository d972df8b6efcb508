// SPDX-License-Identifier: GPL-2.0-only
//
// Intel VT-d, second stage and first stage, as the driver did it itself in Linux 6.12: the dma_pte code of
// drivers/iommu/intel/iommu.c. Levels count from the last one, 0, here; from 1 there.

import PageTable
import Synchronization

/// VT-d: the second stage (format vtdss) and the first stage (format x86_64 with use=vtdfs).
public enum VTDFamily: LegacyFamily {
  public static var schemas: [ConfigurationSchema] { [VTDSettings.schema, X86Schema.schema] }

  public static var testConfigurations: [String] {
    var texts: [String] = []
    for shape in [
      "superpages=0,coherent=0", "superpages=0", "superpages=1,coherent=0", "superpages=1", "coherent=0", "",
    ] {
      let more = shape.isEmpty ? "" : ",\(shape)"
      texts += ["vtdss:levels=3\(more)", "vtdss:levels=4\(more)", "vtdss:levels=5\(more)"]
      texts += ["x86_64:use=vtdfs,levels=4\(more)", "x86_64:use=vtdfs,levels=5\(more)"]
    }
    texts += [
      "vtdss:levels=3,snoop=1", "vtdss:snoop=1", "vtdss:snoop=1,coherent=0", "vtdss:levels=5,snoop=1",
    ]
    return texts + ["vtdss:ias=42", "x86_64:use=vtdfs,ias=42"]
  }

  @inlinable
  public static func accepts(_ configuration: Configuration) -> Bool {
    configuration.format == "vtdss"
      || (configuration.format == "x86_64" && configuration.text("use") == "vtdfs")
  }

  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    try function(try VTDPageTable(try VTDSettings(configuration), memory: memory))
  }
}

/// What a configuration says, as the code needs it.
@usableFromInline
struct VTDSettings: Sendable {
  static let schema = ConfigurationSchema(
    format: "vtdss",
    keys: [
      ConfigurationKey("levels", .number(3...5), default: "4", "levels of tables", alwaysInSlug: true),
      ConfigurationKey(
        "superpages", .number(0...2), default: "2", "0 none, 1 2M, 2 2M and 1G", slugPrefix: "sp"),
      ConfigurationKey("snoop", .number(0...1), default: "0", "whether all DMA is forced to snoop"),
      ConfigurationKey("coherent", .number(0...1), default: "1", "whether the walker snoops caches"),
      ConfigurationKey(
        "ias", .number(0...57), default: "0", "limits the IOVA width, in bits; 0 does not"),
      ConfigurationKey("era", .choice(["6.12"]), default: "6.12", "the Linux version", slugPrefix: "era"),
    ])

  @usableFromInline let topLevel: Int
  /// Bits of a page number that the tables span.
  @usableFromInline let tablePageBits: Int
  /// Bits of a page number that the domain allows.
  @usableFromInline let domainPageBits: Int
  /// The highest level of leaves.
  @usableFromInline let superpages: Int
  @usableFromInline let isCoherent: Bool
  @usableFromInline let isFirstStage: Bool
  /// The bits of an entry that points to a table.
  @usableFromInline let tableBits: UInt64
  /// The bits of every leaf.
  @usableFromInline let leafBits: UInt64
  /// The bits of a writable leaf in addition.
  @usableFromInline let writeBits: UInt64

  @usableFromInline
  init(_ configuration: Configuration) throws {
    let levels = configuration.number("levels")
    let limit = configuration.number("ias")
    let width = 12 + 9 * levels
    // No hardware has levels that it does not need, and Linux would leak tables when it releases such a domain.
    guard limit == 0 || limit >= width - 9 else {
      throw ConfigurationError(
        .einval, "\(configuration): refused with EINVAL: \(levels) levels are for \(width - 9) bits and more")
    }
    topLevel = levels - 1
    tablePageBits = width - 12
    domainPageBits = (limit == 0 ? width : min(width, limit)) - 12
    superpages = configuration.number("superpages")
    isCoherent = configuration.number("coherent") != 0
    isFirstStage = configuration.format == "x86_64"
    // First stage: present, user, accessed; dirty is set beforehand too. Second stage: whatever is mapped is readable.
    tableBits = isFirstStage ? 0x27 : 0x3
    leafBits = isFirstStage ? 0x25 : configuration.number("snoop") != 0 ? 0x801 : 0x1
    writeBits = isFirstStage ? 0x42 : 0x2
  }

  /// The page sizes that the driver offers.
  @inlinable var pageSizes: UInt64 {
    Bits.bit(12) | (superpages > 0 ? Bits.bit(21) : 0) | (superpages > 1 ? Bits.bit(30) : 0)
  }
}

/// A domain's page table as the VT-d driver keeps it.
public final class VTDPageTable<Memory: TableMemory>: LegacyPageTable {
  @usableFromInline typealias Entry = UnsafeMutablePointer<UInt64>

  public let memory: Memory
  public let pageSizes: UInt64
  @usableFromInline let settings: VTDSettings
  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64
  /// Physical address of the top table; `noTop` once it is gone.
  @usableFromInline let top: Atomic<UInt64>
  /// Tables that Linux loses sight of without releasing them, and their levels.
  @usableFromInline var lost: [(table: UInt64, level: Int)] = []

  /// Makes an empty page table.
  ///
  /// - Throws: ENOMEM when the top table cannot be allocated.
  @inlinable
  init(_ settings: VTDSettings, memory: Memory) throws(LinuxErrno) {
    guard let root = memory.allocateTable(sizeLog2: 12) else { throw .enomem }
    self.memory = memory
    self.settings = settings
    pageSizes = settings.pageSizes
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    top = Atomic(root)
    if !settings.isCoherent { memory.flushCache(at: root, byteCount: 4096) }
    memory.changeTop(to: root, level: settings.topLevel)
  }

  public var roots: [TableRoot] {
    let root = top.load(ordering: .acquiring)
    return root == Self.noTop ? [] : [TableRoot(physical: root, level: settings.topLevel)]
  }

  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    try TableImage(
      roots: roots, memory: reader, wordCount: { _, _ in 512 },
      classify: { word, _ in
        Self.pointsToTable(word)
          ? .table(child: word & Self.addressMask, cleared: word & ~Self.addressMask) : .plain
      })
  }

  public func destroy() {
    let root = top.exchange(Self.noTop, ordering: .acquiringAndReleasing)
    if root != Self.noTop { releaseTables(root, level: settings.topLevel) }
    for (table, level) in lost { releaseTables(table, level: level) }
    lost = []
  }

  /// Releases a table and those below it.
  private func releaseTables(_ table: UInt64, level: Int) {
    if level > 0 {
      for index in 0..<512 {
        let word = load(entry(in: table, index))
        if Self.pointsToTable(word) { releaseTables(word & Self.addressMask, level: level - 1) }
      }
    }
    memory.releaseTable(at: table, sizeLog2: 12)
  }

  // MARK: Words

  @inlinable static var noTop: UInt64 { ~0 }
  @inlinable static var superpage: UInt64 { Bits.bit(7) }
  /// Linux takes all upper bits for the address, those that the format reserves too.
  @inlinable static var addressMask: UInt64 { ~0xfff }
  @inlinable static var dirty: UInt64 { Bits.bit(9) }

  /// There is no present bit in the second stage: what can be read or written is present.
  @inlinable @inline(__always)
  static func isPresent(_ word: UInt64) -> Bool { word & 3 != 0 }

  /// Whether the word of an upper level points to a table.
  @inlinable @inline(__always)
  static func pointsToTable(_ word: UInt64) -> Bool { isPresent(word) && word & superpage == 0 }

  @inlinable @inline(__always)
  static func atomic(_ entry: Entry) -> UnsafeMutablePointer<Atomic<UInt64>> {
    UnsafeMutableRawPointer(entry).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inlinable @inline(__always)
  func load(_ entry: Entry) -> UInt64 { Self.atomic(entry).pointee.load(ordering: .acquiring) }

  @inlinable @inline(__always)
  func store(_ word: UInt64, _ entry: Entry) { Self.atomic(entry).pointee.store(word, ordering: .relaxed) }

  /// The entry of an index in a table; the table is one of this page table's.
  @inlinable @inline(__always)
  func entry(in table: UInt64, _ index: Int) -> Entry {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    Entry(bitPattern: UInt(truncatingIfNeeded: table &+ hostOffset)).unsafelyUnwrapped + index
  }

  /// The entry for a page number in a table of a level.
  @inlinable @inline(__always)
  func entry(in table: UInt64, level: Int, page: UInt64) -> Entry {
    entry(in: table, Int(truncatingIfNeeded: page &>> UInt64(truncatingIfNeeded: 9 &* level)) & 511)
  }

  @inlinable @inline(__always)
  func physical(_ entry: Entry) -> UInt64 { UInt64(UInt(bitPattern: entry)) &- hostOffset }

  /// Whether an entry is the first of its table.
  @inlinable @inline(__always)
  static func startsTable(_ entry: Entry) -> Bool { UInt(bitPattern: entry) & 4095 == 0 }

  /// The pages that one entry of a level maps.
  @inlinable @inline(__always)
  static func span(_ level: Int) -> UInt64 { 1 &<< UInt64(truncatingIfNeeded: 9 &* level) }

  /// Announces entries that were written, and writes their cache lines back for a walker that does not snoop.
  @inlinable @inline(__always)
  func publish(_ first: Entry, until end: Entry) {
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(first), count: end - first) }
    if !settings.isCoherent { memory.flushCache(at: physical(first), byteCount: (end - first) &* 8) }
  }

  // MARK: Walks

  /// Whether the tables span a page number.
  @inlinable @inline(__always)
  func spans(_ page: UInt64) -> Bool {
    page &>> UInt64(truncatingIfNeeded: settings.tablePageBits) == 0
  }

  /// The entry in which the walk to a page ends, present or not, and its level; nil outside of the tables' span.
  @inlinable @inline(__always)
  func walk(_ page: UInt64) -> (entry: Entry, level: Int)? {
    var table = top.load(ordering: .acquiring)
    guard spans(page), table != Self.noTop else { return nil }
    var level = settings.topLevel
    while true {
      let entry = entry(in: table, level: level, page: page)
      let word = load(entry)
      if level == 0 || !Self.pointsToTable(word) { return (entry, level) }
      table = word & Self.addressMask
      level &-= 1
    }
  }

  @inlinable
  public func translate(_ iova: UInt64) -> UInt64? {
    guard let (entry, level) = walk(iova &>> 12) else { return nil }
    let word = load(entry)
    guard Self.isPresent(word) else { return nil }
    return word & Self.addressMask &+ iova & (Self.span(level) &<< 12 &- 1)
  }

  // MARK: Dirty state

  public func setDirty(_ iova: UInt64) -> LinuxErrno? {
    if settings.isFirstStage { return .eopnotsupp }
    guard let (entry, _) = walk(iova &>> 12) else { return .erange }
    guard Self.isPresent(load(entry)) else { return .enoent }
    Self.atomic(entry).pointee.bitwiseOr(Self.dirty, ordering: .releasing)
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(entry), count: 1) }
    return nil
  }

  /// Linux steps by the size of whatever it finds, from where it is: a range that starts inside of a large leaf or
  /// hole is read at that offset all along.
  public func readDirty(
    iova: UInt64, length: UInt64, clear: Bool, gather: inout LegacyGather
  ) throws(LinuxErrno) -> [DirtyRange] {
    if settings.isFirstStage { throw .eopnotsupp }
    let last = iova &+ length &- 1
    var ranges: [DirtyRange] = []
    var next = iova
    repeat {
      guard let (entry, level) = walk(next &>> 12) else { break }
      let size = Self.span(level) &<< 12
      if Self.isPresent(load(entry)), takeDirty(entry, clear: clear) {
        ranges.append(DirtyRange(iova: next, length: size))
        if clear { gather.add(iova: next, length: size) }
      }
      next &+= size
    } while next < last
    return ranges
  }

  private func takeDirty(_ entry: Entry, clear: Bool) -> Bool {
    guard clear else { return load(entry) & Self.dirty != 0 }
    let old = Self.atomic(entry).pointee.bitwiseAnd(~Self.dirty, ordering: .acquiringAndReleasing).oldValue
    guard old & Self.dirty != 0 else { return false }
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(entry), count: 1) }
    return true
  }
}
