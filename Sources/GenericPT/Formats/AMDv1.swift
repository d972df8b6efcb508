// SPDX-License-Identifier: GPL-2.0-only
//
// AMD I/O Virtualization Technology (IOMMU) Specification, 48882, section 2.2.3 "I/O Page Tables for Host
// Translations"; Linux drivers/iommu/generic_pt/fmt/amdv1.h.
//
// Level map (Linux level = the specification's level - 1):
//   5  63:57  no leaves        2  38:30  1G … 256G
//   4  56:48  256T … 2P        1  29:21  2M … 512M
//   3  47:39  1T … 128T        0  20:12  4K … 1M

import PageTable

/// What tells the two granules of the AMD format apart.
public protocol AMDGranule: Sendable {
  /// The format's name.
  static var name: String { get }
  /// Bytes that an entry of level 0 maps, log2.
  static var granuleLog2: Int { get }
  /// The highest level of a top table.
  static var maximumLevel: Int { get }
  /// The widest IOVA, in bits.
  static var maximumIOVABits: Int { get }
  /// The widest output address, in bits.
  static var maximumOutputBits: Int { get }
  /// The features a production build has, in the words of the `features` key.
  static var defaultFeatures: [String] { get }
  /// The features that the build knows.
  static var knownFeatures: [String] { get }
  /// The configurations that tests run over.
  static var testConfigurations: [String] { get }
}

/// The format of AMD's IOMMU.
public enum AMDHardwareGranule: AMDGranule {
  public static let name = "amdv1"
  @inlinable public static var granuleLog2: Int { 12 }
  @inlinable public static var maximumLevel: Int { 5 }
  public static let maximumIOVABits = 64
  public static let maximumOutputBits = 52
  public static let defaultFeatures = ["dynamic_top", "flush_range", "encrypt_tables", "force_coherence"]
  public static let knownFeatures = [
    "dynamic_top", "flush_range", "flush_range_no_gaps", "encrypt_tables", "force_coherence",
  ]
  public static let testConfigurations = [
    "", "level=1", "level=3", "level=4", "level=5", "va=32", "va=48", "va=57", "oa=48", "cbit=47", "cbit=51",
    "features=dynamic_top+flush_range_no_gaps+encrypt_tables+force_coherence",
    "level=1,features=flush_range,build=permissive", "level=3,features=none,build=permissive",
    "level=5,features=flush_range+force_coherence,build=permissive",
    "level=3,cbit=47,features=encrypt_tables+flush_range,build=permissive",
    "level=2,va=48,oa=48,features=dynamic_top,build=permissive",
  ]
}

/// The 2 KiB variant of the iommufd selftest (drivers/iommu/generic_pt/fmt/iommu_mock.c): the same words, with the
/// address shifted by one bit so that the granule is half a page.
public enum AMDMockGranule: AMDGranule {
  public static let name = "amdv1_mock"
  @inlinable public static var granuleLog2: Int { 11 }
  @inlinable public static var maximumLevel: Int { 4 }
  public static let maximumIOVABits = 56
  public static let maximumOutputBits = 51
  public static let defaultFeatures: [String] = []
  public static let knownFeatures: [String] = []
  public static let testConfigurations = ["", "level=1", "level=4"]
}

/// AMD's host page table, whose leaves have every power-of-two size.
public struct AMDFormat<Granule: AMDGranule>: PageTableFormat {
  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { Granule.granuleLog2 }
  @inlinable public static var maximumLevel: Int { Granule.maximumLevel }
  @inlinable public static var addressFieldBits: Int { 40 &+ Granule.granuleLog2 }
  @inlinable public static var topMayGrow: Bool { true }
  @inlinable public var tracksDirty: Bool { true }

  public let geometry: Geometry
  @usableFromInline let forceCoherence: UInt64
  @usableFromInline let encryption: UInt64

  // MARK: Named bits

  @inlinable static var present: UInt64 { Bits.bit(0) }
  @inlinable static var dirty: UInt64 { Bits.bit(6) }
  @inlinable static var nextLevelShift: UInt64 { 9 }
  @inlinable static var nextLevelMask: UInt64 { Bits.mask(11, 9) }
  /// NextLevel of a leaf whose size stands in its address.
  @inlinable static var nextLevelSized: UInt64 { 7 << 9 }
  @inlinable static var addressMask: UInt64 { Bits.mask(51, 12) }
  /// From an address to its place in the word.
  @inlinable static var addressShift: UInt64 { UInt64(truncatingIfNeeded: 12 &- Granule.granuleLog2) }
  @inlinable static var forceCoherent: UInt64 { Bits.bit(60) }
  @inlinable static var readable: UInt64 { Bits.bit(61) }
  @inlinable static var writable: UInt64 { Bits.bit(62) }

  // MARK: Encode

