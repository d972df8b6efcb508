// SPDX-License-Identifier: GPL-2.0-only
//
// AMD's tables in the processor's own format as Linux 6.12 keeps them (drivers/iommu/amd/io_pgtable_v2.c, called by
// amd/iommu.c): four or five levels, leaves of 4K, 2M and 1G; each page of a map or unmap is walked to from the root.

import PageTable
import Synchronization

/// Page tables of AMD's IOMMU, version 2: the format x86_64 with use=amdv2.
public enum AMDv2: LegacyFamily {
  public static let schemas = [X86Schema.schema]

  public static let testConfigurations = [
    "x86_64", "x86_64:levels=5", "x86_64:cbit=47", "x86_64:levels=5,cbit=51", "x86_64:pgsizes=0x1000",
    "x86_64:pgsizes=0x201000",
  ]

  public static func accepts(_ configuration: Configuration) -> Bool {
    configuration.format == "x86_64" && configuration.text("use") == "amdv2"
  }

  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    try function(AMDv2PageTable(configuration, memory: memory))
  }

  /// The page sizes that the driver offers.
  static var allPageSizes: UInt64 { Bits.bit(12) | Bits.bit(21) | Bits.bit(30) }

  // MARK: Words

  @inlinable static var present: UInt64 { Bits.bit(0) }
  @inlinable static var writable: UInt64 { Bits.bit(1) }
  @inlinable static var user: UInt64 { Bits.bit(2) }
  @inlinable static var accessed: UInt64 { Bits.bit(5) }
  @inlinable static var dirty: UInt64 { Bits.bit(6) }
  /// A leaf above the last level.
  @inlinable static var large: UInt64 { Bits.bit(7) }
  @inlinable static var addressMask: UInt64 { Bits.mask(51, 12) }

  @inlinable @inline(__always)
  static func index(_ iova: UInt64, level: UInt64) -> Int {
    Int(truncatingIfNeeded: (iova &>> (12 &+ 9 &* level)) & 511)
  }

  /// The level of the leaves that a map of pages of a size writes.
  @inlinable @inline(__always)
  static func leafLevel(_ pageSize: UInt64) -> UInt64 {
    if pageSize >= Bits.bit(30) { return 2 }
    return pageSize >= Bits.bit(21) ? 1 : 0
  }
}

/// One page table of AMD's IOMMU, version 2.
public final class AMDv2PageTable<Memory: TableMemory>: LegacyPageTable {
  @usableFromInline typealias Words = UnsafeMutablePointer<UInt64>

