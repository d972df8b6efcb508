// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The features of a page table that the generic algorithms act on (Linux: PT_FEAT_…, generic_pt/common.h).
public struct Features: OptionSet, Hashable, Sendable {
  public let rawValue: UInt16

  @inlinable
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The top grows upward on demand.
  @inlinable public static var dynamicTop: Features { Features(rawValue: 1 << 0) }
  /// The upper half of the address space is reached through sign-extended addresses.
  @inlinable public static var signExtend: Features { Features(rawValue: 1 << 1) }
  /// The walker does not snoop CPU caches.
  @inlinable public static var dmaIncoherent: Features { Features(rawValue: 1 << 2) }
  /// An IOTLB sync covers no address that was not changed.
  @inlinable public static var flushRangeNoGaps: Features { Features(rawValue: 1 << 3) }
  /// The gather says which levels lost leaves and tables.
  @inlinable public static var detailedGather: Features { Features(rawValue: 1 << 4) }
  /// All addresses of the table have their bits above the table's width set (Arm TTBR1).
  @inlinable public static var upperHalf: Features { Features(rawValue: 1 << 5) }
  /// The IOTLB is invalidated by ranges; the generic code always gathers ranges.
  @inlinable public static var flushRange: Features { Features(rawValue: 1 << 6) }

  /// The features among the words of a configuration's `features`.
  public init(words: Set<String>) {
    let names: [(String, Features)] = [
      ("dynamic_top", .dynamicTop), ("sign_extend", .signExtend), ("dma_incoherent", .dmaIncoherent),
      ("flush_range", .flushRange), ("flush_range_no_gaps", .flushRangeNoGaps),
      ("detailed_gather", .detailedGather),
    ]
    self = []
    for (name, feature) in names where words.contains(name) { formUnion(feature) }
  }
}

/// What a configuration settles about a page table's shape.
public struct Geometry: Hashable, Sendable {
  /// Width of the IOVA, in bits.
  public var iovaBits: Int
  /// Width of the output address, in bits.
  public var outputBits: Int
  /// The level of the top table at first.
  public var topLevel: Int
  /// The features.
  public var features: Features
  /// How many roots the topmost IOVA bits choose among, a power of two: they lie side by side and make one top.
  public var rootCount: Int
  /// If not 0, the only page sizes to use, a bitmap of bytes.
  public var pageSizeLimit: UInt64
  /// What all addresses have above their width: ones for an upper half.
  @usableFromInline let fixedPrefix: UInt64
  /// What the addresses with their top bit set have above their width.
  @usableFromInline let signPrefix: UInt64

  public init(
    iovaBits: Int, outputBits: Int, topLevel: Int, features: Features, pageSizeLimit: UInt64 = 0,
    rootCount: Int = 1
  ) {
    self.iovaBits = iovaBits
    self.outputBits = outputBits
    self.topLevel = topLevel
    self.features = features
    self.pageSizeLimit = pageSizeLimit
    self.rootCount = rootCount
    fixedPrefix = features.contains(.upperHalf) ? ~0 : 0
    signPrefix = features.contains(.signExtend) ? ~0 : 0
  }

  /// The addresses that callers may use: the lower half where addresses are sign-extended, the upper end of the 64-bit
  /// space for an upper half (Linux: the domain's aperture).
  public var aperture: ClosedRange<UInt64> {
    let last = Bits.lowMask(iovaBits - (features.contains(.signExtend) ? 1 : 0))
    return features.contains(.upperHalf) ? ~last...(~0) : 0...last
  }

  /// Whether both ends of a range lie in an address space of `bits` width: zero above it, all ones for an upper
  /// half. With sign extension, what the first address has from its top bit on, both must have.
  @inlinable @inline(__always)
  func holds(first: UInt64, last: UInt64, bits: Int) -> Bool {
    if bits >= 64 { return true }
    let isUpper = first &>> UInt64(truncatingIfNeeded: bits &- 1) != 0
    let prefix = fixedPrefix | (isUpper ? signPrefix : 0)
    return ((first ^ prefix) | (last ^ prefix)) &>> UInt64(truncatingIfNeeded: bits) == 0
  }
}

/// Choice of leaf sizes.
@usableFromInline
enum PageSize {
  /// The largest of `sizes` with which a leaf can start at `iova` and `address` and end no later than `last`,
  /// log2 of bytes; nil when there is none.
  @inlinable @inline(__always)
  static func best(sizes: UInt64, iova: UInt64, last: UInt64, address: UInt64) -> Int? {
    guard last > iova else { return nil }
    let length = last &- iova &+ 1
    // The whole address space has the length 2^64, which reads 0.
    let lengthLog2 = length == 0 ? 63 : 63 &- length.leadingZeroBitCount
    let largest = min((iova | address | Bits.bit(lengthLog2)).trailingZeroBitCount, 63)
    let fitting = sizes & Bits.lowMask(largest &+ 1)
    return fitting == 0 ? nil : 63 &- fitting.leadingZeroBitCount
  }

  /// How many leaves of 2^`sizeLog2` bytes follow each other before the range ends or a larger size fits.
  @inlinable @inline(__always)
  static func count(sizes: UInt64, iova: UInt64, last: UInt64, address: UInt64, sizeLog2: Int) -> UInt64 {
    var span = last &- iova
    let larger = sizes & ~Bits.lowMask(sizeLog2 &+ 1)
    if larger != 0 {
      let nextMask = Bits.lowMask(larger.trailingZeroBitCount)
      if (iova ^ address) & nextMask == 0 { span = min(span, (iova | nextMask) &- iova) }
    }
    return (span &>> UInt64(truncatingIfNeeded: sizeLog2))
      &+ ((span & Bits.lowMask(sizeLog2)) == Bits.lowMask(sizeLog2) ? 1 : 0)
  }
}
