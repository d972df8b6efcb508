// SPDX-License-Identifier: GPL-2.0-only
//
// The bits of entries as Linux's drivers/iommu/io-pgtable-arm-v7s.c sets them (arm_v7s_prot_to_pte() and what is around
// it); Arm DDI 0487, G5.4, short descriptors with TEX remap.
//
//                     address  attributes               other
//   table             31:10                             3 NS                      01
//   section           31:20    17 nG 16 S 15 AP2        19 NS 18=0 4 XN 3 C 2 B   10
//   supersection      31:24    14:12 TEX 11 AP1 10 AP0     18=1
//   large page        31:16    11 nG 10 S 9 AP2         15 XN 14:12 TEX 3 C 2 B   01
//   small page        31:12    8:6 TEX 5 AP1 4 AP0      0 XN 3 C 2 B              10
//
// MediaTek: address bits 32, 33, 34 stand in bits 9, 4, 5.

import PageTable

/// What the configuration and the protection put into entries.
@usableFromInline
struct ARMv7sEncoding: Sendable {
  @usableFromInline let mediaTek: Bool
  @usableFromInline let mediaTekTables: Bool
  @usableFromInline let nonSecure: Bool
  @usableFromInline let hasPermissions: Bool
  /// The width of table addresses, in bits.
  @usableFromInline let tableAddressBits: UInt64

  init(_ shape: ARMv7sShape) {
    mediaTek = shape.quirks.contains("mtk_ext")
    mediaTekTables = shape.quirks.contains("mtk_ttbr_ext")
    nonSecure = shape.quirks.contains("ns")
    hasPermissions = !shape.quirks.contains("no_perms")
    tableAddressBits = mediaTekTables ? UInt64(shape.outputBits) : 32
  }

  /// Entries of a large page or a supersection, all of which hold the same.
  @inlinable static var contiguousEntries: Int { 16 }

  @inlinable static var tableType: UInt32 { 1 }
  /// The bit that a section or a small page has; a large page has only the other one.
  @inlinable static var pageType: UInt32 { 2 }
  @inlinable static var largePageType: UInt32 { 1 }
  @inlinable static var buffered: UInt32 { 1 << 2 }
  @inlinable static var cached: UInt32 { 1 << 3 }
  @inlinable static var nonSecureTable: UInt32 { 1 << 3 }
  @inlinable static var supersection: UInt32 { 1 << 18 }
  @inlinable static var nonSecureSection: UInt32 { 1 << 19 }

  // The attributes of a small page, from bit 4 on, and those of a section, from bit 10 on, are in the same order.
  @inlinable static var accessFlag: UInt32 { 1 << 0 }
  @inlinable static var unprivileged: UInt32 { 1 << 1 }
  /// TEX = 1, which makes memory of it; TEX = 0 with B is a device.
  @inlinable static var normal: UInt32 { 1 << 2 }
  @inlinable static var memoryMask: UInt32 { 7 << 2 }
  @inlinable static var readOnly: UInt32 { 1 << 5 }
  @inlinable static var shareable: UInt32 { 1 << 6 }
  @inlinable static var notGlobal: UInt32 { 1 << 7 }

  @inlinable @inline(__always)
  static func attributeShift(level: Int) -> UInt32 { level == 1 ? 10 : 4 }

  @inlinable @inline(__always)
  static func executeNever(level: Int) -> UInt32 { level == 1 ? 1 << 4 : 1 }

  // A large page has TEX and XN elsewhere than a small page.
  @inlinable static var smallPageMemory: UInt32 { 7 << 6 }
  @inlinable static var largePageMemory: UInt32 { 7 << 12 }
  @inlinable static var largePageExecuteNever: UInt32 { 1 << 15 }

  // MARK: Kinds

  @inlinable @inline(__always)
  static func isValid(_ entry: UInt32) -> Bool { entry & 3 != 0 }

  @inlinable @inline(__always)
  static func isTable(_ entry: UInt32, level: Int) -> Bool { level == 1 && entry & 3 == tableType }

  @inlinable @inline(__always)
  static func isContiguous(_ entry: UInt32, level: Int) -> Bool {
    level == 0 ? entry & pageType == 0 : entry & 3 != tableType && entry & supersection != 0
  }

  // MARK: Addresses