  @inlinable
  public func possibleSizes(level: Int) -> UInt64 {
    guard level < Self.maximumLevel else { return 0 }
    let item = Self.itemLog2(level: level)
    // 512 GiB is left out for a hardware bug. The size code ends at 2^51.
    return Bits.mask(min(51, item &+ Self.indexBits &- 1), item) & ~Bits.bit(39)
  }

  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    var bits = forceCoherence
    if protection.contains(.read) { bits |= Self.readable }
    if protection.contains(.write) { bits |= Self.writable }
    if !protection.contains(.mmio) { bits |= encryption }
    return bits
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    let plain = Self.present | attributes
    guard sizeLog2 != Self.itemLog2(level: level) else { return plain }
    // A size 2^s is a run of ones that ends below the field's bit of s - 1, which is zero.
    let sizeCode = Bits.lowMask(sizeLog2 &- Self.granuleLog2 &- 1) &<< 12
    return plain | Self.nextLevelSized | sizeCode & Self.addressMask
  }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 { (address &<< Self.addressShift) & Self.addressMask }

  @inlinable @inline(__always)
  public static func addressStep(level: Int) -> UInt64 { Bits.bit(itemLog2(level: level)) &<< addressShift }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    Self.present | UInt64(truncatingIfNeeded: level) &<< Self.nextLevelShift | addressField(table)
      | Self.readable | Self.writable | encryption
  }

  // MARK: Decode

  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    if entry & Self.present == 0 { return .empty }
    let next = entry & Self.nextLevelMask
    return level == 0 || next == 0 || next == Self.nextLevelSized ? .leaf : .table
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    entry & (Self.present | Self.nextLevelMask) ^ Self.present
  }

  @inlinable @inline(__always)
  public func contiguousLog2(_ entry: UInt64, level: Int) -> Int {
    guard entry & Self.nextLevelMask == Self.nextLevelSized else { return 0 }
    let words = Self.sizeLog2(entry) &- Self.itemLog2(level: level)
    // A word that hardware would refuse may hold any size; the table's end limits it.
    return min(max(words, 0), Self.indexBits)
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 {
    let address = tableAddress(entry, level: level)
    guard entry & Self.nextLevelMask == Self.nextLevelSized else { return address }
    return address & ~Bits.lowMask(Self.sizeLog2(entry & ~encryption))
  }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 {
    (entry & ~encryption & Self.addressMask) &>> Self.addressShift
  }

  /// The size of a leaf that says it in its address, log2 of bytes.
  @inlinable @inline(__always)
  static func sizeLog2(_ entry: UInt64) -> Int {
    (~((entry & addressMask) &>> 12)).trailingZeroBitCount &+ granuleLog2 &+ 1
  }

  @inlinable public func isDirty(_ entry: UInt64) -> Bool { entry & Self.dirty != 0 }
  @inlinable public func dirtied(_ entry: UInt64) -> UInt64 { entry | Self.dirty }
  @inlinable public func cleaned(_ entry: UInt64) -> UInt64 { entry & ~Self.dirty }

  // MARK: Configurations

  public static var schema: ConfigurationSchema {
    let features = ConfigurationKey.genericFeatures + ["encrypt_tables", "force_coherence"]
    let defaults = Granule.defaultFeatures.isEmpty ? "none" : Granule.defaultFeatures.joined(separator: "+")
    return ConfigurationSchema(
      format: Granule.name,
      keys: [
        .iovaBits(default: Granule.maximumIOVABits), .outputBits(default: Granule.maximumOutputBits),
        .topLevel(default: 2, "level of the first top table, 1 to \(Granule.maximumLevel)"),
        .features(features, default: defaults), .encryptionBit,
      ])
  }

  public static var testConfigurations: [String] { Granule.testConfigurations }

  public init(_ configuration: Configuration) throws {
    let check = ConfigurationCheck(configuration)
    let words = configuration.flags("features")
    let features = Features(words: words)
    let level = configuration.number("level")
    try check.require(
      (1...Granule.maximumLevel).contains(level), .einval, "level is 1 to \(Granule.maximumLevel)")
    try check.widths(iova: Granule.maximumIOVABits, output: Granule.maximumOutputBits)
    let forced = ["dynamic_top", "encrypt_tables", "force_coherence"]
    try check.features(
      known: Granule.knownFeatures, forced: forced.filter(Granule.knownFeatures.contains),
      impossible: ["sign_extend", "dma_incoherent"])
    var iovaBits = configuration.number("va")
    if !features.contains(.dynamicTop), level != Granule.maximumLevel {
      iovaBits = min(iovaBits, Self.itemLog2(level: level + 1))
    }
    try check.require(
      iovaBits > Self.itemLog2(level: level), .einval, "va is too narrow for a top table of level \(level)")
    geometry = Geometry(
      iovaBits: iovaBits, outputBits: configuration.number("oa"), topLevel: level, features: features)
    forceCoherence = words.contains("force_coherence") ? Self.forceCoherent : 0
    encryption = try check.encryptionBit(words)
  }
}

/// The page table of AMD's IOMMU.
public typealias AMDv1 = AMDFormat<AMDHardwareGranule>
/// The page table of iommufd's selftest.
public typealias AMDv1Mock = AMDFormat<AMDMockGranule>
