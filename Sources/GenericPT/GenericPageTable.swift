// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

/// What becomes of tables that an unmap leaves empty.
public enum Reclaim: Hashable, Sendable {
  /// They stay, as in Linux today; only a table that an unmap covers completely goes.
  case never
  /// Each is unlinked as it empties; at most this many are kept for reuse after the IOTLB sync, the rest is
  /// released.
  case bounded(Int)
  /// Each is unlinked as it empties and released after the IOTLB sync.
  case eager
}

/// How callers use a page table.
public enum Sharing: Sendable {
  /// One thread at a time.
  case exclusive
  /// Several threads, on ranges that do not overlap. Reclaim then takes one lock for each operation.
  case shared
}

/// One page table of a format in some memory, with the semantics of Linux 7.3's generic page table
/// (drivers/iommu/generic_pt/iommu_pt.h).
///
/// Callers on ranges that do not overlap may run at the same time; the tables they share are installed by
/// compare-exchange.
public final class GenericPageTable<Format: PageTableFormat, Memory: TableMemory>: @unchecked Sendable {
  // Unchecked: `freeTables` changes only under `lock` or with exclusive use; all else is constant or atomic.

  /// The format and its configuration.
  public let format: Format
  /// The memory that the tables live in.
  public let memory: Memory
  /// The reclaim policy.
  public let reclaim: Reclaim
  /// The leaf sizes in use, a bitmap of bytes.
  public let pageSizes: UInt64

  @usableFromInline let geometry: Geometry
  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64
  @usableFromInline let physicalBase: UInt64
  @usableFromInline let metadata: UnsafeMutablePointer<TablePageMetadata>
  @usableFromInline let countsEntries: Bool
  @usableFromInline let locks: Bool
  @usableFromInline let lock = SpinLock()
  @usableFromInline let topLock = SpinLock()
  /// The top table's physical address with its level in the low bits.
  @usableFromInline let top: Atomic<UInt64>
  /// Empty tables kept for reuse.
  @usableFromInline var freeTables = TableList()

  /// Makes an empty page table.
  ///
  /// - Throws: `LinuxErrno.enomem` when the top table cannot be allocated.
  public init(_ format: Format, memory: Memory, reclaim: Reclaim = .never, sharing: Sharing = .exclusive)
    throws
  {
    self.format = format
    self.memory = memory
    self.reclaim = reclaim
    geometry = format.geometry
    let offered = format.offeredSizes()
    pageSizes = geometry.pageSizeLimit == 0 ? offered : offered & geometry.pageSizeLimit
    physicalBase = memory.physicalBase
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    metadata = memory.pageMetadata
    countsEntries = reclaim != .never
    locks = countsEntries && sharing == .shared
    let sizeLog2 = Self.rootSizeLog2(geometry, level: geometry.topLevel)
    guard let root = memory.allocateTable(sizeLog2: sizeLog2) else { throw LinuxErrno.enomem }
    top = Atomic(root | UInt64(geometry.topLevel))
    prepare(root, sizeLog2: sizeLog2)
    if geometry.features.contains(.dmaIncoherent) { memory.flushCache(at: root, byteCount: 1 << sizeLog2) }
    memory.changeTop(to: root, level: geometry.topLevel)
  }

  /// The current root, as the hardware sees it.
  public var root: TableRoot {
    let word = top.load(ordering: .acquiring)
    return TableRoot(physical: word & ~Self.levelMask, level: Int(word & Self.levelMask))
  }

  /// The roots that the topmost IOVA bits choose among, in their order.
  public var roots: [TableRoot] {
    let root = self.root
    return (0..<geometry.rootCount).map { number in
      TableRoot(
        physical: root.physical &+ UInt64(number) << UInt64(Format.tableLog2), level: root.level)
    }
  }

  /// Releases every table. The hardware must no longer walk them; the page table is unusable afterwards.
  @inlinable
  public func destroy() {
    var gather = Gather()
    let root = self.root
    _ = collectTables(
      root.physical, level: root.level, wordCount: 1 << topIndexBits(level: root.level),
      refusesLeaves: false, into: &gather)
    for var list in [gather.tables, freeTables] {
      while let page = list.popFirst(metadata: metadata) { release(table(ofPage: page)) }
    }
    freeTables = TableList()
    release(root.physical)
  }

  // MARK: Words

  @usableFromInline static var levelMask: UInt64 { 7 }

  @inlinable @inline(__always)
  func words(of table: UInt64) -> UnsafeMutablePointer<Format.Word> {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    UnsafeMutablePointer(bitPattern: UInt(truncatingIfNeeded: table &+ hostOffset)).unsafelyUnwrapped
  }

  @inlinable @inline(__always)
  func load(_ table: UInt64, _ index: Int) -> UInt64 {
    Entry.load(words(of: table) + index)
  }

  @inlinable @inline(__always)
  func store(_ word: UInt64, _ table: UInt64, _ index: Int) {
    Entry.store(word, words(of: table) + index)
    record(table, index, count: 1)
  }

  /// Bytes of a word.
  @inlinable static var wordBytes: Int { 1 &<< Format.Word.bytesLog2 }

  /// The physical address of a word.
  @inlinable @inline(__always)
  func address(_ table: UInt64, _ index: Int) -> UInt64 {
    table &+ UInt64(index) &<< UInt64(truncatingIfNeeded: Format.Word.bytesLog2)
  }

