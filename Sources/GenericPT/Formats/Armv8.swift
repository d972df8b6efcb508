// SPDX-License-Identifier: GPL-2.0-only
//
// Arm Architecture Reference Manual for A-profile, DDI 0487, D8.2 (sizes, concatenation), D8.3 (descriptors), D8.4 and
// D8.6 (permissions, memory attributes), D8.7 (contiguous bit, table D8-104); Linux drivers/iommu/io-pgtable-arm.c.
//
// Level map (level here = 3 - the manual's level), bits and leaves, with the contiguous leaves behind "+":
//      4K granule                16K granule              64K granule
//   3  47:39 no leaves           47    no leaves
//   2  38:30 1G   + 16G          46:36 no leaves          51:42 4T with 52-bit output
//   1  29:21 2M   + 32M          35:25 32M  + 1G          41:29 512M + 16G
//   0  20:12 4K   + 64K          24:14 16K  + 2M          28:16 64K  + 2M

import PageTable

/// What the granule settles, and the format that is configured with it: AArch32's long descriptors are the same.
public protocol ArmGranule: Sendable {
  /// Bytes of a page, log2.
  static var log2: Int { get }
  /// The widest address, in bits.
  static var maximumAddressBits: Int { get }
  /// The highest level that may hold leaves when the output address has at most 48 bits.
  static var highestLeafLevel: Int { get }
  /// Words of a contiguous entry of a level, log2; 0 where there is none (table D8-104).
  static func contiguousLog2(level: Int) -> Int
  /// Whether hardware can mark written leaves.
  static var tracksDirty: Bool { get }
  /// The value of the `granule` key.
  static var name: String { get }
  /// The keys of the configuration text.
  static var schema: ConfigurationSchema { get }
  /// The configurations that tests run over.
  static var testConfigurations: [String] { get }
  /// What Linux accepts.
  ///
  /// - Throws: `ConfigurationError` with the errno of Linux's refusal.
  static func accept(_ configuration: Configuration) throws -> ArmConfiguration
}

extension ArmGranule {
  @inlinable public static var tracksDirty: Bool { true }
  public static var schema: ConfigurationSchema { ArmConfiguration.schema }
  public static var testConfigurations: [String] { ArmConfiguration.tests }
  public static func accept(_ configuration: Configuration) throws -> ArmConfiguration {
    try ArmConfiguration(configuration, granuleLog2: log2, maximumBits: maximumAddressBits)
  }
}

/// Pages of 4 KiB.
public enum Arm4K: ArmGranule {
  @inlinable public static var log2: Int { 12 }
  @inlinable public static var maximumAddressBits: Int { 48 }
  @inlinable public static var highestLeafLevel: Int { 2 }
  @inlinable public static func contiguousLog2(level: Int) -> Int { level <= 2 ? 4 : 0 }
  public static let name = "4k"
}

/// Pages of 16 KiB.
public enum Arm16K: ArmGranule {
  @inlinable public static var log2: Int { 14 }
  @inlinable public static var maximumAddressBits: Int { 48 }
  @inlinable public static var highestLeafLevel: Int { 1 }
  @inlinable public static func contiguousLog2(level: Int) -> Int { level == 0 ? 7 : level == 1 ? 5 : 0 }
  public static let name = "16k"
}

/// Pages of 64 KiB.
public enum Arm64K: ArmGranule {
  @inlinable public static var log2: Int { 16 }
  @inlinable public static var maximumAddressBits: Int { 52 }
  @inlinable public static var highestLeafLevel: Int { 1 }
  @inlinable public static func contiguousLog2(level: Int) -> Int { level <= 1 ? 5 : 0 }
  public static let name = "64k"
}

/// VMSAv8-64 stage 1 and stage 2 tables.
public struct Armv8<Granule: ArmGranule>: PageTableFormat {
  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { Granule.log2 }
  @inlinable public static var indexBits: Int { Granule.log2 &- 3 }
  @inlinable public static var maximumLevel: Int { 3 }
  @inlinable public static var minimumRootLog2: Int { 6 }
  @inlinable public static var addressFieldBits: Int { Granule.maximumAddressBits }
  @inlinable public static var contiguousWordsRepeat: Bool { false }

  public let geometry: Geometry
  public let tracksDirty: Bool
  @usableFromInline let stage2: Bool
  @usableFromInline let contiguous: Bool
  @usableFromInline let forcedWriteBack: Bool
  @usableFromInline let nonSecure: Bool
  @usableFromInline let marksWritable: Bool

  // MARK: Named bits

  @inlinable static var valid: UInt64 { Bits.bit(0) }
  /// Bit 1: a table above the last level, a page on it; 0 for a block.
  @inlinable static var tableOrPage: UInt64 { Bits.bit(1) }
  @inlinable static var attributeShift: UInt64 { 2 }
  @inlinable static var nonSecureLeaf: UInt64 { Bits.bit(5) }
  @inlinable static var unprivileged: UInt64 { Bits.bit(6) }
  @inlinable static var readOnly: UInt64 { Bits.bit(7) }
  @inlinable static var stage2Read: UInt64 { Bits.bit(6) }
  @inlinable static var stage2Write: UInt64 { Bits.bit(7) }
  @inlinable static var outerShareable: UInt64 { 2 << 8 }
  @inlinable static var innerShareable: UInt64 { 3 << 8 }
  @inlinable static var accessFlag: UInt64 { Bits.bit(10) }
  @inlinable static var notGlobal: UInt64 { Bits.bit(11) }
  @inlinable static var dirtyModifier: UInt64 { Bits.bit(51) }
  @inlinable static var contiguousHint: UInt64 { Bits.bit(52) }
  @inlinable static var executeNever: UInt64 { Bits.mask(54, 53) }
  /// Software's mark in table descriptors of a walker that does not snoop.
  @inlinable static var flushed: UInt64 { Bits.bit(55) }
  @inlinable static var nonSecureTable: UInt64 { Bits.bit(63) }
  @inlinable static var addressMask: UInt64 { Bits.mask(47, Granule.log2) }
  /// Output address bits 51:48 of the 64K granule.
  @inlinable static var highAddressMask: UInt64 { Granule.maximumAddressBits > 48 ? Bits.mask(15, 12) : 0 }

