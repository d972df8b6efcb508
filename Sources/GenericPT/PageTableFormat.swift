// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a word of a table is.
@frozen
public enum EntryKind: UInt8, Sendable {
  /// Maps nothing.
  case empty
  /// Ends the walk with an output address.
  case leaf
  /// Points to a lower table.
  case table
}

/// A page-table format, as the generic algorithms need it.
///
/// The granule's geometry is static, so that it becomes constants in the specialised algorithms; what else a
/// configuration chooses is stored in the value. Levels count up from 0, the last one.
public protocol PageTableFormat: Sendable {
  /// What a table consists of.
  associatedtype Word: TableWord = UInt64

  /// The keys of the format's configuration text.
  static var schema: ConfigurationSchema { get }
  /// The configurations that tests run over, as text without the format's name.
  static var testConfigurations: [String] { get }

  /// Bytes that an entry of level 0 maps, log2.
  static var granuleLog2: Int { get }
  /// Entries of a table other than the top, log2.
  static var indexBits: Int { get }
  /// The highest level that a top table may have.
  static var maximumLevel: Int { get }
  /// The smallest allocation of a top table in bytes, log2.
  static var minimumRootLog2: Int { get }
  /// Bytes that a table other than the top is allocated with, log2: more than it has where pointers cannot hold
  /// addresses that close together.
  static var allocationLog2: Int { get }
  /// Whether a configuration may let the top grow; a constant, so that other formats pay nothing for it.
  static var topMayGrow: Bool { get }
  /// Width of the output address that an entry can hold, in bits.
  static var addressFieldBits: Int { get }
  /// Whether the words of a contiguous entry are identical (AMD, RISC-V); otherwise each holds its own
  /// consecutive address (Arm).
  static var contiguousWordsRepeat: Bool { get }

  /// Whether this type is the one for a configuration; formats whose granule is static have several.
  static func accepts(_ configuration: Configuration) -> Bool

  /// Makes the format of a configuration.
  ///
  /// - Throws: `ConfigurationError` with the errno of Linux's refusal.
  init(_ configuration: Configuration) throws

  /// What the configuration settles.
  var geometry: Geometry { get }
  /// Whether hardware marks written leaves.
  var tracksDirty: Bool { get }
  /// Width of the addresses that table pointers hold, in bits.
  var tableAddressBits: Int { get }
  /// The bit in table words that says that the CPU cache line has been flushed; 0 where the format has none.
  var flushedMark: UInt64 { get }

  /// Bitmap of the leaf sizes that a level can hold, in bytes.
  func possibleSizes(level: Int) -> UInt64
  /// What `entry` is in a table of `level`.
  func kind(of entry: UInt64, level: Int) -> EntryKind
  /// Zero if `entry` is a leaf of a single word, anything else otherwise; without branches, so that checks of many
  /// words can be vectors.
  func plainLeafDefect(_ entry: UInt64, level: Int) -> UInt64
  /// How many words share the leaf `entry`, log2.
  func contiguousLog2(_ entry: UInt64, level: Int) -> Int
  /// The output address at which the leaf `entry` starts; of a contiguous entry, the whole group's.
  func leafAddress(_ entry: UInt64, level: Int) -> UInt64
  /// The table that `entry` points to.
  func tableAddress(_ entry: UInt64, level: Int) -> UInt64

  /// The bits that a protection sets in leaves, the same at every level.
  func attributeBits(_ protection: Protection) -> UInt64
  /// The errno with which Linux refuses a protection; nil where it does not.
  func refusal(of protection: Protection) -> LinuxErrno?
  /// Everything of a leaf word but its address field.
  func leafBits(sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64
  /// The address field of a word; bits beyond the field are dropped, as the C's field macros do.
  func addressField(_ address: UInt64) -> UInt64
  /// What one more item of a level adds to the address field, as long as the field is linear.
  static func addressStep(level: Int) -> UInt64
  /// Whether the address field grows by equal steps from `first` to `last`.
  func isLinear(first: UInt64, last: UInt64) -> Bool
  /// The word that points to `table` from a table of `level`.
  func tableEntry(_ table: UInt64, level: Int) -> UInt64

  /// Whether hardware has written through the leaf word `entry`.
  func isDirty(_ entry: UInt64) -> Bool
  /// The leaf word as hardware leaves it after a write.
  func dirtied(_ entry: UInt64) -> UInt64
  /// The leaf word with its dirty state taken back.
  func cleaned(_ entry: UInt64) -> UInt64
}

extension PageTableFormat {
  @inlinable public static var minimumRootLog2: Int { 12 }
  @inlinable public static var indexBits: Int { 9 }
  @inlinable public static var contiguousWordsRepeat: Bool { true }
  @inlinable public static var topMayGrow: Bool { false }