  /// Announces words just written to a memory that records them.
  @inlinable @inline(__always)
  func record(_ table: UInt64, _ index: Int, count: Int) {
    guard Memory.recordsEvents else { return }
    memory.recordEntryWrites(at: address(table, index), count: count, wordBytes: Self.wordBytes)
  }

  @inlinable @inline(__always)
  func flush(_ table: UInt64, _ range: Range<Int>) {
    if geometry.features.contains(.dmaIncoherent) {
      memory.flushCache(at: address(table, range.lowerBound), byteCount: range.count &* Self.wordBytes)
    }
  }

  // MARK: Geometry

  /// Address bits that a top of `level` spans.
  @inlinable @inline(__always)
  func topBits(level: Int) -> Int { Self.topBits(geometry, level: level) }

  @inlinable @inline(__always)
  static func topBits(_ geometry: Geometry, level: Int) -> Int {
    guard Format.topMayGrow, geometry.features.contains(.dynamicTop), level != Format.maximumLevel else {
      return geometry.iovaBits
    }
    return min(geometry.iovaBits, Format.itemLog2(level: level) &+ Format.indexBits)
  }

  @inlinable
  static func rootSizeLog2(_ geometry: Geometry, level: Int) -> Int {
    max(
      Format.minimumRootLog2,
      topBits(geometry, level: level) - Format.itemLog2(level: level) + Format.Word.bytesLog2)
  }

  /// Index bits of a top table of `level`; none where one word spans the address space (Mali).
  @inlinable
  func topIndexBits(level: Int) -> Int { max(0, topBits(level: level) - Format.itemLog2(level: level)) }

  /// The index of an IOVA in a table whose entries map 2^`itemLog2` bytes each.
  @inlinable @inline(__always)
  static func index(_ iova: UInt64, itemLog2: Int) -> Int {
    Int(truncatingIfNeeded: iova &>> UInt64(truncatingIfNeeded: itemLog2)) & ((1 &<< Format.indexBits) &- 1)
  }

  /// The same in the top table, which spans `bits` of the address.
  @inlinable @inline(__always)
  static func topIndex(_ iova: UInt64, itemLog2: Int, bits: Int) -> Int {
    Int(truncatingIfNeeded: (iova & Bits.lowMask(bits)) &>> UInt64(truncatingIfNeeded: itemLog2))
  }

  @inlinable @inline(__always)
  static func index(_ iova: UInt64, level: Int) -> Int {
    index(iova, itemLog2: Format.itemLog2(level: level))
  }

  @inlinable @inline(__always)
  static func topIndex(_ iova: UInt64, level: Int, bits: Int) -> Int {
    topIndex(iova, itemLog2: Format.itemLog2(level: level), bits: bits)
  }

  @inlinable @inline(__always)
  func index(_ iova: UInt64, level: Int, of root: TableRoot) -> Int {
    level == root.level
      ? Self.topIndex(iova, level: level, bits: topBits(level: level)) : Self.index(iova, level: level)
  }

  /// The last address of the range, or the errno of a range that is empty or wraps.
  @inlinable @inline(__always)
  static func last(_ iova: UInt64, _ length: UInt64) throws(LinuxErrno) -> UInt64 {
    if length == 0 { throw .einval }
    let (last, overflow) = iova.addingReportingOverflow(length &- 1)
    if overflow { throw .eoverflow }
    return last
  }

  // MARK: Tables

  /// Prepares the metadata of a new table.
  @inlinable
  func prepare(_ table: UInt64, sizeLog2: Int) {
    metadata[page(table)] = TablePageMetadata(
      sizeLog2: UInt8(truncatingIfNeeded: sizeLog2),
      offset: UInt8(truncatingIfNeeded: ((table &- physicalBase) & 0xfff) &>> 6))
  }

  @inlinable @inline(__always)
  func page(_ table: UInt64) -> Int { Int(truncatingIfNeeded: (table &- physicalBase) &>> 12) }

  /// The table, other than a top, whose metadata is a page's.
  @inlinable @inline(__always)
  func table(ofPage page: Int) -> UInt64 {
    let start = physicalBase &+ UInt64(truncatingIfNeeded: page) &<< 12
    return Format.tableLog2 < 12 ? start &+ UInt64(metadata[page].offset) &<< 6 : start
  }

  /// Adds to the count of non-empty entries of a table.
  @inlinable @inline(__always)
  func count(_ table: UInt64, _ change: Int) {
    if countsEntries { metadata[page(table)].entries &+= UInt16(truncatingIfNeeded: change) }
  }

  /// An empty table, from the kept ones if there are any, or nil when memory is short.
  @inlinable
  func allocate() -> UInt64? {
    // Without reclaim there is no list, and threads do not take the lock that guards it.
    if countsEntries, let page = freeTables.popFirst(metadata: metadata) { return table(ofPage: page) }
    return allocate(sizeLog2: Format.allocationLog2)
  }

  /// A new table of 2^`sizeLog2` bytes, or nil when memory is short.
  @inlinable
  func allocate(sizeLog2: Int) -> UInt64? {
    guard let table = memory.allocateTable(sizeLog2: sizeLog2) else { return nil }
    prepare(table, sizeLog2: sizeLog2)
    return table
  }

  @inlinable
  func release(_ table: UInt64) {
    memory.releaseTable(at: table, sizeLog2: Int(metadata[page(table)].sizeLog2))
  }

  /// Runs one operation. Where threads share a page table that reclaims tables, readers too take the lock: a table that
  /// they walk may empty in another thread's range.
  @inlinable @inline(__always)
  func withLock<Result>(_ body: () -> Result) -> Result {
    locks ? lock.withLock(body) : body()
  }
}
