// SPDX-License-Identifier: GPL-2.0-only
//
// Apple's DART as Linux 7.3 keeps it (drivers/iommu/io-pgtable-dart.c, called by apple-dart.c): leaves of one size, in
// the last level only; up to four root tables, chosen by the IOVA's top bits; no table is released before the domain is.

import PageTable
import Synchronization

/// Page tables of Apple's DART, versions 1 and 2.
public enum DART: LegacyFamily {
  public static let schemas = [
    ConfigurationSchema(
      format: "dart",
      keys: [
        ConfigurationKey(
          "version", .choice(["1", "2"]), default: "1", "the layout of a word", slugPrefix: "v",
          alwaysInSlug: true),
        ConfigurationKey(
          "granule", .choice(["16k", "4k"]), default: "16k", "size of a page and of a table", slugPrefix: "",
          alwaysInSlug: true),
        ConfigurationKey(
          "ias", .number(1...64), default: "32", "width of IOVAs, in bits", alwaysInSlug: true),
        ConfigurationKey(
          "oas", .number(1...64), default: "36", "width of output addresses, 36 or 42 bits",
          alwaysInSlug: true),
        ConfigurationKey("pgsizes", .bitmap, default: "0x0", "page sizes offered; 0x0 for the granule"),
        ConfigurationKey("era", .choice(["7.3"]), default: "7.3", "the Linux version", slugPrefix: "era"),
      ])
  ]

  // Version 2 with 4 KiB pages is left out: most table pointers cannot be written there.
  public static let testConfigurations = [
    "dart", "dart:ias=36", "dart:ias=36,oas=42", "dart:granule=4k,ias=30", "dart:granule=4k,ias=31",
    "dart:granule=4k", "dart:granule=4k,ias=36", "dart:version=2", "dart:version=2,oas=42",
    "dart:version=2,ias=36,oas=42", "dart:version=2,ias=42,oas=42",
  ]

  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    try function(DARTPageTable(DARTGeometry(configuration), memory: memory))
  }
}

/// The shape of a DART page table.
@frozen
public struct DARTGeometry: Sendable {
  /// Whether words have the layout of version 1.
  @usableFromInline let isVersion1: Bool
  /// Size of a page and of a table, log2 of bytes.
  @usableFromInline let granuleLog2: UInt64
  /// Levels of tables, 2 or 3.
  @usableFromInline let levels: UInt64
  /// IOVA bits that choose a root, 0 to 2.
  @usableFromInline let rootBits: UInt64
  /// Width of output addresses, in bits.
  @usableFromInline let outputBits: UInt64

  /// Works out the levels and roots of a configuration.
  ///
  /// - Throws: `ConfigurationError`; the driver turns every refusal of the page-table code into ENOMEM.
  public init(_ configuration: Configuration) throws {
    func require(_ condition: Bool, _ errno: LinuxErrno, _ expectation: String) throws {
      if condition { return }
      throw ConfigurationError(errno, "\(configuration): refused with \(errno.name): \(expectation)")
    }
    let granule = configuration.text("granule") == "4k" ? 12 : 14
    let ias = configuration.number("ias")
    let oas = configuration.number("oas")
    let sizes = configuration.bitmap("pgsizes")
    try require(sizes == 0 || sizes == 1 << granule, .einval, "the page size is the granule")
    try require(oas == 36 || oas == 42, .enomem, "oas is 36 or 42")
    try require(ias <= oas, .enomem, "ias is at most oas")
    // The hardware with 4 KiB pages has up to four roots, later ones use one.
    let mostRootBits = granule == 12 ? 2 : 0
    let pageBits = ias - granule
    let levels = max(2, (pageBits - mostRootBits + granule - 4) / (granule - 3))
    let rootBits = max(0, pageBits - levels * (granule - 3))
    try require(levels <= 3 && rootBits <= mostRootBits, .enomem, "tables have at most 3 levels")
    isVersion1 = configuration.text("version") == "1"
    granuleLog2 = UInt64(granule)
    self.levels = UInt64(levels)
    self.rootBits = UInt64(rootBits)
    outputBits = UInt64(oas)
  }

  /// Index bits of a level.
  @inlinable @inline(__always)
  var indexBits: UInt64 { granuleLog2 &- 3 }

  /// The index of an IOVA in a table of `level`; in the roots where `level` is `levels`.
  @inlinable @inline(__always)
  func index(_ iova: UInt64, level: UInt64) -> UInt64 {
    (iova &>> (granuleLog2 &+ level &* indexBits)) & ((1 &<< indexBits) &- 1)
  }

  // MARK: Words

  @inlinable static var valid: UInt64 { 1 }

  /// The address field of a word. Version 2 has no place for bits 13 and 12, nor version 1 for bits 36 on.
  @inlinable @inline(__always)
  func addressField(_ address: UInt64) -> UInt64 {
    isVersion1 ? address & Bits.mask(35, 12) : (address &>> 4) & Bits.mask(37, 10)
  }

  @inlinable @inline(__always)
  func address(_ word: UInt64) -> UInt64 {
    isVersion1 ? word & Bits.mask(35, 12) : (word & Bits.mask(37, 10)) &<< 4
  }