  @inlinable @inline(__always)
  static func addressMask(level: Int) -> UInt32 { level == 1 ? 0xfff0_0000 : 0xffff_f000 }

  @inlinable static var tableAddressMask: UInt32 { 0xffff_fc00 }

  /// Whether a table pointer can hold a table's address.
  @inlinable @inline(__always)
  func reaches(_ table: UInt64) -> Bool { table &>> tableAddressBits == 0 }

  /// The bits of a leaf's address.
  @inlinable @inline(__always)
  func addressField(_ address: UInt64, level: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: address) & Self.addressMask(level: level)
      | (mediaTek ? Self.highField(address) : 0)
  }

  @inlinable @inline(__always)
  func tableAddressField(_ table: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: table) & Self.tableAddressMask | (mediaTekTables ? Self.highField(table) : 0)
  }

  /// MediaTek's place for address bits 32, 33 and 34.
  @inlinable @inline(__always)
  static func highField(_ address: UInt64) -> UInt32 {
    let high = UInt32(truncatingIfNeeded: address &>> 32)
    return (high & 1) &<< 9 | (high & 2) &<< 3 | (high & 4) &<< 3
  }

  /// The address that an entry holds.
  @inlinable @inline(__always)
  func address(_ entry: UInt32, level: Int) -> UInt64 {
    let mask =
      Self.isTable(entry, level: level)
      ? Self.tableAddressMask
      : Self.addressMask(level: level) &<< (Self.isContiguous(entry, level: level) ? 4 : 0)
    let low = UInt64(entry & mask)
    guard mediaTek else { return low }
    let high = (entry &>> 9) & 1 | (entry &>> 3) & 2 | (entry &>> 3) & 4
    return low | UInt64(high) &<< 32
  }

  // MARK: Entries

  @inlinable @inline(__always)
  func tableEntry(_ table: UInt64) -> UInt32 {
    tableAddressField(table) | Self.tableType | (nonSecure ? Self.nonSecureTable : 0)
  }

  /// A section or a small page, without its address.
  @inlinable @inline(__always)
  func leaf(_ protection: Protection, level: Int) -> UInt32 {
    var attributes = Self.notGlobal | Self.shareable
    if !protection.contains(.mmio) { attributes |= Self.normal }
    if hasPermissions {
      attributes |= Self.accessFlag
      if !protection.contains(.priv) { attributes |= Self.unprivileged }
      if !protection.contains(.write) { attributes |= Self.readOnly }
    }
    var entry = attributes &<< Self.attributeShift(level: level) | Self.pageType
    if hasPermissions, protection.contains(.noexec) { entry |= Self.executeNever(level: level) }
    if protection.contains(.mmio) {
      entry |= Self.buffered
    } else if protection.contains(.cache) {
      entry |= Self.buffered | Self.cached
    }
    return level == 1 && nonSecure ? entry | Self.nonSecureSection : entry
  }

  /// The same as an entry of a supersection or a large page.
  @inlinable @inline(__always)
  static func contiguous(_ entry: UInt32, level: Int) -> UInt32 {
    if level == 1 { return entry | supersection }
    let moved = smallPageMemory | executeNever(level: 0) | pageType
    return entry & ~moved | (entry & smallPageMemory) &<< 6 | (entry & 1) &<< 15 | largePageType
  }

  /// The reverse.
  @inlinable
  static func single(_ entry: UInt32, level: Int) -> UInt32 {
    if level == 1 { return entry & ~supersection }
    let moved = largePageMemory | largePageExecuteNever | largePageType
    return entry & ~moved | (entry & largePageMemory) &>> 6 | (entry & largePageExecuteNever) &>> 15
      | pageType
  }

  /// The protection that a section's bits tell.
  @inlinable
  static func protection(ofSection entry: UInt32) -> Protection {
    let attributes = entry &>> attributeShift(level: 1)
    var protection: Protection = .read
    if attributes & readOnly == 0 { protection.insert(.write) }
    if attributes & unprivileged == 0 { protection.insert(.priv) }
    if attributes & memoryMask == 0 {
      protection.insert(.mmio)
    } else if entry & cached != 0 {
      protection.insert(.cache)
    }
    if entry & executeNever(level: 1) != 0 { protection.insert(.noexec) }
    return protection
  }
}
