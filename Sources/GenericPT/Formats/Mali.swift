// SPDX-License-Identifier: GPL-2.0-only
//
// No public manual. Linux drivers/iommu/io-pgtable-arm.c (ARM_MALI_LPAE) and drivers/gpu/drm/panfrost/panfrost_mmu.c: the long
// descriptors of stage 1 with permissions as in stage 2, and one leaf type for all levels.
//
// Level map (level here = 3 - Linux's level); there are four levels whatever the width of the IOVA:
//   3  47:39 no leaves            1  29:21 2M
//   2  38:30 1G                   0  20:12 4K

import PageTable

/// Page tables of Arm's Mali GPUs (Midgard and Bifrost).
public struct Mali: PageTableFormat {
  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { 12 }
  @inlinable public static var maximumLevel: Int { 3 }
  @inlinable public static var minimumRootLog2: Int { 6 }
  @inlinable public static var addressFieldBits: Int { 48 }

  public let geometry: Geometry

  // MARK: Named bits

  @inlinable static var valid: UInt64 { Bits.bit(0) }
  /// Tells a table from a leaf, the latter also on the last level.
  @inlinable static var table: UInt64 { Bits.bit(1) }
  @inlinable static var attributeShift: UInt64 { 2 }
  @inlinable static var read: UInt64 { Bits.bit(6) }
  @inlinable static var write: UInt64 { Bits.bit(7) }
  /// Beyond the GPU; its own inner domain is the GPU itself.
  @inlinable static var outerShareable: UInt64 { 2 << 8 }
  @inlinable static var addressMask: UInt64 { Bits.mask(47, 12) }
  @inlinable static var executeNever: UInt64 { Bits.mask(54, 53) }
  /// Software's mark in table entries of a walker that does not snoop.
  @inlinable static var flushed: UInt64 { Bits.bit(55) }

  // MARK: Encode

  @inlinable
  public func possibleSizes(level: Int) -> UInt64 { level <= 2 ? Bits.bit(Self.itemLog2(level: level)) : 0 }

  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    var bits = Self.outerShareable
    if protection.contains(.read) { bits |= Self.read }
    if protection.contains(.write) { bits |= Self.write }
    if protection.contains(.noexec) { bits |= Self.executeNever }
    // The index into MEMATTR, as Linux fills it: 0 and 2 implementation defined, 1 write-back.
    let attribute: UInt64 = protection.contains(.mmio) ? 2 : protection.contains(.cache) ? 1 : 0
    return bits | attribute &<< Self.attributeShift
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 { Self.valid | attributes }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 { address & Self.addressMask }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    Self.valid | Self.table | addressField(table)
  }

  @inlinable public var flushedMark: UInt64 { Self.flushed }

  // MARK: Decode

  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    if entry & Self.valid == 0 { return .empty }
    return level == 0 || entry & Self.table == 0 ? .leaf : .table
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    entry & (Self.valid | (level == 0 ? 0 : Self.table)) ^ Self.valid
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 {
    tableAddress(entry, level: level) & ~Bits.lowMask(Self.itemLog2(level: level))
  }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 { entry & Self.addressMask }

  // MARK: Configurations

  public static var schema: ConfigurationSchema {
    ConfigurationSchema(
      format: "mali",
      keys: [
        ConfigurationKey(
          "ias", .number(32...48), default: "48", "width of the input address, in bits", alwaysInSlug: true),
        ConfigurationKey(
          "oas", .number(32...40), default: "40", "width of the output address, in bits", alwaysInSlug: true),
        ConfigurationKey("pgsizes", .bitmap, default: "0x0", "the leaf sizes to use; 0 for all"),
        ConfigurationKey(
          "coherent", .choice(["0", "1"]), default: "1", "whether the walker snoops CPU caches"),
      ])
  }

  public static var testConfigurations: [String] {
    [
      "ias=48", "ias=40,oas=36", "ias=39", "ias=33", "ias=33,pgsizes=0x201000", "ias=32,oas=32",
      "ias=48,coherent=0", "ias=33,coherent=0",
    ]
  }

  public init(_ configuration: Configuration) throws {
    let limit = configuration.bitmap("pgsizes")
    try ConfigurationCheck(configuration).require(
      limit == 0 || limit & Bits.bit(Self.granuleLog2) != 0, .einval, "pgsizes contains 4K")
    geometry = Geometry(
      iovaBits: configuration.number("ias"), outputBits: configuration.number("oas"),
      topLevel: Self.maximumLevel,
      features: configuration.text("coherent") == "1" ? .flushRange : [.flushRange, .dmaIncoherent],
      pageSizeLimit: limit)
  }
}
