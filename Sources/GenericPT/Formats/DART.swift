// SPDX-License-Identifier: GPL-2.0-only
//
// No public manual. Linux drivers/iommu/io-pgtable-dart.c; AsahiLinux m1n1, proxyclient/m1n1/hw/dart8020.py (version 1) and
// dart8110.py (version 2), which are reverse engineered.
//
// Level map; leaves are single pages:
//      4K pages                  16K pages
//   2  38:30                     46:36
//   1  29:21                     35:25
//   0  20:12 4K                  24:14 16K
// There are two levels, three for wider IOVAs. With 4K pages, the one or two IOVA bits that are then left choose among two or
// four roots. A root is as long as other tables, however few of its words are used.

import PageTable

/// The size of a page.
public protocol DARTPage: Sendable {
  /// Bytes of a page, log2.
  static var log2: Int { get }
  /// The most IOVA bits that choose among roots.
  static var choosingBits: Int { get }
  /// The value of the `granule` key.
  static var name: String { get }
}

/// Pages of 4 KiB.
public enum DART4K: DARTPage {
  @inlinable public static var log2: Int { 12 }
  @inlinable public static var choosingBits: Int { 2 }
  public static let name = "4k"
}

/// Pages of 16 KiB.
public enum DART16K: DARTPage {
  @inlinable public static var log2: Int { 14 }
  @inlinable public static var choosingBits: Int { 0 }
  public static let name = "16k"
}

/// The layout of words.
public protocol DARTVersion: Sendable {
  /// The address field.
  static var addressMask: UInt64 { get }
  /// By how many bits addresses are shifted down.
  static var addressShift: Int { get }
  /// Width of the addresses in the field, in bits.
  static var addressBits: Int { get }
  /// The bits of a leaf for a protection.
  static func attributes(_ protection: Protection) -> UInt64
  /// The value of the `version` key.
  static var name: String { get }
}

/// M1 (t8103): addresses in place.
public enum DARTVersion1: DARTVersion {
  @inlinable public static var addressMask: UInt64 { Bits.mask(35, 12) }
  @inlinable public static var addressShift: Int { 0 }
  @inlinable public static var addressBits: Int { 36 }
  public static let name = "1"

  /// Permissions hold for the whole page.
  @inlinable static var wholePage: UInt64 { Bits.bit(1) }
  @inlinable static var noWrite: UInt64 { Bits.bit(7) }
  @inlinable static var noRead: UInt64 { Bits.bit(8) }

  @inlinable @inline(__always)
  public static func attributes(_ protection: Protection) -> UInt64 {
    wholePage | (protection.contains(.write) ? 0 : noWrite) | (protection.contains(.read) ? 0 : noRead)
  }
}

/// M1 Pro and later (t6000): addresses shifted down by 4. There is no room for the low bits of 4K pages, and Linux, which
/// accepts them, loses address bits 13:12.
public enum DARTVersion2: DARTVersion {
  @inlinable public static var addressMask: UInt64 { Bits.mask(37, 10) }
  @inlinable public static var addressShift: Int { 4 }
  @inlinable public static var addressBits: Int { 42 }
  public static let name = "2"

  @inlinable static var noCache: UInt64 { Bits.bit(1) }
  @inlinable static var noWrite: UInt64 { Bits.bit(2) }
  @inlinable static var noRead: UInt64 { Bits.bit(3) }

  @inlinable @inline(__always)
  public static func attributes(_ protection: Protection) -> UInt64 {
    (protection.contains(.cache) ? 0 : noCache) | (protection.contains(.write) ? 0 : noWrite)
      | (protection.contains(.read) ? 0 : noRead)
  }
}

/// Page tables of Apple's DART.
public struct DART<Page: DARTPage, Version: DARTVersion>: PageTableFormat {
  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { Page.log2 }
  @inlinable public static var indexBits: Int { Page.log2 &- 3 }
  @inlinable public static var maximumLevel: Int { 2 }
  @inlinable public static var minimumRootLog2: Int { allocationLog2 }
  @inlinable public static var addressFieldBits: Int { Version.addressBits }

  /// Tables lie where a pointer can lead: with version 2, at multiples of 16 KiB.
  @inlinable public static var allocationLog2: Int {
    max(tableLog2, Version.addressMask.trailingZeroBitCount &+ Version.addressShift)
  }

  public let geometry: Geometry

  // MARK: Named bits

