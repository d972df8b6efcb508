// SPDX-License-Identifier: GPL-2.0-only
//
// The RISC-V IOMMU's first stage as the driver did it itself in Linux 6.13: drivers/iommu/riscv/iommu.c. It takes
// walkers to snoop caches always.

import PageTable
import Synchronization

/// RISC-V: Sv39, Sv48 and Sv57 (format riscv64).
public enum RISCVFamily: LegacyFamily {
  public static var schemas: [ConfigurationSchema] {
    [
      ConfigurationSchema(
        format: "riscv64",
        keys: [
          ConfigurationKey(
            "levels", .number(3...5), default: "4", "levels of tables: 3 Sv39, 4 Sv48, 5 Sv57",
            alwaysInSlug: true),
          ConfigurationKey(
            "amo_hwad", .number(0...1), default: "0", "whether hardware sets the dirty bit",
            slugPrefix: "hwad"),
          ConfigurationKey(
            "era", .choice(["6.13"]), default: "6.13", "the Linux version", slugPrefix: "era"),
        ])
    ]
  }

  public static var testConfigurations: [String] {
    [3, 4, 5].flatMap { ["riscv64:levels=\($0)", "riscv64:levels=\($0),amo_hwad=1"] }
  }

  @inlinable
  public static func accepts(_ configuration: Configuration) -> Bool { configuration.format == "riscv64" }

  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    let levels = configuration.number("levels")
    let isHardwareDirty = configuration.number("amo_hwad") != 0
    return try function(
      try RISCVPageTable(topLevel: levels - 1, isHardwareDirty: isHardwareDirty, memory: memory))
  }
}

/// A domain's page table as the RISC-V driver keeps it.
public final class RISCVPageTable<Memory: TableMemory>: LegacyPageTable {
  @usableFromInline typealias Entry = UnsafeMutablePointer<UInt64>

  public let memory: Memory
  public let pageSizes: UInt64
  @usableFromInline let topLevel: Int
  @usableFromInline let root: UInt64
  /// The bits of a writable leaf.
  @usableFromInline let writableBits: UInt64
  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64

  /// Makes an empty page table.
  ///
  /// - Throws: ENOMEM when the top table cannot be allocated.
  @inlinable
  init(topLevel: Int, isHardwareDirty: Bool, memory: Memory) throws(LinuxErrno) {
    guard let root = Self.allocateTable(memory) else { throw .enomem }
    self.memory = memory
    self.topLevel = topLevel
    self.root = root
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    writableBits =
      isHardwareDirty ? Self.readableBits | Self.write : Self.readableBits | Self.write | Self.dirty
    // The driver leaves the upper half of the sign-extended space alone, and offers what fits into the lower one.
    pageSizes =
      (Bits.bit(12) | Bits.bit(21) | Bits.bit(30) | Bits.bit(39)) & Bits.lowMask(12 + 9 * (topLevel + 1) - 1)
    memory.changeTop(to: root, level: topLevel)
  }

