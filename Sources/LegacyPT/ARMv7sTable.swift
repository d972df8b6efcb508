// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

/// One page table as Linux's drivers/iommu/io-pgtable-arm-v7s.c keeps it. The root is level 1 and holds sections, the
/// tables below are level 0; Linux calls them levels 1 and 2.
public final class ARMv7sTable<Memory: TableMemory>: LegacyPageTable {
  public let memory: Memory
  public let pageSizes: UInt64
  /// What was asked for.
  public let shape: ARMv7sShape

  @usableFromInline typealias Words = UnsafeMutablePointer<UInt32>

  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64
  @usableFromInline let root: Words
  @usableFromInline let rootWords: Int
  @usableFromInline let inputBits: UInt64
  @usableFromInline let outputBits: UInt64
  @usableFromInline let coherent: Bool
  @usableFromInline let splitsBlocks: Bool
  @usableFromInline let encoding: ARMv7sEncoding

  /// Makes an empty page table.
  ///
  /// - Throws: `LinuxErrno.enomem` when the root cannot be allocated where the hardware reaches it.
  public init(_ shape: ARMv7sShape, memory: Memory) throws {
    self.memory = memory
    self.shape = shape
    pageSizes = shape.pageSizes
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    rootWords = 1 << (shape.inputBits - 20)
    inputBits = UInt64(shape.inputBits)
    outputBits = UInt64(shape.outputBits)
    coherent = shape.coherent
    splitsBlocks = shape.splitsBlocks
    encoding = ARMv7sEncoding(shape)
    let sizeLog2 = shape.rootSizeLog2
    guard let physical = memory.allocateTable(sizeLog2: sizeLog2) else { throw LinuxErrno.enomem }
    guard encoding.reaches(physical), let words = Words(bitPattern: UInt(physical &+ hostOffset)) else {
      memory.releaseTable(at: physical, sizeLog2: sizeLog2)
      throw LinuxErrno.enomem
    }
    root = words
    if !coherent { memory.flushCache(at: physical, byteCount: 1 << sizeLog2) }
    memory.changeTop(to: physical, level: 1)
  }

  public var roots: [TableRoot] { [TableRoot(physical: physical(of: root), level: 1)] }

  public func destroy() {
    for index in 0..<rootWords where ARMv7sEncoding.isTable(root[index], level: 1) {
      releaseTable(encoding.address(root[index], level: 1))
    }
    memory.releaseTable(at: physical(of: root), sizeLog2: shape.rootSizeLog2)
  }

  // MARK: Words

  /// Words of a table of level 0.
  @usableFromInline static var tableWords: Int { 256 }
  /// Bytes of a table of level 0, log2.
  @usableFromInline static var tableSizeLog2: Int { 10 }

  @inlinable @inline(__always)
  func words(of table: UInt64) -> Words {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    Words(bitPattern: UInt(truncatingIfNeeded: table &+ hostOffset)).unsafelyUnwrapped
  }

  @inlinable @inline(__always)
  func physical(of word: Words) -> UInt64 { UInt64(UInt(bitPattern: word)) &- hostOffset }

  /// Writes the same entry `count` times, announces it, and flushes it where the walker does not snoop.
  @inlinable @inline(__always)
  func fill(_ word: Words, count: Int, with entry: UInt32) {
    for index in 0..<count { word[index] = entry }
    publish(word, count: count)
  }