  // MARK: Encode

  @inlinable
  public func possibleSizes(level: Int) -> UInt64 {
    let highest = Granule.highestLeafLevel &+ (geometry.outputBits > 48 ? 1 : 0)
    guard level <= highest else { return 0 }
    let item = Self.itemLog2(level: level)
    let group = contiguous ? Granule.contiguousLog2(level: level) : 0
    return Bits.bit(item) | Bits.bit(item &+ group)
  }

  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    var bits = Self.accessFlag
    bits |= protection.contains(.cache) ? Self.innerShareable : Self.outerShareable
    if protection.contains(.noexec) { bits |= Self.executeNever }
    return bits | (stage2 ? stage2Attributes(protection) : stage1Attributes(protection))
  }

  @inlinable @inline(__always)
  func stage1Attributes(_ protection: Protection) -> UInt64 {
    var bits = Self.notGlobal
    if protection.isDisjoint(with: .write), protection.contains(.read) {
      bits |= Self.readOnly
    } else if marksWritable {
      bits |= Self.dirtyModifier
    }
    if !protection.contains(.priv) { bits |= Self.unprivileged }
    if nonSecure { bits |= Self.nonSecureLeaf }
    // The index into MAIR, as Linux fills it: 0 non-cacheable, 1 write-back, 2 device.
    let attribute: UInt64 = protection.contains(.mmio) ? 2 : protection.contains(.cache) ? 1 : 0
    return bits | attribute &<< Self.attributeShift
  }

  @inlinable @inline(__always)
  func stage2Attributes(_ protection: Protection) -> UInt64 {
    var bits: UInt64 = 0
    if protection.contains(.read) { bits |= Self.stage2Read }
    if protection.contains(.write) { bits |= Self.stage2Write }
    // MemAttr: device nGnRE, write-back (its code differs with FWB), or normal non-cacheable.
    let attribute: UInt64 =
      protection.contains(.mmio) ? 1 : !protection.contains(.cache) ? 5 : forcedWriteBack ? 6 : 15
    return bits | attribute &<< Self.attributeShift
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    Self.valid | attributes | (level == 0 ? Self.tableOrPage : 0)
      | (sizeLog2 == Self.itemLog2(level: level) ? 0 : Self.contiguousHint)
  }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 {
    address & Self.addressMask | (address &>> 36) & Self.highAddressMask
  }

  /// Address bits 51:48 stand apart from the others.
  @inlinable @inline(__always)
  public func isLinear(first: UInt64, last: UInt64) -> Bool {
    last >= first && last & ~Bits.lowMask(Self.addressFieldBits) == 0 && (first ^ last) &>> 48 == 0
  }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    Self.valid | Self.tableOrPage | addressField(table) | (nonSecure ? Self.nonSecureTable : 0)
  }

  @inlinable public var flushedMark: UInt64 { Self.flushed }

  // MARK: Decode

  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    if entry & Self.valid == 0 { return .empty }
    return level == 0 || entry & Self.tableOrPage == 0 ? .leaf : .table
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    // On the last level, bit 1 tells nothing that Linux looks at.
    let mask = Self.valid | Self.contiguousHint | (level == 0 ? 0 : Self.tableOrPage)
    return entry & mask ^ Self.valid
  }

  @inlinable @inline(__always)
  public func contiguousLog2(_ entry: UInt64, level: Int) -> Int {
    entry & Self.contiguousHint == 0 ? 0 : Granule.contiguousLog2(level: level)
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 {
    let sizeLog2 = Self.itemLog2(level: level) &+ contiguousLog2(entry, level: level)
    return tableAddress(entry, level: level) & ~Bits.lowMask(sizeLog2)
  }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 {
    entry & Self.addressMask | (entry & Self.highAddressMask) &<< 36
  }

  /// Writable-clean is a dirty-bit modifier with the read-only bit; hardware clears the latter on a write.
  @inlinable
  public func isDirty(_ entry: UInt64) -> Bool {
    entry & (Self.dirtyModifier | Self.readOnly) == Self.dirtyModifier
  }

  @inlinable
  public func dirtied(_ entry: UInt64) -> UInt64 {
    entry & Self.dirtyModifier == 0 ? entry : entry & ~Self.readOnly
  }

  @inlinable public func cleaned(_ entry: UInt64) -> UInt64 { entry | Self.readOnly }

  // MARK: Configurations

  public static var schema: ConfigurationSchema { Granule.schema }

  public static var testConfigurations: [String] { Granule.testConfigurations }

  public static func accepts(_ configuration: Configuration) -> Bool {
    configuration.format == schema.format && configuration.text("granule") == Granule.name
  }

  public init(_ configuration: Configuration) throws {
    let arm = try Granule.accept(configuration)
    geometry = arm.geometry
    stage2 = arm.stage2
    contiguous = configuration.number("contig") == 1
    forcedWriteBack = arm.quirks.contains("s2fwb")
    nonSecure = arm.quirks.contains("ns")
    marksWritable = arm.quirks.contains("hd")
    tracksDirty = Granule.tracksDirty && marksWritable
  }
}
