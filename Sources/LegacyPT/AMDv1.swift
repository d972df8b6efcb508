// SPDX-License-Identifier: GPL-2.0-only
//
// AMD's host page table as Linux 6.12 keeps it (drivers/iommu/amd/io_pgtable.c, called by amd/iommu.c): it starts with
// three levels and grows; leaves of every power of two; each page of a map or unmap is walked to from the root.

import PageTable
import Synchronization

/// Page tables of AMD's IOMMU, version 1.
public enum AMDv1: LegacyFamily {
  public static let schemas = [
    ConfigurationSchema(
      format: "amdv1",
      keys: [
        ConfigurationKey(
          "levels", .number(1...6), default: "3", "levels of tables at first; Linux starts with 3"),
        ConfigurationKey(
          "cbit", .number(0...63), default: "0", "number of the memory encryption bit; 0 for none"),
        ConfigurationKey("pgsizes", .bitmap, default: "0x0", "page sizes offered, a bitmap; 0x0 for all"),
        ConfigurationKey("era", .choice(["6.12"]), default: "6.12", "the Linux version", slugPrefix: "era"),
      ])
  ]

  public static let testConfigurations = [
    "amdv1", "amdv1:cbit=47", "amdv1:cbit=51", "amdv1:pgsizes=0x1000", "amdv1:pgsizes=0x40201000",
    "amdv1:pgsizes=0x1000,cbit=47", "amdv1:levels=4", "amdv1:levels=5", "amdv1:levels=6",
  ]

  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    try function(AMDv1PageTable(configuration, memory: memory))
  }

  /// The page sizes that the driver offers: all but 512 GiB, for a defect of the hardware.
  static var allPageSizes: UInt64 { Bits.mask(51, 12) & ~Bits.bit(39) }

  // MARK: Words

  @inlinable static var present: UInt64 { Bits.bit(0) }
  @inlinable static var dirty: UInt64 { Bits.bit(6) }
  @inlinable static var forceCoherent: UInt64 { Bits.bit(60) }
  @inlinable static var readable: UInt64 { Bits.bit(61) }
  @inlinable static var writable: UInt64 { Bits.bit(62) }
  @inlinable static var addressMask: UInt64 { Bits.mask(51, 12) }
  /// The level of the table that a word leads to, counted from 1; 0 for a leaf of the level's own size.
  @inlinable static var nextLevelShift: UInt64 { 9 }
  /// The level field of a leaf whose size stands in its address.
  @inlinable static var sized: UInt64 { 7 }

  @inlinable @inline(__always)
  static func nextLevel(_ word: UInt64) -> UInt64 { (word &>> nextLevelShift) & 7 }

  /// The size of a leaf that says it in its address, log2 of bytes: the lowest zero of the address stands for half of it.
  @inlinable @inline(__always)
  static func statedSizeLog2(_ word: UInt64) -> UInt64 {
    UInt64(truncatingIfNeeded: (~(word | 0xfff)).trailingZeroBitCount) &+ 1
  }

  /// The level, counted from 0, whose entries map a page size or part of it.
  @inlinable @inline(__always)
  static func level(ofSizeLog2 sizeLog2: UInt64) -> UInt64 { (sizeLog2 &- 12) / 9 }

  /// How many words, all alike, map a page.
  @inlinable @inline(__always)
  static func words(ofSizeLog2 sizeLog2: UInt64) -> Int {
    1 &<< Int(truncatingIfNeeded: (sizeLog2 &- 12) % 9)
  }

  /// The size that one word of a level maps, log2 of bytes; also the span of a table of the level below.
  @inlinable @inline(__always)
  static func entryLog2(_ level: UInt64) -> UInt64 { 12 &+ 9 &* level }

  @inlinable @inline(__always)
  static func index(_ iova: UInt64, level: UInt64) -> Int {
    Int(truncatingIfNeeded: (iova &>> entryLog2(level)) & 511)
  }

  /// The last IOVA that `levels` levels of tables span.
  @inlinable @inline(__always)
  static func lastAddress(levels: UInt64) -> UInt64 {
    levels < 6 ? (1 &<< entryLog2(levels)) &- 1 : ~0
  }
}

/// Tables that wait to be released, linked through their metadata.
@frozen @usableFromInline
struct AMDv1TableList {
  /// Page number of the first table plus one; 0 for none.
  @usableFromInline var head: UInt32 = 0
  @usableFromInline var count = 0

  @inlinable
  init() {}
}

/// One page table of AMD's IOMMU, version 1.
public final class AMDv1PageTable<Memory: TableMemory>: LegacyPageTable {
  @usableFromInline typealias Words = UnsafeMutablePointer<UInt64>

  public let memory: Memory
  public let pageSizes: UInt64
  /// The memory encryption bit, as a mask.
  @usableFromInline let encryption: UInt64
  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64
  /// The root and the number of levels, which change together: `sequence` is odd meanwhile (Linux: seqcount_t).
  @usableFromInline let root: Atomic<UInt64>
  @usableFromInline let levels: Atomic<UInt64>
  @usableFromInline let sequence = Atomic<UInt64>(0)
  /// Taken to grow.
  @usableFromInline let lock = SpinLock()

