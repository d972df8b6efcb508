// SPDX-License-Identifier: GPL-2.0-only
//
// Arm Architecture Reference Manual for A-profile, DDI 0487, G5.4 (VMSAv8-32 short-descriptor format, with the access flag
// and TEX remapping in use); Linux drivers/iommu/io-pgtable-arm-v7s.c, for MediaTek's extension as well.
//
// Level map (level here = 2 - the manual's level); words have 32 bits:
//   1  31:20 1M (section) + 16M (supersection)   4096 words, 16 KiB; with MediaTek 33:20, 16384 words
//   0  19:12 4K (small)   + 64K (large page)     256 words, 1 KiB
// The leaves behind "+" are 16 like words.

import PageTable

/// Armv7's short descriptors, and MediaTek's extension of them to output addresses of 35 bits.
public struct Armv7s: PageTableFormat {
  public typealias Word = UInt32

  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { 12 }
  @inlinable public static var indexBits: Int { 8 }
  @inlinable public static var maximumLevel: Int { 1 }
  @inlinable public static var addressFieldBits: Int { 35 }
  /// Words of a large page or supersection, log2.
  @inlinable static var groupLog2: Int { 4 }

  public let geometry: Geometry
  @usableFromInline let hasPermissions: Bool
  @usableFromInline let nonSecure: Bool
  /// Output address bits 34:32 that leaves hold, and that table entries hold; 0 where they hold none.
  @usableFromInline let highLeafBits: UInt64
  @usableFromInline let highTableBits: UInt64

  // MARK: Named bits

  // Entries of level 1.
  @inlinable static var table: UInt64 { Bits.bit(0) }
  @inlinable static var nonSecureTable: UInt64 { Bits.bit(3) }
  @inlinable static var section: UInt64 { Bits.bit(1) }
  @inlinable static var sectionExecuteNever: UInt64 { Bits.bit(4) }
  @inlinable static var supersection: UInt64 { Bits.bit(18) }
  @inlinable static var nonSecureSection: UInt64 { Bits.bit(19) }
  // Entries of level 0.
  @inlinable static var largePage: UInt64 { Bits.bit(0) }
  @inlinable static var largePageExecuteNever: UInt64 { Bits.bit(15) }
  @inlinable static var smallPage: UInt64 { Bits.bit(1) }
  @inlinable static var executeNever: UInt64 { Bits.bit(0) }
  // Leaves of either; bits 11:4 of small pages, which stand 6 bits further up in sections.
  @inlinable static var bufferable: UInt64 { Bits.bit(2) }
  @inlinable static var cacheable: UInt64 { Bits.bit(3) }
  @inlinable static var accessFlag: UInt64 { Bits.bit(4) }
  @inlinable static var unprivileged: UInt64 { Bits.bit(5) }
  @inlinable static var normalMemory: UInt64 { Bits.bit(6) }
  @inlinable static var readOnly: UInt64 { Bits.bit(9) }
  @inlinable static var shareable: UInt64 { Bits.bit(10) }
  @inlinable static var notGlobal: UInt64 { Bits.bit(11) }
  @inlinable static var movingBits: UInt64 { Bits.mask(11, 4) }
  @inlinable static var sectionShift: UInt64 { 6 }
  /// TEX[0], which large pages have 6 bits further up.
  @inlinable static var largePageShift: UInt64 { 6 }

  @inlinable static var typeMask: UInt64 { Bits.mask(1, 0) }
  @inlinable static var tableMask: UInt64 { Bits.mask(31, 10) }
  @inlinable static var leafMask: UInt64 { Bits.mask(31, 12) }

  // MARK: Encode

  @inlinable
  public func possibleSizes(level: Int) -> UInt64 {
    guard level <= 1 else { return 0 }
    let item = Self.itemLog2(level: level)
    return Bits.bit(item) | Bits.bit(item &+ Self.groupLog2)
  }

