// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Reference

/// The facts about a format's configuration that say what operations it has to accept.
package struct FormatShape: Hashable, Sendable {
  /// The format's name.
  package var format: String
  /// What the configuration settles.
  package var geometry: Geometry
  /// Whether hardware marks written leaves.
  package var tracksDirty: Bool
  /// The highest level that a top table may have.
  package var maximumLevel: Int
  /// Width of the addresses that table pointers hold, in bits.
  package var tableAddressBits: Int
  /// The bytes of the smallest allocation of a top table.
  package var minimumRootBytes: Int
  /// The leaf sizes on offer, a bitmap of bytes.
  package var sizes: UInt64
  /// Whether the top table is larger than the others.
  package var hasWideTop: Bool

  package init(_ configuration: Configuration) throws {
    struct Read: FormatFunction {
      func callAsFunction<Format: PageTableFormat>(_ format: Format) -> FormatShape { FormatShape(format) }
    }
    self = try FormatList.apply(Read(), to: configuration)
  }

  package init<Format: PageTableFormat>(_ format: Format) {
    self.format = Format.schema.format
    geometry = format.geometry
    tracksDirty = format.tracksDirty
    maximumLevel = Format.maximumLevel
    tableAddressBits = format.tableAddressBits
    minimumRootBytes = 1 << Format.minimumRootLog2
    sizes = format.offeredSizes() & (geometry.pageSizeLimit == 0 ? ~0 : geometry.pageSizeLimit)
    hasWideTop =
      !geometry.features.contains(.dynamicTop)
      && geometry.iovaBits - Format.itemLog2(level: geometry.topLevel) > Format.indexBits
  }

  /// Whether there are leaves larger than the granule.
  package var hasLargeLeaves: Bool { sizes.nonzeroBitCount > 1 }
  /// Whether hardware marks written leaves larger than the granule.
  package var tracksDirtyLargeLeaves: Bool { tracksDirty && hasLargeLeaves }
  /// Whether hardware leaves no mark of writes.
  package var ignoresDirty: Bool { !tracksDirty }
  /// Whether the top grows on demand.
  package var isDynamic: Bool { geometry.features.contains(.dynamicTop) }
  /// Whether a sync says which levels lost leaves and tables.
  package var gathersLevels: Bool { geometry.features.contains(.detailedGather) }
  /// Whether no sync may cover what did not change, and leaves can take the place of tables.
  package var syncsNoGaps: Bool { geometry.features.contains(.flushRangeNoGaps) && hasLargeLeaves }
  /// Whether the last byte of 64 bits can be mapped.
  package var reachesLastByte: Bool {
    isSignExtended || geometry.features.contains(.upperHalf) || geometry.iovaBits == 64
  }
  /// Whether addresses have a lower and an upper half.
  package var isSignExtended: Bool { geometry.features.contains(.signExtend) }
}

/// What a leaf of a size and a protection means to the hardware, by the reference alone.
package struct LeafMeaning: Hashable {
  package var protection: Protection
  /// Whether it counts as written when it is new.
  package var isBornDirty: Bool
  /// Whether it counts as written after a device wrote.
  package var becomesDirty: Bool

  package init(protection: Protection, isBornDirty: Bool, becomesDirty: Bool) {
    self.protection = protection
    self.isBornDirty = isBornDirty
    self.becomesDirty = becomesDirty
  }
}

