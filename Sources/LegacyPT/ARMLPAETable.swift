// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

/// One page table as Linux's drivers/iommu/io-pgtable-arm.c keeps it. Levels count from 0, the last; Linux's level is 3
/// minus that.
public final class ARMLPAETable<Memory: TableMemory>: LegacyPageTable {
  public let memory: Memory
  public let pageSizes: UInt64
  /// The shape of the tables.
  public let shape: ARMLPAEShape

  @usableFromInline typealias Words = UnsafeMutablePointer<UInt64>

  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64
  @usableFromInline let root: Words
  @usableFromInline let topLevel: Int
  /// Bytes that an entry of the root maps, log2.
  @usableFromInline let topShift: UInt64
  @usableFromInline let rootWords: Int
  /// Words that were allocated for the root.
  @usableFromInline let rootRoom: Int
  @usableFromInline let indexBits: UInt64
  @usableFromInline let tableWords: Int
  @usableFromInline let granuleLog2: Int
  @usableFromInline let inputBits: UInt64
  @usableFromInline let outputBits: UInt64
  /// What the input address is above its width: 0, or -1 in the upper half (quirk ttbr1).
  @usableFromInline let signExtension: Int64
  @usableFromInline let coherent: Bool
  @usableFromInline let splitsBlocks: Bool
  @usableFromInline let warns: Bool
  /// Address bits 51:48 stand in 15:12.
  @usableFromInline let foldsAddress: Bool
  /// The type of a leaf of the last level: 3, but 1 for Mali.
  @usableFromInline let pageType: UInt64
  @usableFromInline let encoding: ARMLPAEEncoding

  /// Makes an empty page table.
  ///
  /// - Throws: `LinuxErrno.enomem` when the root cannot be allocated where table pointers reach.
  public init(_ shape: ARMLPAEShape, memory: Memory) throws {
    self.memory = memory
    self.shape = shape
    pageSizes = shape.pageSizes
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    topLevel = shape.topLevel
    topShift = UInt64(shape.granuleLog2 + shape.topLevel * shape.indexBits)
    rootWords = 1 << shape.rootIndexBits
    rootRoom = 1 << (shape.rootSizeLog2 - 3)
    indexBits = UInt64(shape.indexBits)
    tableWords = 1 << shape.indexBits
    granuleLog2 = shape.granuleLog2
    inputBits = UInt64(shape.inputBits)
    outputBits = UInt64(shape.outputBits)
    signExtension = shape.quirks.contains("ttbr1") ? -1 : 0
    coherent = shape.coherent
    splitsBlocks = shape.splitsBlocks
    warns = !shape.quirks.contains("no_warn")
    foldsAddress = shape.granuleLog2 == 16
    pageType = shape.mali ? 1 : 3
    encoding = ARMLPAEEncoding(shape)
    let sizeLog2 = shape.rootSizeLog2
    guard let physical = memory.allocateTable(sizeLog2: sizeLog2),
      let words = Words(bitPattern: UInt(truncatingIfNeeded: physical &+ hostOffset))
    else { throw LinuxErrno.enomem }
    root = words
    if !coherent { memory.flushCache(at: physical, byteCount: 1 << sizeLog2) }
    memory.changeTop(to: physical, level: topLevel)
  }

  public var roots: [TableRoot] { [TableRoot(physical: physical(of: root), level: topLevel)] }

  public func destroy() {
    free(root, level: topLevel, words: rootWords, sizeLog2: shape.rootSizeLog2)
  }

  // MARK: Words

  /// Marks table entries that are flushed (Linux: ARM_LPAE_PTE_SW_SYNC); the walker ignores the bit.
  @usableFromInline static var flushed: UInt64 { Bits.bit(55) }
  @usableFromInline static var typeMask: UInt64 { 3 }
  @usableFromInline static var tableType: UInt64 { 3 }
  @usableFromInline static var addressMask: UInt64 { Bits.mask(47, 12) }

  @inlinable @inline(__always)
  func words(of table: UInt64) -> Words {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    Words(bitPattern: UInt(truncatingIfNeeded: table &+ hostOffset)).unsafelyUnwrapped
  }

  @inlinable @inline(__always)
  func physical(of word: Words) -> UInt64 { UInt64(UInt(bitPattern: word)) &- hostOffset }