  /// Makes an empty page table.
  ///
  /// - Throws: `ConfigurationError` when the driver never offers the page sizes or pointers cannot reach table memory,
  ///   `LinuxErrno.enomem` when the root cannot be allocated.
  public init(_ configuration: Configuration, memory: Memory) throws {
    func require(_ condition: Bool, _ expectation: String) throws {
      if condition { return }
      throw ConfigurationError(.einval, "\(configuration): refused with EINVAL: \(expectation)")
    }
    let cbit = configuration.number("cbit")
    let sizes = configuration.bitmap("pgsizes")
    try require(cbit == 0 || (12...51).contains(cbit), "cbit is 12 to 51, or 0 for none")
    try require(sizes & ~AMDv1.allPageSizes == 0, "page sizes are 4K to 2^51 but 512G")
    self.memory = memory
    pageSizes = sizes == 0 ? AMDv1.allPageSizes : sizes
    encryption = cbit == 0 ? 0 : Bits.bit(cbit)
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    try require(
      memory.physicalBase & (AMDv1.addressMask & ~encryption) == memory.physicalBase,
      "no table pointer reaches memory at \(Numbers.hex(memory.physicalBase))")
    guard let root = memory.allocateTable(sizeLog2: 12) else { throw LinuxErrno.enomem }
    let levels = configuration.number("levels")
    self.root = Atomic(root)
    self.levels = Atomic(UInt64(levels))
    memory.changeTop(to: root, level: levels - 1)
  }

  public var roots: [TableRoot] {
    let top = loadTop()
    return [TableRoot(physical: top.table, level: Int(top.levels) - 1)]
  }

  @inlinable @inline(__always)
  func loadTop() -> (table: UInt64, levels: UInt64) {
    while true {
      let before = sequence.load(ordering: .acquiring)
      let top = (root.load(ordering: .relaxed), levels.load(ordering: .relaxed))
      atomicMemoryFence(ordering: .acquiring)
      if before & 1 == 0, sequence.load(ordering: .relaxed) == before { return top }
    }
  }

  // MARK: Words

  @inlinable @inline(__always)
  func words(of table: UInt64) -> Words {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    Words(bitPattern: UInt(truncatingIfNeeded: table &+ hostOffset)).unsafelyUnwrapped
  }

  @inlinable @inline(__always)
  func physical(_ words: Words) -> UInt64 { UInt64(UInt(bitPattern: words)) &- hostOffset }

  @inlinable @inline(__always)
  static func atomic(_ word: Words) -> UnsafeMutablePointer<Atomic<UInt64>> {
    UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inlinable @inline(__always)
  static func load(_ word: Words) -> UInt64 { atomic(word).pointee.load(ordering: .relaxed) }

  /// Replaces `old`, which stands there unless another thread changed it; returns what stood there.
  @inlinable @inline(__always)
  static func exchange(_ word: Words, _ old: UInt64, _ new: UInt64) -> UInt64 {
    atomic(word).pointee.compareExchange(expected: old, desired: new, ordering: .sequentiallyConsistent)
      .original
  }

  @inlinable @inline(__always)
  func table(_ pointer: UInt64) -> UInt64 { pointer & (AMDv1.addressMask & ~encryption) }

  /// A pointer to a table of the level `level`, counted from 1.
  @inlinable @inline(__always)
  func pointer(to table: UInt64, level: UInt64) -> UInt64 {
    table | encryption | level &<< AMDv1.nextLevelShift | AMDv1.present | AMDv1.readable | AMDv1.writable
  }

  /// The first word of the page that the word at `word`, a leaf with its size in its address, is part of.
  @inlinable @inline(__always)
  func firstWord(_ word: Words, sizeLog2: UInt64) -> Words {
    let bytes = UInt(truncatingIfNeeded: AMDv1.words(ofSizeLog2: sizeLog2) &* 8)
    return Words(bitPattern: UInt(bitPattern: word) & ~(bytes &- 1)).unsafelyUnwrapped
  }

  @inlinable @inline(__always)
  func record(_ words: Words, count: Int) {
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(words), count: count) }
  }

  // MARK: Tables

  /// An empty table that pointers can reach, or nil when memory is short.
  @inlinable
  func allocateTable() -> UInt64? {
    guard let table = memory.allocateTable(sizeLog2: 12) else { return nil }
    if self.table(table) == table { return table }
    // Linux would write a pointer that leads astray; there is no such memory here.
    memory.releaseTable(at: table, sizeLog2: 12)
    return nil
  }

  @inlinable
  func add(_ table: UInt64, to list: inout AMDv1TableList) {
    let page = Int(truncatingIfNeeded: (table &- memory.physicalBase) &>> 12)
    memory.pageMetadata[page].next = list.head
    list.head = UInt32(truncatingIfNeeded: page &+ 1)
    list.count &+= 1
  }

  /// Adds a table that an entry of level field `level` led to, and all below it.
  @inlinable
  func addTree(_ root: UInt64, level: UInt64, to list: inout AMDv1TableList) {
    if level > 1 {
      let words = words(of: root)
      for index in 0..<512 {
        let word = words[index]
        let next = AMDv1.nextLevel(word)
        if word & AMDv1.present == 0 || next == 0 || next == AMDv1.sized { continue }
        addTree(table(word), level: level &- 1, to: &list)
      }
    }
    add(root, to: &list)
  }

  @inlinable
  func release(_ list: inout AMDv1TableList) {
    while list.head != 0 {
      let page = Int(truncatingIfNeeded: list.head) &- 1
      list.head = memory.pageMetadata[page].next
      memory.pageMetadata[page].next = 0
      memory.releaseTable(at: memory.physicalBase &+ UInt64(truncatingIfNeeded: page) &* 4096, sizeLog2: 12)
    }
    list.count = 0
  }

  public func destroy() {
    let top = loadTop()
    var list = AMDv1TableList()
    addTree(top.table, level: top.levels, to: &list)
    release(&list)
  }

  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    try TableImage(roots: roots, memory: reader) { _, _ in
      512
    } classify: { word, _ in
      let next = AMDv1.nextLevel(word)
      if word & AMDv1.present == 0 || next == 0 || next == AMDv1.sized { return .plain }
      let child = table(word)
      return .table(child: child, cleared: word & ~child)
    }
  }
}