/// A configuration, its reference, and what tests need to know to choose addresses and sizes.
package final class Subject {
  package let configuration: Configuration
  package let reference: ReferenceFormat
  package let shape: FormatShape

  /// The leaf sizes that a map may use, in bytes, ascending.
  package let sizes: [UInt64]
  /// The same, as a bitmap.
  package let sizeMap: UInt64
  /// The IOVAs that can be mapped, ascending; two where addresses are sign-extended.
  package let spans: [ClosedRange<UInt64>]
  /// The bits that output addresses may have; the encryption bit is none of them.
  package let outputMask: UInt64
  private var meanings: [UInt64: LeafMeaning] = [:]

  package init(_ configuration: Configuration, _ reference: ReferenceFormat) throws {
    self.configuration = configuration
    self.reference = reference
    shape = try FormatShape(configuration, reference)
    let geometry = shape.geometry
    sizes = Self.sizes(reference, geometry)
    sizeMap = sizes.reduce(0, |)
    spans = Self.spans(geometry)
    let isEncrypted = configuration.flags("features").contains("encrypt_tables")
    let encryptionBit = isEncrypted ? configuration.number("cbit") : 0
    outputMask = Bits.lowMask(geometry.outputBits) & (encryptionBit == 0 ? ~0 : ~Bits.bit(encryptionBit))
    guard !sizes.isEmpty else {
      throw ConfigurationError(.einval, "the reference of \(configuration) has no leaf that a map can use")
    }
  }

  /// The sizes whose leaves do not reach over the encryption bit, which is in no output address then.
  package var plainSizes: [UInt64] { sizes.filter { $0.trailingZeroBitCount < outputMask.trailingOnes } }

  /// The bytes of the smallest leaf.
  package var granule: UInt64 { sizes[0] }
  /// The largest leaf's.
  package var largest: UInt64 { sizes[sizes.count - 1] }
  package var isDynamic: Bool { shape.isDynamic }
  package var isIncoherent: Bool { shape.geometry.features.contains(.dmaIncoherent) }
  package var tracksDirty: Bool { shape.tracksDirty }

  /// As Linux offers them: none of half the address space or more, none as wide as the output address.
  private static func sizes(_ reference: ReferenceFormat, _ geometry: Geometry) -> [UInt64] {
    let isDynamic = geometry.features.contains(.dynamicTop)
    var sizes: UInt64 = 0
    for level in 0..<reference.levelCount {
      guard let shift = reference.shift(level: level), shift < geometry.iovaBits,
        isDynamic || level <= geometry.topLevel
      else { break }
      for size in reference.leafSizes(level: level) { sizes |= size }
    }
    sizes &= Bits.lowMask(geometry.iovaBits - 1) & Bits.lowMask(geometry.outputBits)
    if geometry.pageSizeLimit != 0 { sizes &= geometry.pageSizeLimit }
    return (0..<64).map { Bits.bit($0) }.filter { sizes & $0 != 0 }
  }

  private static func spans(_ geometry: Geometry) -> [ClosedRange<UInt64>] {
    let bits = geometry.iovaBits
    if geometry.features.contains(.upperHalf) { return [~Bits.lowMask(bits)...UInt64.max] }
    guard geometry.features.contains(.signExtend) else { return [0...Bits.lowMask(bits)] }
    return [0...Bits.lowMask(bits - 1), ~Bits.lowMask(bits - 1)...UInt64.max]
  }

  /// Whether a root of `level` spans both ends of a range; sign-extended addresses do not cross the middle.
  package func holds(_ first: UInt64, _ last: UInt64, rootLevel level: Int) -> Bool {
    guard reference.accepts(iova: first, rootLevel: level), reference.accepts(iova: last, rootLevel: level)
    else { return false }
    return !shape.geometry.features.contains(.signExtend) || first >> 63 == last >> 63
  }

  /// The level that leaves of a size stand at.
  package func level(ofSize size: UInt64) -> Int? {
    (0..<reference.levelCount).first { reference.leafSizes(level: $0).contains(size) }
  }

  /// What a leaf means to the hardware; nil when the reference refuses the protection.
  package func meaning(size: UInt64, _ protection: Protection) -> LeafMeaning? {
    let key = size | UInt64(protection.rawValue)
    if let known = meanings[key] { return known }
    guard let level = level(ofSize: size),
      let clean = leaf(level, size, protection, dirty: false),
      let dirty = leaf(level, size, protection, dirty: true)
    else { return nil }
    let meaning = LeafMeaning(
      protection: clean.protection, isBornDirty: clean.dirty, becomesDirty: dirty.dirty)
    meanings[key] = meaning
    return meaning
  }

  private func leaf(_ level: Int, _ size: UInt64, _ protection: Protection, dirty: Bool) -> DecodedLeaf? {
    guard
      let word = reference.encodeLeaf(level: level, pa: 0, size: size, protection: protection, dirty: dirty),
      case .leaf(let leaf) = reference.decode(word, level: level).kind
    else { return nil }
    return leaf
  }

  /// Arena bases that exercise every bit of a table pointer: the usual one, the last under the limit of
  /// output addresses, and two with alternating bits.
  package func physicalBases(reserve: UInt64) -> [UInt64] {
    let usable = outputMask & Bits.lowMask(tableReach)
    // Table memory starts at multiples of 1 MiB.
    let aligned = usable & ~Bits.lowMask(20)
    return [
      usualBase, usable & ~(reserve - 1), 0x5555_5555_5555_5555 & aligned, 0xaaaa_aaaa_aaaa_aaaa & aligned,
    ]
  }

  /// The start of a stretch of `length` bytes, a power of two, that is aligned to it and lies well within the
  /// address space; the address space's start where there is no room for that.
  package func place(_ length: UInt64) -> UInt64 { spans[0].lowerBound + (hasRoom(length) ? length * 2 : 0) }

  /// Whether four stretches of `length` bytes fit the address space.
  package func hasRoom(_ length: UInt64) -> Bool { length <= (spans[0].upperBound - spans[0].lowerBound) / 4 }

  /// Width of the addresses at which tables can lie, in bits.
  private var tableReach: Int { min(shape.geometry.outputBits, shape.tableAddressBits) }

  /// Table memory from `base` on as far as table pointers reach, at most `reserve` bytes: in the upper half of what
  /// they reach where they do not reach `base`.
  package func reach(from base: UInt64, reserve: UInt64) -> (base: UInt64, reserve: UInt64) {
    guard tableReach < 64 else { return (base, reserve) }
    let start = base >> UInt64(tableReach) == 0 ? base : Bits.bit(tableReach - 1)
    return (start, min(reserve, Bits.bit(tableReach) - start))
  }

  /// Where table memory usually starts: at 4 GiB, or in the middle of what narrower pointers reach.
  package var usualBase: UInt64 { min(0x1_0000_0000, Bits.bit(tableReach - 1)) }
}