  /// Bytes that one entry of a level maps, log2.
  @inlinable @inline(__always)
  public static func itemLog2(level: Int) -> Int { granuleLog2 &+ indexBits &* level }

  /// Bytes of a table other than the top, log2.
  @inlinable @inline(__always)
  public static var tableLog2: Int { indexBits &+ Word.bytesLog2 }

  @inlinable public static var allocationLog2: Int { tableLog2 }

  /// The level whose entries hold leaves of 2^`sizeLog2` bytes.
  @inlinable @inline(__always)
  public static func level(ofSizeLog2 sizeLog2: Int) -> Int { (sizeLog2 &- granuleLog2) / indexBits }

  public static func accepts(_ configuration: Configuration) -> Bool { configuration.format == schema.format }

  @inlinable public var tracksDirty: Bool { false }
  @inlinable public var tableAddressBits: Int { Self.addressFieldBits }
  @inlinable public var flushedMark: UInt64 { 0 }

  @inlinable @inline(__always)
  public func contiguousLog2(_ entry: UInt64, level: Int) -> Int { 0 }

  /// Whether `entry` is a leaf of a single word.
  @inlinable @inline(__always)
  public func isPlainLeaf(_ entry: UInt64, level: Int) -> Bool { plainLeafDefect(entry, level: level) == 0 }

  @inlinable @inline(__always)
  public static func addressStep(level: Int) -> UInt64 { Bits.bit(itemLog2(level: level)) }

  @inlinable @inline(__always)
  public func isLinear(first: UInt64, last: UInt64) -> Bool {
    last >= first && last & ~Bits.lowMask(Self.addressFieldBits) == 0
  }

  @inlinable public func isDirty(_ entry: UInt64) -> Bool { false }
  @inlinable public func dirtied(_ entry: UInt64) -> UInt64 { entry }
  @inlinable public func cleaned(_ entry: UInt64) -> UInt64 { entry }

  @inlinable @inline(__always)
  public func refusal(of protection: Protection) -> LinuxErrno? { nil }

  /// The bits that a protection sets in leaves. Not itself a requirement: calls of those that throw are not
  /// specialised for a format.
  ///
  /// - Throws: the errno with which Linux refuses the protection.
  @inlinable @inline(__always)
  public func attributes(_ protection: Protection) throws(LinuxErrno) -> UInt64 {
    if let errno = refusal(of: protection) { throw errno }
    return attributeBits(protection)
  }

  /// The word of a leaf, the first one of a contiguous entry whose words differ.
  @inlinable @inline(__always)
  public func leafEntry(_ address: UInt64, sizeLog2: Int, level: Int, attributes: UInt64) -> UInt64 {
    leafBits(sizeLog2: sizeLog2, level: level, attributes: attributes) | addressField(address)
  }

  /// The sizes that a set of page sizes and a level have in common, as Linux's generic code offers them: none of
  /// at least half the address space and none beyond the output address.
  @inlinable
  public func offeredSizes() -> UInt64 {
    var sizes: UInt64 = 0
    var level = 0
    while level <= Self.maximumLevel {
      if geometry.features.contains(.dynamicTop) {
        if Self.itemLog2(level: level) >= geometry.iovaBits { break }
      } else if level > geometry.topLevel {
        break
      }
      sizes |= possibleSizes(level: level)
      level += 1
    }
    return sizes & Bits.lowMask(geometry.iovaBits - 1) & Bits.lowMask(geometry.outputBits)
  }
}
