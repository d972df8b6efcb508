// SPDX-License-Identifier: GPL-2.0-only
//
// The bits of entries as Linux's drivers/iommu/io-pgtable-arm.c sets them (arm_lpae_prot_to_pte()); Arm DDI 0487, D8.3.

import PageTable

/// What the configuration and the protection put into entries.
@usableFromInline
struct ARMLPAEEncoding: Sendable {
  /// All of a table entry but the address.
  @usableFromInline let tableBits: UInt64
  @usableFromInline let stage2: Bool
  @usableFromInline let mali: Bool
  @usableFromInline let forcedWriteBack: Bool
  @usableFromInline let nonSecure: Bool
  @usableFromInline let marksDirty: Bool

  init(_ shape: ARMLPAEShape) {
    stage2 = shape.stage2
    mali = shape.mali
    forcedWriteBack = shape.quirks.contains("s2fwb")
    nonSecure = shape.quirks.contains("ns")
    marksDirty = shape.quirks.contains("hd")
    tableBits = 3 | (nonSecure ? Bits.bit(63) : 0)
  }

  // Stage 1 (nG, AP[2], AP[1], NS) and stage 2 (S2AP) name some bits differently.
  @inlinable static var notGlobal: UInt64 { Bits.bit(11) }
  @inlinable static var accessFlag: UInt64 { Bits.bit(10) }
  @inlinable static var readOnly: UInt64 { Bits.bit(7) }
  @inlinable static var unprivileged: UInt64 { Bits.bit(6) }
  @inlinable static var nonSecureLeaf: UInt64 { Bits.bit(5) }
  @inlinable static var stage2Write: UInt64 { Bits.bit(7) }
  @inlinable static var stage2Read: UInt64 { Bits.bit(6) }
  @inlinable static var outerShareable: UInt64 { 2 << 8 }
  @inlinable static var innerShareable: UInt64 { 3 << 8 }
  /// The dirty-bit modifier.
  @inlinable static var dirtyModifier: UInt64 { Bits.bit(51) }
  @inlinable static var executeNever: UInt64 { Bits.mask(54, 53) }
  /// What a block that is split hands on to the entries of the table in its place.
  @inlinable static var inherited: UInt64 { Bits.mask(11, 2) | executeNever | dirtyModifier }

  /// The bits of a leaf but type and address.
  @inlinable @inline(__always)
  func attributes(_ protection: Protection) -> UInt64 {
    var bits = stage2 || mali ? stage2Access(protection) : stage1Access(protection)
    bits |= memoryType(protection) &<< 2
    // To Mali, outer shareable is all that lies outside of the GPU.
    bits |= protection.contains(.cache) && !mali ? Self.innerShareable : Self.outerShareable
    if protection.contains(.noexec) { bits |= Self.executeNever }
    if nonSecure { bits |= Self.nonSecureLeaf }
    return mali ? bits : bits | Self.accessFlag
  }

  @inlinable @inline(__always)
  func stage1Access(_ protection: Protection) -> UInt64 {
    var bits = Self.notGlobal
    if protection.contains(.read), !protection.contains(.write) {
      bits |= Self.readOnly
    } else if marksDirty {
      bits |= Self.dirtyModifier
    }
    return protection.contains(.priv) ? bits : bits | Self.unprivileged
  }

  @inlinable @inline(__always)
  func stage2Access(_ protection: Protection) -> UInt64 {
    (protection.contains(.read) ? Self.stage2Read : 0) | (protection.contains(.write) ? Self.stage2Write : 0)
  }

  /// Stage 2: MemAttr, that is device nGnRE, write-back, or normal non-cacheable. Else the index into MAIR as Linux fills
  /// it: 0 non-cacheable, 1 write-back, 2 device.
  @inlinable @inline(__always)
  func memoryType(_ protection: Protection) -> UInt64 {
    if protection.contains(.mmio) { return stage2 ? 1 : 2 }
    if protection.contains(.cache) { return !stage2 ? 1 : forcedWriteBack ? 6 : 15 }
    return stage2 ? 5 : 0
  }

  /// A page that is writable, and was not made clean since it was written.
  @inlinable @inline(__always)
  static func isDirty(_ entry: UInt64) -> Bool {
    entry & (dirtyModifier | readOnly) == dirtyModifier
  }
}
