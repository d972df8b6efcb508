// SPDX-License-Identifier: GPL-2.0-only
//
// Intel Virtualization Technology for Directed I/O, D51397 rev. 5.10, section 9.8 "Second-Stage Paging Entries";
// Linux drivers/iommu/generic_pt/fmt/vtdss.h.
//
// Level map:
//   4  56:48  SS-PML5E, no leaves     1  29:21  SS-PDE, 2M
//   3  47:39  SS-PML4E, no leaves     0  20:12  SS-PTE, 4K
//   2  38:30  SS-PDPE, 1G

import PageTable

/// The second stage of Intel VT-d.
public struct VTDSecondStage: PageTableFormat {
  // MARK: Geometry

  @inlinable public static var granuleLog2: Int { 12 }
  @inlinable public static var maximumLevel: Int { 4 }
  @inlinable public static var addressFieldBits: Int { 52 }
  @inlinable public var tracksDirty: Bool { true }

  public let geometry: Geometry
  @usableFromInline let snoopBits: UInt64
  @usableFromInline let forceWriteable: Bool

  // MARK: Named bits

  @inlinable static var readable: UInt64 { Bits.bit(0) }
  @inlinable static var writable: UInt64 { Bits.bit(1) }
  @inlinable static var pageSize: UInt64 { Bits.bit(7) }
  @inlinable static var dirty: UInt64 { Bits.bit(9) }
  @inlinable static var flushed: UInt64 { Bits.bit(10) }
  @inlinable static var snoop: UInt64 { Bits.bit(11) }
  @inlinable static var addressMask: UInt64 { Bits.mask(51, 12) }
  @inlinable static var highestLeafLevel: Int { 2 }

  // MARK: Encode

  @inlinable @inline(__always)
  public func possibleSizes(level: Int) -> UInt64 {
    level <= Self.highestLeafLevel ? Bits.bit(Self.itemLog2(level: level)) : 0
  }

  @inlinable @inline(__always)
  public func attributeBits(_ protection: Protection) -> UInt64 {
    var bits = snoopBits
    if protection.contains(.read) { bits |= Self.readable }
    if protection.contains(.write) { bits |= Self.writable }
    return bits
  }

  /// The parent of a nested table must be writable (erratum 772415).
  @inlinable @inline(__always)
  public func refusal(of protection: Protection) -> LinuxErrno? {
    forceWriteable && !protection.contains(.write) ? .einval : nil
  }

  @inlinable @inline(__always)
  public func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    attributes | (level == 0 ? 0 : Self.pageSize)
  }

  @inlinable @inline(__always)
  public func addressField(_ address: UInt64) -> UInt64 { address & Self.addressMask }

  @inlinable @inline(__always)
  public func tableEntry(_ table: UInt64, level: Int) -> UInt64 {
    Self.readable | Self.writable | addressField(table)
  }

  @inlinable public var flushedMark: UInt64 { Self.flushed }

  // MARK: Decode

  /// There is no present bit: a word maps nothing when it is zero.
  @inlinable @inline(__always)
  public func kind(of entry: UInt64, level: Int) -> EntryKind {
    if entry == 0 { return .empty }
    return level == 0 || level <= Self.highestLeafLevel && entry & Self.pageSize != 0 ? .leaf : .table
  }

  @inlinable @inline(__always)
  public func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64 {
    // The top bit of (x - 1) & ~x is set for zero only.
    if level == 0 { return ((entry &- 1) & ~entry) &>> 63 }
    return entry & Self.pageSize ^ Self.pageSize | (level <= Self.highestLeafLevel ? 0 : 1)
  }

  @inlinable @inline(__always)
  public func leafAddress(_ entry: UInt64, level: Int) -> UInt64 { entry & Self.addressMask }

  @inlinable @inline(__always)
  public func tableAddress(_ entry: UInt64, level: Int) -> UInt64 { entry & Self.addressMask }

  @inlinable public func isDirty(_ entry: UInt64) -> Bool { entry & Self.dirty != 0 }
  @inlinable public func dirtied(_ entry: UInt64) -> UInt64 { entry | Self.dirty }
  @inlinable public func cleaned(_ entry: UInt64) -> UInt64 { entry & ~Self.dirty }

  // MARK: Configurations

  public static var schema: ConfigurationSchema {
    ConfigurationSchema(
      format: "vtdss",
      keys: [
        .iovaBits(default: 48), .outputBits(default: 52),
        .topLevel(default: 3, "level of the top table: 2 (3-level), 3 or 4"),
        .features(
          ConfigurationKey.genericFeatures + ["force_coherence", "force_writeable"], default: "flush_range"),
      ])
  }

  public static var testConfigurations: [String] {
    [
      "", "va=39,level=2", "va=57,level=4", "va=39,level=2,features=flush_range+force_coherence",
      "features=flush_range+force_coherence", "va=57,level=4,features=flush_range+force_coherence",
      "features=flush_range+force_writeable", "features=flush_range+dma_incoherent",
      "va=57,level=4,features=flush_range+dma_incoherent",
      "features=flush_range+dma_incoherent+force_coherence+force_writeable", "va=46",
      "features=flush_range_no_gaps,build=permissive",
    ]
  }

  public init(_ configuration: Configuration) throws {
    let check = ConfigurationCheck(configuration)
    let words = configuration.flags("features")
    let level = configuration.number("level")
    let iovaBits = configuration.number("va")
    try check.widths(iova: 57, output: 52)
    try check.require((2...4).contains(level), .eopnotsupp, "level is 2, 3 or 4")
    try check.features(
      known: ["flush_range", "force_coherence", "force_writeable", "dma_incoherent"], forced: [],
      impossible: ["dynamic_top", "sign_extend"])
    try check.topSpans(
      iovaBits, level: level, itemLog2: Self.itemLog2(level: level), indexBits: Self.indexBits)
    geometry = Geometry(
      iovaBits: iovaBits, outputBits: configuration.number("oa"), topLevel: level,
      features: Features(words: words))
    snoopBits = words.contains("force_coherence") ? Self.snoop : 0
    forceWriteable = words.contains("force_writeable")
  }
}
