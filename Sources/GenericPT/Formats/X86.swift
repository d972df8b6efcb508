// SPDX-License-Identifier: GPL-2.0-only
//
// Intel Virtualization Technology for Directed I/O, D51397 rev. 5.10, section 9.7 "First-Stage Paging Entries";
// AMD64 Architecture Programmer's Manual vol. 2, section 5.3 (the AMD IOMMU's v2 tables); Linux
// drivers/iommu/generic_pt/fmt/x86_64.h.
//
// Level map:
//   4  56:48  PML5E, no leaves     1  29:21  PDE, 2M
//   3  47:39  PML4E, no leaves     0  20:12  PTE, 4K
//   2  38:30  PDPTE, 1G

import PageTable

/// The x86-64 page table: AMD's v2 table and VT-d's first stage.
public struct X86: PageTableFormat {
  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { 12 }
  @inlinable public static var maximumLevel: Int { 4 }
  @inlinable public static var addressFieldBits: Int { 52 }

  public let geometry: Geometry
  @usableFromInline let encryption: UInt64

  // MARK: Named bits

  @inlinable static var present: UInt64 { Bits.bit(0) }
  @inlinable static var writable: UInt64 { Bits.bit(1) }
  @inlinable static var user: UInt64 { Bits.bit(2) }
  @inlinable static var accessed: UInt64 { Bits.bit(5) }
  @inlinable static var dirty: UInt64 { Bits.bit(6) }
  @inlinable static var pageSize: UInt64 { Bits.bit(7) }
  @inlinable static var flushed: UInt64 { Bits.bit(9) }
  @inlinable static var addressMask: UInt64 { Bits.mask(51, 12) }
  @inlinable static var highestLeafLevel: Int { 2 }

  // MARK: Encode

  @inlinable @inline(__always)
  public func possibleSizes(level: Int) -> UInt64 {
    level <= Self.highestLeafLevel ? Bits.bit(Self.itemLog2(level: level)) : 0
  }

  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    // Accessed and dirty are set beforehand: the IOMMU then never has to write the table.
    var bits = Self.user | Self.accessed
    if protection.contains(.write) { bits |= Self.writable | Self.dirty }
    if !protection.contains(.mmio) { bits |= encryption }
    return bits
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    Self.present | attributes | (level == 0 ? 0 : Self.pageSize)
  }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 { address & Self.addressMask }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    Self.present | Self.writable | Self.user | Self.accessed | addressField(table) | encryption
  }

  @inlinable public var flushedMark: UInt64 { Self.flushed }

  // MARK: Decode

  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    if entry & Self.present == 0 { return .empty }
    return level == 0 || level <= Self.highestLeafLevel && entry & Self.pageSize != 0 ? .leaf : .table
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    let leaf = level == 0 ? Self.present : Self.present | Self.pageSize
    return entry & leaf ^ leaf | (level <= Self.highestLeafLevel ? 0 : 1)
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 { entry & ~encryption & Self.addressMask }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 { entry & ~encryption & Self.addressMask }

  // MARK: Configurations

  public static var schema: ConfigurationSchema {
    ConfigurationSchema(
      format: "x86_64",
      keys: [
        .iovaBits(default: 48), .outputBits(default: 52),
        .topLevel(default: 3, "level of the top table: 3 (4-level) or 4 (5-level)"),
        .features(ConfigurationKey.genericFeatures + ["encrypt_tables"], default: "flush_range+sign_extend"),
        .encryptionBit,
      ])
  }

  public static var testConfigurations: [String] {
    [
      "", "va=57,level=4", "features=flush_range+sign_extend+dma_incoherent",
      "va=57,level=4,features=flush_range+sign_extend+dma_incoherent",
      "va=47,features=flush_range+encrypt_tables", "va=47,features=flush_range+encrypt_tables,cbit=47",
      "va=47,features=flush_range+encrypt_tables,cbit=51",
      "va=56,level=4,features=flush_range+encrypt_tables",
      "va=47,features=flush_range_no_gaps+encrypt_tables", "va=48,features=flush_range",
    ]
  }

  public init(_ configuration: Configuration) throws {
    let check = ConfigurationCheck(configuration)
    let words = configuration.flags("features")
    let level = configuration.number("level")
    let iovaBits = configuration.number("va")
    try check.widths(iova: 57, output: 52)
    try check.require((3...4).contains(level), .eopnotsupp, "level is 3 or 4")
    try check.features(
      known: ["sign_extend", "flush_range", "flush_range_no_gaps", "encrypt_tables", "dma_incoherent"],
      forced: [], impossible: ["dynamic_top"])
    try check.topSpans(
      iovaBits, level: level, itemLog2: Self.itemLog2(level: level), indexBits: Self.indexBits)
    geometry = Geometry(
      iovaBits: iovaBits, outputBits: configuration.number("oa"), topLevel: level,
      features: Features(words: words))
    encryption = try check.encryptionBit(words)
  }
}