  /// A leaf without its address.
  @inlinable @inline(__always)
  func leaf(_ protection: Protection) -> UInt64 {
    // Protection below the page, from its first to its last unit of a 4096th, allows all of it.
    var word = Bits.mask(51, 40) | Self.valid
    if isVersion1 {
      word |= Bits.bit(1)
      if !protection.contains(.write) { word |= Bits.bit(7) }
      if !protection.contains(.read) { word |= Bits.bit(8) }
    } else {
      if !protection.contains(.cache) { word |= Bits.bit(1) }
      if !protection.contains(.write) { word |= Bits.bit(2) }
      if !protection.contains(.read) { word |= Bits.bit(3) }
    }
    return word
  }
}

/// One page table of a DART.
public final class DARTPageTable<Memory: TableMemory>: LegacyPageTable {
  public let memory: Memory
  public let pageSizes: UInt64
  @usableFromInline let geometry: DARTGeometry
  @usableFromInline let rootTables: UnsafeMutablePointer<UInt64>
  @usableFromInline let rootCount: UInt64
  /// What to add to a physical address to get its host address.
  @usableFromInline let hostOffset: UInt64

  /// Makes an empty page table.
  ///
  /// - Throws: `LinuxErrno.enomem` when a root cannot be allocated, `ConfigurationError` where pointers cannot reach
  ///   table memory.
  public init(_ geometry: DARTGeometry, memory: Memory) throws {
    self.memory = memory
    self.geometry = geometry
    pageSizes = 1 << geometry.granuleLog2
    rootCount = 1 << geometry.rootBits
    hostOffset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    rootTables = .allocate(capacity: Int(rootCount))
    rootTables.initialize(repeating: 0, count: Int(rootCount))
    guard geometry.address(geometry.addressField(memory.physicalBase)) == memory.physicalBase else {
      throw ConfigurationError(
        .einval, "dart: no table pointer reaches memory at \(Numbers.hex(memory.physicalBase))")
    }
    for index in 0..<Int(rootCount) {
      guard let root = memory.allocateTable(sizeLog2: Int(geometry.granuleLog2)) else {
        for allocated in 0..<index {
          memory.releaseTable(at: rootTables[allocated], sizeLog2: Int(geometry.granuleLog2))
        }
        throw LinuxErrno.enomem
      }
      rootTables[index] = root
    }
    // Observers that follow one root only follow the last announced, so that is the one of the low addresses.
    for root in roots.reversed() { memory.changeTop(to: root.physical, level: root.level) }
  }

  deinit { rootTables.deallocate() }

  public var roots: [TableRoot] {
    (0..<Int(rootCount)).map { TableRoot(physical: rootTables[$0], level: Int(geometry.levels) - 1) }
  }

  // MARK: Words

  @inlinable @inline(__always)
  func word(at entry: UInt64) -> UnsafeMutablePointer<UInt64> {
    // Table memory is one mapping and table addresses come from it, so the sum is never null.
    UnsafeMutablePointer(bitPattern: UInt(truncatingIfNeeded: entry &+ hostOffset)).unsafelyUnwrapped
  }