  public var roots: [TableRoot] { [TableRoot(physical: root, level: topLevel)] }

  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    try TableImage(
      roots: roots, memory: reader, wordCount: { _, _ in 512 },
      classify: { word, _ in
        Self.pointsToTable(word)
          ? .table(child: Self.address(word), cleared: word & ~Self.frameMask) : .plain
      })
  }

  public func destroy() { releaseTables(root) }

  /// Releases a table and those below it.
  private func releaseTables(_ table: UInt64) {
    for index in 0..<512 {
      let word = load(entry(in: table, index))
      if Self.pointsToTable(word) { releaseTables(Self.address(word)) }
    }
    memory.releaseTable(at: table, sizeLog2: 12)
  }

  // MARK: Words

  @inlinable static var valid: UInt64 { Bits.bit(0) }
  @inlinable static var write: UInt64 { Bits.bit(2) }
  @inlinable static var dirty: UInt64 { Bits.bit(7) }
  /// Any of read, write and execute makes a leaf.
  @inlinable static var leafMask: UInt64 { 0xe }
  /// Valid, readable, user, accessed: all that is mapped is readable.
  @inlinable static var readableBits: UInt64 { 0x53 }
  /// The page number of the output address or of a table.
  @inlinable static var frameMask: UInt64 { Bits.mask(53, 10) }
  /// Addresses that the page number can express.
  @inlinable static var addressBits: UInt64 { 56 }

  @inlinable @inline(__always)
  static func isLeaf(_ word: UInt64) -> Bool { word & valid != 0 && word & leafMask != 0 }

  @inlinable @inline(__always)
  static func pointsToTable(_ word: UInt64) -> Bool { word & valid != 0 && word & leafMask == 0 }

  @inlinable @inline(__always)
  static func address(_ word: UInt64) -> UInt64 { (word & frameMask) &<< 2 }

  /// A word with the page number of an address; what exceeds it is lost.
  @inlinable @inline(__always)
  static func word(_ address: UInt64, _ bits: UInt64) -> UInt64 { address &>> 2 & frameMask | bits }

  @inlinable @inline(__always)
  static func atomic(_ entry: Entry) -> UnsafeMutablePointer<Atomic<UInt64>> {
    UnsafeMutableRawPointer(entry).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inlinable @inline(__always)
  func load(_ entry: Entry) -> UInt64 { Self.atomic(entry).pointee.load(ordering: .acquiring) }

  /// Replaces a word unless another thread did so first.
  @inlinable @inline(__always)
  func replace(_ old: UInt64, by word: UInt64, at entry: Entry) -> Bool {
    guard
      Self.atomic(entry).pointee.compareExchange(
        expected: old, desired: word, ordering: .acquiringAndReleasing
      ).exchanged
    else { return false }
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(entry), count: 1) }
    return true
  }

  /// The entry of an index in a table; the table is one of this page table's.
  @inlinable @inline(__always)
  func entry(in table: UInt64, _ index: Int) -> Entry {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    Entry(bitPattern: UInt(truncatingIfNeeded: table &+ hostOffset)).unsafelyUnwrapped + index
  }

  /// The entry for an IOVA in a table of a level; address bits above the top level's index are ignored.
  @inlinable @inline(__always)
  func entry(in table: UInt64, level: Int, iova: UInt64) -> Entry {
    entry(in: table, Int(truncatingIfNeeded: iova &>> Self.sizeLog2(level)) & 511)
  }

  @inlinable @inline(__always)
  func physical(_ entry: Entry) -> UInt64 { UInt64(UInt(bitPattern: entry)) &- hostOffset }

  /// The size in bytes, log2, of what an entry of a level maps.
  @inlinable @inline(__always)
  static func sizeLog2(_ level: Int) -> UInt64 { UInt64(truncatingIfNeeded: 9 &* level &+ 12) }

  /// A new table; nil when memory is short or where a word cannot express its address.
  @inlinable
  static func allocateTable(_ memory: Memory) -> UInt64? {
    guard let table = memory.allocateTable(sizeLog2: 12) else { return nil }
    guard table &>> addressBits == 0 else {
      memory.releaseTable(at: table, sizeLog2: 12)
      return nil
    }
    return table
  }

  // MARK: Walks

  /// The leaf that maps an IOVA, and its size in bytes, log2.
  @inlinable @inline(__always)
  func leaf(_ iova: UInt64) -> (entry: Entry, sizeLog2: UInt64)? {
    var table = root
    var level = topLevel
    while level >= 0 {
      let entry = entry(in: table, level: level, iova: iova)
      let word = load(entry)
      if Self.isLeaf(word) { return (entry, Self.sizeLog2(level)) }
      if word == 0 { return nil }
      table = Self.address(word)
      level &-= 1
    }
    return nil
  }

  @inlinable
  public func translate(_ iova: UInt64) -> UInt64? {
    guard let (entry, sizeLog2) = leaf(iova) else { return nil }
    return Self.address(load(entry)) | iova & (1 &<< sizeLog2 &- 1)
  }
}