  @inlinable @inline(__always)
  func publish(_ word: Words, count: Int) {
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(of: word), count: count, wordBytes: 4) }
    flush(word, count: count)
  }

  @inlinable @inline(__always)
  func flush(_ word: Words, count: Int) {
    if !coherent { memory.flushCache(at: physical(of: word), byteCount: count &* 4) }
  }

  // MARK: Geometry

  /// Bytes that an entry of a level maps, log2.
  @inlinable @inline(__always)
  static func shift(level: Int) -> UInt64 { level == 1 ? 20 : 12 }

  @inlinable @inline(__always)
  static func entrySize(level: Int) -> UInt64 { 1 &<< shift(level: level) }

  /// How many entries of a level a leaf takes: none where it is smaller than one.
  @inlinable @inline(__always)
  static func entries(of size: UInt64, level: Int) -> Int {
    Int(truncatingIfNeeded: size &>> shift(level: level))
  }

  @inlinable @inline(__always)
  func index(_ iova: UInt64, level: Int) -> Int {
    Int(truncatingIfNeeded: iova &>> Self.shift(level: level)) & (wordCount(level: level) &- 1)
  }

  @inlinable @inline(__always)
  func wordCount(level: Int) -> Int { level == 1 ? rootWords : Self.tableWords }

  /// Whether `count` entries from `index` on are in the table and no more than a contiguous entry has. Linux does not
  /// check; callers that honour the page sizes never ask for more.
  @inlinable @inline(__always)
  func holds(_ count: Int, index: Int, level: Int) -> Bool {
    count <= ARMv7sEncoding.contiguousEntries && index &+ count <= wordCount(level: level)
  }

  // MARK: Tables

  /// A new table of level 0; nil when memory is short or no pointer reaches it.
  @inlinable
  func allocate() -> UInt64? {
    guard let table = memory.allocateTable(sizeLog2: Self.tableSizeLog2) else { return nil }
    guard encoding.reaches(table) else {
      releaseTable(table)
      return nil
    }
    if !coherent { memory.flushCache(at: table, byteCount: 1 << Self.tableSizeLog2) }
    return table
  }

  @inlinable
  func releaseTable(_ table: UInt64) {
    memory.releaseTable(at: table, sizeLog2: Self.tableSizeLog2)
  }

  /// Puts a table in the place of the entry `old`; returns the entry found, which is another when another thread was
  /// first.
  @inlinable
  func install(_ table: UInt64, at word: Words, replacing old: UInt32) -> UInt32 {
    let found = UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt32>.self).pointee
      .compareExchange(
        expected: old, desired: encoding.tableEntry(table), ordering: .acquiringAndReleasing
      ).original
    if Memory.recordsEvents, found == old {
      memory.recordEntryWrites(at: physical(of: word), count: 1, wordBytes: 4)
      memory.recordTableInstall(table, at: physical(of: word))
    }
    flush(word, count: 1)
    return found
  }

  /// Installs a new table in an empty entry and returns what the entry holds then; nil when memory is short.
  @inlinable @inline(never)
  func addTable(at word: Words) -> UInt32? {
    guard let table = allocate() else { return nil }
    let found = install(table, at: word, replacing: 0)
    if found == 0 { return word.pointee }
    releaseTable(table)
    return found
  }

  /// Releases a table that was taken out at `iova`; walks that are under way are waited for before.
  @inlinable @inline(never)
  func dropTable(_ entry: UInt32, iova: UInt64) {
    synchronizeWalks(iova: iova, size: Self.entrySize(level: 1), released: 1)
    releaseTable(encoding.address(entry, level: 1))
  }

  /// Invalidates everything that is cached for a range, table pointers included.
  @inlinable
  func synchronizeWalks(iova: UInt64, size: UInt64, released: Int) {
    memory.synchronizeIOTLB(
      InvalidationRequest(
        first: iova, last: iova &+ size &- 1, leafLevels: 0b11, tableLevels: 0b11, released: released))
  }

  @inlinable
  public func synchronize(_ gather: inout LegacyGather) {
    guard gather.first <= gather.last else { return }
    // Leaves only; cached table pointers stay.
    memory.synchronizeIOTLB(
      InvalidationRequest(first: gather.first, last: gather.last, leafLevels: 0b11))
    gather = LegacyGather()
  }

  // MARK: Read

  @inlinable
  public func translate(_ iova: UInt64) -> UInt64? {
    var level = 1
    var entry = root[index(iova, level: level)]
    if ARMv7sEncoding.isTable(entry, level: level) {
      let table = words(of: encoding.address(entry, level: level))
      level = 0
      entry = table[index(iova, level: level)]
    }
    guard ARMv7sEncoding.isValid(entry) else { return nil }
    let isContiguous = ARMv7sEncoding.isContiguous(entry, level: level)
    let size = Self.entrySize(level: level) &<< (isContiguous ? 4 : 0)
    return encoding.address(entry, level: level) | iova & (size &- 1)
  }

  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    try TableImage(roots: roots, memory: reader, wordBytes: 4) { level, _ in
      wordCount(level: level)
    } classify: { word, level in
      let entry = UInt32(truncatingIfNeeded: word)
      guard ARMv7sEncoding.isTable(entry, level: level) else { return .plain }
      let child = encoding.address(entry, level: level)
      return .table(child: child, cleared: UInt64(entry & ~encoding.tableAddressField(child)))
    }
  }
}