  @inlinable @inline(__always)
  func atomic(_ entry: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
    UnsafeMutableRawPointer(word(at: entry)).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inlinable @inline(__always)
  func load(_ entry: UInt64) -> UInt64 { atomic(entry).pointee.load(ordering: .relaxed) }

  /// The entry of an IOVA in a table.
  @inlinable @inline(__always)
  func entry(_ iova: UInt64, in table: UInt64, level: UInt64) -> UInt64 {
    table &+ geometry.index(iova, level: level) &* 8
  }

  // MARK: Map

  // Linux calls the driver through pointers; mapPages and unmapPages stay calls here, too.
  @inlinable @inline(never)
  public func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome {
    guard pageSize == pageSizes else { return refuse(.einval) }
    guard pa &>> geometry.outputBits == 0 else { return refuse(.erange) }
    if protection.isDisjoint(with: [.read, .write]) { return MapOutcome(.einval, mapped: 0) }
    let root = geometry.index(iova, level: geometry.levels)
    guard root < rootCount else { return MapOutcome(.enomem, mapped: 0) }
    var table = rootTables[Int(truncatingIfNeeded: root)]
    var level = geometry.levels &- 1
    while level > 0 {
      let entry = entry(iova, in: table, level: level)
      var pointer = load(entry)
      if pointer == 0 {
        guard let installed = installTable(at: entry) else { return MapOutcome(.enomem, mapped: 0) }
        pointer = installed
      }
      table = geometry.address(pointer)
      level &-= 1
    }
    return fill(table, iova: iova, pa: pa, count: count, fixed: geometry.leaf(protection))
  }

  /// What Linux answers with a warning.
  @inlinable
  func refuse(_ errno: LinuxErrno) -> MapOutcome {
    memory.recordWarning()
    return MapOutcome(errno, mapped: 0)
  }

  /// Writes up to `count` leaves, up to the table's end, unless one of the words is in use.
  @inlinable @inline(__always)
  func fill(_ table: UInt64, iova: UInt64, pa: UInt64, count: UInt64, fixed: UInt64) -> MapOutcome {
    let first = geometry.index(iova, level: 0)
    let entries = min(count, (1 &<< geometry.indexBits) &- first)
    let words = word(at: table &+ first &* 8)
    var index = 0
    let end = Int(truncatingIfNeeded: entries)
    while index < end {
      if words[index] & DARTGeometry.valid != 0 { return refuse(.eexist) }
      index &+= 1
    }
    index = 0
    var address = pa
    while index < end {
      words[index] = fixed | geometry.addressField(address)
      address &+= pageSizes
      index &+= 1
    }
    if Memory.recordsEvents { memory.recordEntryWrites(at: table &+ first &* 8, count: end) }
    return MapOutcome(nil, mapped: entries &<< geometry.granuleLog2)
  }

  /// Allocates a table and writes its pointer to an empty entry; returns the pointer then there, nil when memory is
  /// short.
  @inlinable
  func installTable(at entry: UInt64) -> UInt64? {
    let sizeLog2 = Int(truncatingIfNeeded: geometry.granuleLog2)
    guard let table = memory.allocateTable(sizeLog2: sizeLog2) else { return nil }
    let pointer = geometry.addressField(table) | DARTGeometry.valid
    // Linux would let a pointer that loses address bits lead astray; there is no such memory here.
    guard geometry.address(pointer) == table else {
      memory.releaseTable(at: table, sizeLog2: sizeLog2)
      return nil
    }
    let old = atomic(entry).pointee.compareExchange(
      expected: 0, desired: pointer, successOrdering: .releasing, failureOrdering: .relaxed)
    guard old.exchanged else {
      memory.releaseTable(at: table, sizeLog2: sizeLog2)
      return old.original
    }
    if Memory.recordsEvents { memory.recordTableInstall(table, at: entry) }
    return pointer
  }

  // MARK: Unmap

  @inlinable @inline(never)
  public func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64
  {
    guard pageSize == pageSizes, count > 0, let table = lastTable(iova) else {
      memory.recordWarning()
      return 0
    }
    let first = geometry.index(iova, level: 0)
    let entries = min(count, (1 &<< geometry.indexBits) &- first)
    let start = table &+ first &* 8
    var done: UInt64 = 0
    while done < entries {
      let entry = start &+ done &* 8
      if load(entry) == 0 {
        memory.recordWarning()
        break
      }
      word(at: entry).pointee = 0
      gather.add(iova: iova &+ done &* pageSizes, length: pageSizes)
      done &+= 1
    }
    if Memory.recordsEvents, done > 0 {
      memory.recordEntryWrites(at: start, count: Int(truncatingIfNeeded: done))
    }
    return done &<< geometry.granuleLog2
  }

  /// The last-level table of an IOVA, or nil where there is none.
  @inlinable @inline(__always)
  func lastTable(_ iova: UInt64) -> UInt64? {
    let root = geometry.index(iova, level: geometry.levels)
    guard root < rootCount else { return nil }
    var table = rootTables[Int(truncatingIfNeeded: root)]
    var level = geometry.levels &- 1
    while level > 0 {
      let pointer = load(entry(iova, in: table, level: level))
      if pointer == 0 { return nil }
      table = geometry.address(pointer)
      level &-= 1
    }
    return table
  }

  // The hardware can only invalidate all of a stream, so the driver does that in both places; what follows are the
  // ranges for which it must.

  @inlinable
  public func synchronize(_ gather: inout LegacyGather) {
    guard !gather.isEmpty else { return }
    memory.synchronizeIOTLB(InvalidationRequest(first: gather.first, last: gather.last))
    gather = LegacyGather()
  }

  @inlinable
  public func synchronizeMap(iova: UInt64, length: UInt64) {
    guard length > 0 else { return }
    memory.synchronizeIOTLB(InvalidationRequest(first: iova, last: iova &+ length &- 1))
  }

  // MARK: Read

  public func translate(_ iova: UInt64) -> UInt64? {
    guard let table = lastTable(iova) else { return nil }
    let leaf = load(entry(iova, in: table, level: 0))
    return leaf == 0 ? nil : geometry.address(leaf) | iova & (pageSizes &- 1)
  }

  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    let geometry = geometry
    return try TableImage(roots: roots, memory: reader) { _, _ in
      1 << Int(geometry.indexBits)
    } classify: { word, _ in
      let child = geometry.address(word)
      return .table(child: child, cleared: word & ~geometry.addressField(child))
    }
  }

  // MARK: Destroy

  public func destroy() {
    for root in roots { release(root.physical, level: root.level) }
  }

  private func release(_ table: UInt64, level: Int) {
    if level > 0 {
      for index in 0..<(UInt64(1) << geometry.indexBits) {
        let pointer = load(table &+ index &* 8)
        if pointer != 0 { release(geometry.address(pointer), level: level - 1) }
      }
    }
    memory.releaseTable(at: table, sizeLog2: Int(geometry.granuleLog2))
  }
}