  /// The bits of a small page; `leafBits` puts them where other leaves have them.
  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    var bits = Self.notGlobal | Self.shareable
    // The index {TEX[0], C, B} into the remapped types, as Linux fills them: 1 device, 4 non-cacheable, 7 write-back.
    if protection.contains(.mmio) {
      bits |= Self.bufferable
    } else {
      bits |= Self.normalMemory | (protection.contains(.cache) ? Self.cacheable | Self.bufferable : 0)
    }
    guard hasPermissions else { return bits }
    bits |= Self.accessFlag
    if !protection.contains(.priv) { bits |= Self.unprivileged }
    if !protection.contains(.write) { bits |= Self.readOnly }
    if protection.contains(.noexec) { bits |= Self.executeNever }
    return bits
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    let isGroup = sizeLog2 != Self.itemLog2(level: level)
    let mayExecute = attributes & Self.executeNever == 0
    if level == 0 {
      guard isGroup else { return attributes | Self.smallPage }
      let memoryType = attributes & Self.normalMemory
      return attributes & ~(memoryType | Self.executeNever) | memoryType &<< Self.largePageShift
        | (mayExecute ? 0 : Self.largePageExecuteNever) | Self.largePage
    }
    return (attributes & Self.movingBits) &<< Self.sectionShift
      | attributes & (Self.bufferable | Self.cacheable) | Self.section
      | (mayExecute ? 0 : Self.sectionExecuteNever) | (isGroup ? Self.supersection : 0)
      | (nonSecure ? Self.nonSecureSection : 0)
  }

  /// MediaTek's address bits 32, 33 and 34 stand in bits 9, 4 and 5.
  @inlinable @inline(__always)
  static func highField(_ address: UInt64) -> UInt64 {
    (address &>> 23) & Bits.bit(9) | (address &>> 29) & Bits.mask(5, 4)
  }

  @inlinable @inline(__always)
  static func highAddress(_ entry: UInt64) -> UInt64 {
    (entry & Bits.bit(9)) &<< 23 | (entry & Bits.mask(5, 4)) &<< 29
  }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 {
    address & Self.tableMask | Self.highField(address & highLeafBits)
  }

  /// The address bits above 31 stand apart from the others.
  @inlinable @inline(__always)
  public func isLinear(first: UInt64, last: UInt64) -> Bool { last >= first && (first ^ last) &>> 32 == 0 }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    table & Self.tableMask | Self.highField(table & highTableBits) | Self.table
      | (nonSecure ? Self.nonSecureTable : 0)
  }

  @inlinable public var tableAddressBits: Int { highTableBits == 0 ? 32 : 35 }

  // MARK: Decode

  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    let type = entry & Self.typeMask
    return type == 0 ? .empty : level == 1 && type == Self.table ? .table : .leaf
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    // Bit 1 tells sections and small pages.
    entry & (Self.section | (level == 0 ? 0 : Self.supersection)) ^ Self.section
  }

  @inlinable @inline(__always)
  public func contiguousLog2(_ entry: UInt64, level: Int) -> Int {
    let isGroup = level == 0 ? entry & Self.smallPage == 0 : entry & Self.supersection != 0
    return isGroup ? Self.groupLog2 : 0
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 {
    let sizeLog2 = Self.itemLog2(level: level) &+ contiguousLog2(entry, level: level)
    return entry & Self.leafMask & ~Bits.lowMask(sizeLog2) | Self.highAddress(entry) & highLeafBits
  }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 {
    entry & Self.tableMask | Self.highAddress(entry) & highTableBits
  }

  // MARK: Configurations

  public static var schema: ConfigurationSchema {
    ConfigurationSchema(
      format: "armv7s",
      keys: [
        ConfigurationKey(
          "ias", .number(24...34), default: "32", "width of the input address, in bits", alwaysInSlug: true),
        ConfigurationKey(
          "oas", .number(32...35), default: "32", "width of the output address, in bits", alwaysInSlug: true),
        ConfigurationKey("pgsizes", .bitmap, default: "0x0", "the leaf sizes to use; 0 for all"),
        ConfigurationKey(
          "coherent", .choice(["0", "1"]), default: "1", "whether the walker snoops CPU caches"),
        ConfigurationKey(
          "quirks", .flags(["ns", "no_perms", "mtk_ext", "mtk_ttbr_ext"]), default: "none",
          "Linux's io-pgtable quirks", slugPrefix: ""),
      ])
  }

  public static var testConfigurations: [String] {
    let mediaTek = "quirks=no_perms+mtk_ext"
    return [
      "ias=32", "quirks=ns", "quirks=no_perms", "quirks=ns+no_perms", "coherent=0", "coherent=0,quirks=ns",
      "ias=28", "pgsizes=0x111000", "pgsizes=0x1001000", "oas=33,\(mediaTek)", "oas=34,\(mediaTek)",
      "oas=35,\(mediaTek)", "oas=33,coherent=0,\(mediaTek)", "ias=34,oas=35,\(mediaTek)",
      "ias=34,oas=35,\(mediaTek)+ns", "ias=34,oas=35,\(mediaTek)+mtk_ttbr_ext",
      "ias=34,oas=35,coherent=0,\(mediaTek)+mtk_ttbr_ext+ns", "oas=33,\(mediaTek)+mtk_ttbr_ext",
    ]
  }

  /// Refuses what Linux refuses (arm_v7s_alloc_pgtable()).
  public init(_ configuration: Configuration) throws {
    let check = ConfigurationCheck(configuration)
    let quirks = configuration.flags("quirks")
    let isMediaTek = quirks.contains("mtk_ext")
    let ias = configuration.number("ias")
    let oas = configuration.number("oas")
    try check.require(ias <= (isMediaTek ? 34 : 32), .einval, "ias is at most 32, 34 with mtk_ext")
    try check.require(oas <= (isMediaTek ? 35 : 32), .einval, "oas is at most 32, 35 with mtk_ext")
    try check.require(!isMediaTek || quirks.contains("no_perms"), .einval, "mtk_ext needs no_perms")
    try check.require(
      isMediaTek || !quirks.contains("mtk_ttbr_ext"), .einval, "mtk_ttbr_ext needs mtk_ext")
    geometry = Geometry(
      iovaBits: ias, outputBits: oas, topLevel: 1,
      features: configuration.text("coherent") == "1" ? .flushRange : [.flushRange, .dmaIncoherent],
      pageSizeLimit: configuration.bitmap("pgsizes"))
    hasPermissions = !quirks.contains("no_perms")
    nonSecure = quirks.contains("ns")
    highLeafBits = isMediaTek ? Bits.mask(34, 32) : 0
    highTableBits = quirks.contains("mtk_ttbr_ext") ? Bits.mask(34, 32) : 0
  }
}