  /// Announces words just written, and flushes them where the walker does not snoop.
  @inlinable @inline(__always)
  func publish(_ word: Words, count: Int) {
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(of: word), count: count, wordBytes: 8) }
    flush(word, count: count)
  }

  @inlinable @inline(__always)
  func flush(_ word: Words, count: Int) {
    if !coherent, count > 0 { memory.flushCache(at: physical(of: word), byteCount: count &* 8) }
  }

  // MARK: Entries

  @inlinable @inline(__always)
  func isLeaf(_ entry: UInt64, level: Int) -> Bool {
    entry & Self.typeMask == (level == 0 ? pageType : 1)
  }

  /// The bits of an address; whatever the granule, bits 51:48 are put in 15:12.
  @inlinable @inline(__always)
  static func addressField(_ address: UInt64) -> UInt64 { (address | address &>> 36) & addressMask }

  @inlinable @inline(__always)
  func address(_ entry: UInt64) -> UInt64 {
    let address = entry & Self.addressMask
    return foldsAddress ? (address | address &<< 36) & Self.addressMask &<< 4 : address
  }

  // MARK: Geometry

  /// Whether the address is as wide as the configuration says; in the upper half with all ones above.
  @inlinable @inline(__always)
  func spans(_ iova: UInt64) -> Bool {
    Int64(bitPattern: iova) &>> Int64(bitPattern: inputBits) == signExtension
  }

  /// The index of an address in a table whose entries map 2^`shift` bytes each.
  @inlinable @inline(__always)
  func index(_ iova: UInt64, level: Int, shift: UInt64) -> Int {
    Int(truncatingIfNeeded: iova &>> shift) & ((level == topLevel ? rootWords : tableWords) &- 1)
  }

  /// How many of `count` entries from `index` on are in one table; tables that are concatenated count apart.
  @inlinable @inline(__always)
  func fitting(_ count: UInt64, index: Int, level: Int) -> Int {
    var room = tableWords &- (index & (tableWords &- 1))
    // Linux counts on a whole table: it goes on behind the end of a root that is smaller, but here not behind its page.
    if level == topLevel { room = min(room, rootRoom &- index) }
    return Int(truncatingIfNeeded: min(count, UInt64(truncatingIfNeeded: room)))
  }

  // MARK: Tables

  /// A new table; nil when memory is short or no pointer reaches it.
  @inlinable
  func allocate() -> UInt64? {
    guard let table = memory.allocateTable(sizeLog2: granuleLog2) else { return nil }
    guard address(Self.addressField(table)) == table else {
      memory.releaseTable(at: table, sizeLog2: granuleLog2)
      return nil
    }
    if !coherent { memory.flushCache(at: table, byteCount: 1 << granuleLog2) }
    return table
  }

  /// Puts a table in the place of the entry `old`; returns the entry found, which is another when another thread was
  /// first.
  @inlinable
  func install(_ table: UInt64, at word: Words, replacing old: UInt64) -> UInt64 {
    let entry = Self.addressField(table) | encoding.tableBits
    let found = UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
      .compareExchange(expected: old, desired: entry, ordering: .acquiringAndReleasing).original
    if Memory.recordsEvents, found == old {
      memory.recordEntryWrites(at: physical(of: word), count: 1, wordBytes: 8)
      memory.recordTableInstall(table, at: physical(of: word))
    }
    if coherent || found & Self.flushed != 0 { return found }
    flush(word, count: 1)
    // For other callers only, so it is neither flushed nor announced.
    if found == old { word.pointee = entry | Self.flushed }
    return found
  }

  /// Installs a new table in an empty entry and returns what the entry holds then; nil when memory is short.
  @inlinable @inline(never)
  func addTable(at word: Words) -> UInt64? {
    guard let table = allocate() else { return nil }
    let found = install(table, at: word, replacing: 0)
    if found == 0 { return word.pointee }
    memory.releaseTable(at: table, sizeLog2: granuleLog2)
    return found
  }

  /// Takes the table that an entry points to out, with all below it, and releases it at once: walks that are under way
  /// are waited for before.
  @inlinable @inline(never)
  func dropTable(at word: Words, level: Int, iova: UInt64, size: UInt64) {
    let table = words(of: address(word.pointee))
    word.pointee = 0
    publish(word, count: 1)
    let released = Memory.recordsEvents ? count(table, level: level &- 1) : 0
    // Everything of the range goes, cached table pointers of all levels included.
    memory.synchronizeIOTLB(
      InvalidationRequest(
        first: iova, last: iova &+ size &- 1, leafLevels: 0xf, tableLevels: 0xf, released: released))
    free(table, level: level &- 1, words: tableWords, sizeLog2: granuleLog2)
  }

  /// Releases a table and all below it.
  @inlinable
  func free(_ table: Words, level: Int, words count: Int, sizeLog2: Int) {
    if level > 0 {
      for index in 0..<count {
        let entry = table[index]
        if entry == 0 || isLeaf(entry, level: level) { continue }
        free(words(of: address(entry)), level: level &- 1, words: tableWords, sizeLog2: granuleLog2)
      }
    }
    memory.releaseTable(at: physical(of: table), sizeLog2: sizeLog2)
  }

  /// How many tables a table and all below it are.
  @inlinable
  func count(_ table: Words, level: Int) -> Int {
    guard level > 0 else { return 1 }
    var tables = 1
    for index in 0..<tableWords {
      let entry = table[index]
      if entry == 0 || isLeaf(entry, level: level) { continue }
      tables &+= count(words(of: address(entry)), level: level &- 1)
    }
    return tables
  }

  @inlinable
  public func synchronize(_ gather: inout LegacyGather) {
    guard gather.first <= gather.last else { return }
    // Leaves only; cached table pointers stay.
    memory.synchronizeIOTLB(
      InvalidationRequest(first: gather.first, last: gather.last, leafLevels: 0xf))
    gather = LegacyGather()
  }
}

extension ARMLPAEShape {
  /// Bytes of the root, log2; Linux allocates whole pages.
  var rootSizeLog2: Int { max(12, rootIndexBits + 3) }
}