  @inlinable static var valid: UInt64 { Bits.bit(0) }
  /// The end of the part of the page that may be accessed: all of it. The start, in bits 63:52, is 0.
  @inlinable static var subpageEnd: UInt64 { Bits.mask(51, 40) }

  // MARK: Encode

  @inlinable
  public func possibleSizes(level: Int) -> UInt64 { level == 0 ? Bits.bit(Self.granuleLog2) : 0 }

  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    Version.attributes(protection)
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    Self.valid | Self.subpageEnd | attributes
  }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 {
    (address &>> UInt64(truncatingIfNeeded: Version.addressShift)) & Version.addressMask
  }

  @inlinable @inline(__always)
  public static func addressStep(level: Int) -> UInt64 {
    Bits.bit(itemLog2(level: level) &- Version.addressShift)
  }

  /// Where the field has no room for the low bits of pages, it does not grow with each page.
  @inlinable @inline(__always)
  public func isLinear(first: UInt64, last: UInt64) -> Bool {
    Self.addressStep(level: 0) & Version.addressMask != 0 && last >= first
      && last & ~Bits.lowMask(Self.addressFieldBits) == 0
  }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 { Self.valid | addressField(table) }

  // MARK: Decode

  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    entry & Self.valid == 0 ? .empty : level == 0 ? .leaf : .table
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    // Only the last level has leaves.
    entry & Self.valid ^ Self.valid | UInt64(truncatingIfNeeded: level)
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 { tableAddress(entry, level: level) }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 {
    (entry & Version.addressMask) &<< UInt64(truncatingIfNeeded: Version.addressShift)
  }

  // MARK: Configurations

  public static var schema: ConfigurationSchema {
    ConfigurationSchema(
      format: "dart",
      keys: [
        ConfigurationKey(
          "version", .choice(["1", "2"]), default: "1", "layout of the words", slugPrefix: "v",
          alwaysInSlug: true),
        ConfigurationKey(
          "granule", .choice(["4k", "16k"]), default: "16k", "size of a page", slugPrefix: "",
          alwaysInSlug: true),
        ConfigurationKey(
          "ias", .number(28...42), default: "32", "width of the input address, in bits", alwaysInSlug: true),
        ConfigurationKey(
          "oas", .number(36...42), default: "36", "width of the output address, in bits: 36 or 42",
          alwaysInSlug: true),
        ConfigurationKey("pgsizes", .bitmap, default: "0x0", "the leaf size: 0 or the granule"),
      ])
  }

  public static var testConfigurations: [String] {
    [
      "version=1,granule=16k", "version=1,granule=16k,ias=36", "version=1,granule=16k,ias=28",
      "version=1,granule=4k", "version=1,granule=4k,ias=30", "version=1,granule=4k,ias=31",
      "version=1,granule=4k,ias=33", "version=1,granule=4k,ias=36", "version=2,granule=16k",
      "version=2,granule=16k,ias=32,oas=42", "version=2,granule=16k,ias=36,oas=42",
      "version=2,granule=16k,ias=37,oas=42", "version=2,granule=16k,ias=42,oas=42",
    ]
  }

  public static func accepts(_ configuration: Configuration) -> Bool {
    configuration.format == "dart" && configuration.text("version") == Version.name
      && configuration.text("granule") == Page.name
  }

  /// The shape as Linux derives it (dart_alloc_pgtable()).
  public init(_ configuration: Configuration) throws {
    let check = ConfigurationCheck(configuration)
    let ias = configuration.number("ias")
    let oas = configuration.number("oas")
    try check.require(oas == 36 || oas == 42, .einval, "oas is 36 or 42")
    try check.require(ias <= oas, .einval, "ias is at most oas")
    let limit = configuration.bitmap("pgsizes")
    try check.require(
      limit == 0 || limit == Bits.bit(Self.granuleLog2), .einval, "pgsizes is the granule's size alone")
    let pageBits = ias - Self.granuleLog2
    let levels = max(2, (pageBits - Page.choosingBits + Self.indexBits - 1) / Self.indexBits)
    let choosingBits = max(0, pageBits - Self.indexBits * levels)
    try check.require(
      levels <= 3 && choosingBits <= Page.choosingBits, .einval, "ias is too wide for three levels")
    geometry = Geometry(
      iovaBits: ias, outputBits: oas, topLevel: levels - 1, features: .flushRange, pageSizeLimit: limit,
      rootCount: 1 << choosingBits)
  }
}
