// SPDX-License-Identifier: GPL-2.0-only
//
// The RISC-V Instruction Set Manual, Volume II: Privileged Architecture, chapters "Supervisor-Level ISA" (Sv39, Sv48,
// Sv57), "Svnapot" and "Svpbmt"; Linux drivers/iommu/generic_pt/fmt/riscv.h.
//
// Level map (every level may hold leaves):
//   4  56:48  256T     2  38:30  1G     0  20:12  4K, 64K with Svnapot
//   3  47:39  512G     1  29:21  2M

import PageTable

/// RISC-V's 64-bit page tables.
public struct RISCV: PageTableFormat {
  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { 12 }
  @inlinable public static var maximumLevel: Int { 4 }
  @inlinable public static var addressFieldBits: Int { 56 }

  public let geometry: Geometry
  @usableFromInline let napot: Bool
  @usableFromInline let memoryTypes: Bool

  // MARK: Named bits

  @inlinable static var valid: UInt64 { Bits.bit(0) }
  @inlinable static var readable: UInt64 { Bits.bit(1) }
  @inlinable static var writable: UInt64 { Bits.bit(2) }
  @inlinable static var executable: UInt64 { Bits.bit(3) }
  @inlinable static var access: UInt64 { Bits.mask(3, 1) }
  @inlinable static var user: UInt64 { Bits.bit(4) }
  @inlinable static var accessed: UInt64 { Bits.bit(6) }
  @inlinable static var dirty: UInt64 { Bits.bit(7) }
  @inlinable static var pageNumberMask: UInt64 { Bits.mask(53, 10) }
  /// The page number's bit that tells a NAPOT leaf's size.
  @inlinable static var napotSize: UInt64 { Bits.bit(13) }
  @inlinable static var nonCacheable: UInt64 { Bits.bit(61) }
  @inlinable static var io: UInt64 { Bits.bit(62) }
  @inlinable static var napotMark: UInt64 { Bits.bit(63) }
  @inlinable static var napotLog2: Int { 16 }

  // MARK: Encode

  @inlinable @inline(__always)
  public func possibleSizes(level: Int) -> UInt64 {
    Bits.bit(Self.itemLog2(level: level)) | (level == 0 && napot ? Bits.bit(Self.napotLog2) : 0)
  }

  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    // Accessed and dirty are set beforehand: hardware need not update them.
    var bits = Self.user | Self.accessed
    if protection.contains(.write) { bits |= Self.writable | Self.readable | Self.dirty }
    if protection.contains(.read) { bits |= Self.readable }
    if !protection.contains(.noexec) { bits |= Self.executable }
    if memoryTypes {
      if protection.contains(.mmio) {
        bits |= Self.io
      } else if !protection.contains(.cache) {
        bits |= Self.nonCacheable
      }
    }
    return bits
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    Self.valid | attributes
      | (level == 0 && sizeLog2 != Self.granuleLog2 ? Self.napotMark | Self.napotSize : 0)
  }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 { (address &>> 2) & Self.pageNumberMask }

  @inlinable @inline(__always)
  public static func addressStep(level: Int) -> UInt64 { Bits.bit(itemLog2(level: level) &- 2) }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 { Self.valid | addressField(table) }

  // MARK: Decode

  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    if entry & Self.valid == 0 { return .empty }
    return level == 0 || entry & Self.access != 0 ? .leaf : .table
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    let access = (entry | entry &>> 1 | entry &>> 2) & Self.readable
    return entry & (Self.valid | Self.napotMark) ^ Self.valid | (level == 0 ? 0 : access ^ Self.readable)
  }

  @inlinable @inline(__always)
  public func contiguousLog2(_ entry: UInt64, level: Int) -> Int {
    level == 0 && entry & Self.napotMark != 0 ? Self.napotLog2 &- Self.granuleLog2 : 0
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 {
    let address = tableAddress(entry, level: level)
    return contiguousLog2(entry, level: level) == 0 ? address : address & ~Bits.lowMask(Self.napotLog2)
  }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 { (entry & Self.pageNumberMask) &<< 2 }

  // MARK: Configurations

  public static var schema: ConfigurationSchema {
    ConfigurationSchema(
      format: "riscv64",
      keys: [
        ConfigurationKey(
          "va", .number(1...64), default: "48", "width of the IOVA, in bits: 39, 48 or 57", slugPrefix: "sv",
          alwaysInSlug: true),
        .outputBits(default: 56),
        .features(
          ConfigurationKey.genericFeatures + ["svnapot_64k", "svpbmt"],
          default: "flush_range+detailed_gather+sign_extend"),
      ])
  }

  public static var testConfigurations: [String] {
    let usual = "features=flush_range+detailed_gather+sign_extend"
    return [
      "va=39", "va=48", "va=57", "va=39,\(usual)+svnapot_64k", "va=48,\(usual)+svnapot_64k",
      "va=57,\(usual)+svnapot_64k", "va=48,features=flush_range+detailed_gather",
      "va=48,features=flush_range+detailed_gather+svnapot_64k", "va=39,oa=44,\(usual)+svnapot_64k",
      "va=39,features=flush_range+sign_extend+svnapot_64k+svpbmt,build=permissive",
      "va=57,features=flush_range+sign_extend+svpbmt,build=permissive",
    ]
  }

  public init(_ configuration: Configuration) throws {
    let check = ConfigurationCheck(configuration)
    let words = configuration.flags("features")
    let topLevels = [39: 2, 48: 3, 57: 4]
    let level = topLevels[configuration.number("va")] ?? 0
    try check.require(level != 0, .einval, "va is 39, 48 or 57")
    try check.widths(iova: 57, output: 56)
    try check.features(
      known: ["sign_extend", "flush_range", "svnapot_64k", "detailed_gather"], forced: ["detailed_gather"],
      impossible: ["dynamic_top", "dma_incoherent"])
    geometry = Geometry(
      iovaBits: configuration.number("va"), outputBits: configuration.number("oa"), topLevel: level,
      features: Features(words: words))
    napot = words.contains("svnapot_64k")
    memoryTypes = words.contains("svpbmt")
  }
}