  public let memory: Memory
  public let pageSizes: UInt64
  @usableFromInline let root: UInt64
  /// Levels of tables, 4 or 5.
  @usableFromInline let levels: UInt64
  /// The memory encryption bit, as a mask.
  @usableFromInline let encryption: UInt64
  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64

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
    let encryption = cbit == 0 ? 0 : Bits.bit(cbit)
    try require(cbit == 0 || (12...51).contains(cbit), "cbit is 12 to 51, or 0 for none")
    try require(sizes & ~AMDv2.allPageSizes == 0, "page sizes are 4K, 2M and 1G")
    try require(
      memory.physicalBase & (AMDv2.addressMask & ~encryption) == memory.physicalBase,
      "no table pointer reaches memory at \(Numbers.hex(memory.physicalBase))")
    guard let root = memory.allocateTable(sizeLog2: 12) else { throw LinuxErrno.enomem }
    self.memory = memory
    self.root = root
    self.encryption = encryption
    pageSizes = sizes == 0 ? AMDv2.allPageSizes : sizes
    levels = UInt64(configuration.number("levels"))
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    memory.changeTop(to: root, level: Int(levels) - 1)
  }

  public var roots: [TableRoot] { [TableRoot(physical: root, level: Int(levels) - 1)] }

  // MARK: Words

  @inlinable @inline(__always)
  func words(of table: UInt64) -> Words {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    Words(bitPattern: UInt(truncatingIfNeeded: table &+ hostOffset)).unsafelyUnwrapped
  }

  @inlinable @inline(__always)
  static func atomic(_ word: Words) -> UnsafeMutablePointer<Atomic<UInt64>> {
    UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inlinable @inline(__always)
  static func load(_ word: Words) -> UInt64 { atomic(word).pointee.load(ordering: .relaxed) }

  @inlinable @inline(__always)
  static func exchange(_ word: Words, _ old: UInt64, _ new: UInt64) -> Bool {
    atomic(word).pointee.compareExchange(expected: old, desired: new, ordering: .sequentiallyConsistent)
      .exchanged
  }

  @inlinable @inline(__always)
  func address(_ word: UInt64) -> UInt64 { word & (AMDv2.addressMask & ~encryption) }

  @inlinable @inline(__always)
  func record(_ word: Words) {
    if Memory.recordsEvents {
      memory.recordEntryWrites(at: UInt64(UInt(bitPattern: word)) &- hostOffset, count: 1)
    }
  }

  // MARK: Map

  // Linux calls the driver through pointers; mapPages and unmapPages stay calls here, too.
  @inlinable @inline(never)
  public func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome {
    if isRefused(pageSize) {
      memory.recordWarning()
      return MapOutcome(.einval, mapped: 0)
    }
    if count == 0 || protection.isDisjoint(with: [.read, .write]) { return MapOutcome(.einval, mapped: 0) }
    let length = count &<< UInt64(truncatingIfNeeded: pageSize.trailingZeroBitCount)
    let level = AMDv2.leafLevel(pageSize)
    let size: UInt64 = 1 &<< (12 &+ 9 &* level)
    let fixed = leaf(protection, level: level)
    var mustFlush = false
    var errno: LinuxErrno?
    var mapped: UInt64 = 0
    while mapped < length {
      guard let entry = allocateEntry(iova &+ mapped, level: level, &mustFlush) else {
        errno = .enomem
        break
      }
      entry.pointee = (pa &+ mapped) & AMDv2.addressMask | fixed
      record(entry)
      mapped &+= size
    }
    if mustFlush {
      let last = iova &+ length &- 1
      memory.synchronizeIOTLB(InvalidationRequest(first: iova, last: last < iova ? ~0 : last))
    }
    return MapOutcome(errno, mapped: mapped)
  }

  /// Whether the driver does not know a page size; it warns then.
  @inlinable @inline(__always)
  func isRefused(_ pageSize: UInt64) -> Bool { pageSize == 0 || pageSize & pageSizes != pageSize }

  /// A leaf without its address. It is dirty and accessed from the start.
  @inlinable @inline(__always)
  func leaf(_ protection: Protection, level: UInt64) -> UInt64 {
    var word = AMDv2.present | AMDv2.user | AMDv2.accessed | AMDv2.dirty | encryption
    if protection.contains(.write) { word |= AMDv2.writable }
    if level > 0 { word |= AMDv2.large }
    return word
  }

  /// The word for a leaf of a level, empty, with all tables above it; what is in the way goes. Nil when memory is short.
  @inlinable @inline(__always)
  func allocateEntry(_ iova: UInt64, level end: UInt64, _ mustFlush: inout Bool) -> Words? {
    var level = levels &- 1
    var entry = words(of: root) + AMDv2.index(iova, level: level)
    while level > end {
      let word = Self.load(entry)
      if word & AMDv2.present == 0 {
        guard installTable(at: entry, replacing: word) else { return nil }
      } else if word & AMDv2.large != 0 {
        _ = Self.exchange(entry, word, 0)
        record(entry)
        mustFlush = true
      } else {
        level &-= 1
        entry = words(of: address(word)) + AMDv2.index(iova, level: level)
      }
    }
    let word = Self.load(entry)
    if word & AMDv2.present != 0 {
      mustFlush = true
      tearDown(entry, word, level: end)
    }
    return entry
  }

  /// Replaces an empty word by a pointer to a new table; false when memory is short.
  @inlinable
  func installTable(at entry: Words, replacing word: UInt64) -> Bool {
    guard let table = memory.allocateTable(sizeLog2: 12) else { return false }
    // Where the address does not fit, Linux would write a pointer that leads astray; there is no such memory here.
    guard address(table) == table else {
      memory.releaseTable(at: table, sizeLog2: 12)
      return false
    }
    let attributes = AMDv2.present | AMDv2.writable | AMDv2.user | AMDv2.accessed
    guard Self.exchange(entry, word, table | encryption | attributes) else {
      memory.releaseTable(at: table, sizeLog2: 12)
      return true
    }
    if Memory.recordsEvents {
      memory.recordTableInstall(table, at: UInt64(UInt(bitPattern: entry)) &- hostOffset)
    }
    return true
  }

  /// Empties the word of a large page, or of a small one, and releases the tables that it led to: at once, before the
  /// IOTLB is invalidated, as this version of Linux does.
  ///
  /// Linux takes a large leaf for a pointer, too, and gives the page that it maps to the allocator. There are no such
  /// pages here.
  @inlinable
  func tearDown(_ entry: Words, _ word: UInt64, level: UInt64) {
    _ = Self.exchange(entry, word, 0)
    record(entry)
    if level > 0, word & AMDv2.large == 0 { release(address(word), level: level &- 1) }
  }

  /// Releases a table and those below it.
  @inlinable
  func release(_ table: UInt64, level: UInt64) {
    if level > 0 {
      let words = words(of: table)
      for index in 0..<512 where words[index] & (AMDv2.present | AMDv2.large) == AMDv2.present {
        release(address(words[index]), level: level &- 1)
      }
    }
    memory.releaseTable(at: table, sizeLog2: 12)
  }

  // MARK: Unmap

  @inlinable @inline(never)
  public func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64
  {
    if isRefused(pageSize) || count == 0 {
      memory.recordWarning()
      return 0
    }
    let length = count &<< UInt64(truncatingIfNeeded: pageSize.trailingZeroBitCount)
    var unmapped: UInt64 = 0
    var next = iova
    var size: UInt64 = 0
    while unmapped < length {
      guard let entry = fetchEntry(next, &size) else { break }
      entry.pointee = 0
      record(entry)
      next = (next & ~(size &- 1)) &+ size
      unmapped &+= size
    }
    if unmapped > 0 { gather.add(iova: iova, length: unmapped) }
    return unmapped
  }

  /// The word that an IOVA leads to, empty or a leaf, and the size of its page in bytes; nil below an empty word that
  /// leads to no table.
  @inlinable @inline(__always)
  func fetchEntry(_ iova: UInt64, _ size: inout UInt64) -> Words? {
    var level = levels &- 1
    var entry = words(of: root) + AMDv2.index(iova, level: level)
    var word = Self.load(entry)
    size = 1 << 12
    while level > 0 {
      if word & AMDv2.present == 0 { return nil }
      level &-= 1
      entry = words(of: address(word)) + AMDv2.index(iova, level: level)
      word = Self.load(entry)
      if word & AMDv2.large != 0 {
        guard level == 1 || level == 2 else { return nil }
        size = level == 2 ? 1 << 30 : 1 << 21
        break
      }
    }
    return entry
  }

  @inlinable
  public func synchronize(_ gather: inout LegacyGather) {
    guard !gather.isEmpty else { return }
    memory.synchronizeIOTLB(InvalidationRequest(first: gather.first, last: gather.last))
    gather = LegacyGather()
  }

  // MARK: Read

  public func translate(_ iova: UInt64) -> UInt64? {
    var size: UInt64 = 0
    guard let entry = fetchEntry(iova, &size) else { return nil }
    let word = Self.load(entry)
    guard word & AMDv2.present != 0 else { return nil }
    return address(word) & ~(size &- 1) | iova & (size &- 1)
  }

  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    try TableImage(roots: roots, memory: reader) { _, _ in
      512
    } classify: { word, _ in
      guard word & (AMDv2.present | AMDv2.large) == AMDv2.present else { return .plain }
      let child = address(word)
      return .table(child: child, cleared: word & ~child)
    }
  }

  public func destroy() { release(root, level: levels &- 1) }
}
