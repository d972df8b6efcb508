// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A pointer to a table, as a paging-structure cache keeps it.
public struct CachedPointer: Hashable, Sendable {
  /// The level of the word; 0 is the last level.
  public var level: Int
  /// The word's physical address in bytes, and the word.
  public var place: UInt64
  public var word: UInt64
  /// The table that it points to, and that table's level.
  public var table: UInt64
  public var childLevel: Int
  /// What the path up to here grants: read, write, noexec, priv.
  public var rights: Protection

  public init(level: Int, place: UInt64, word: UInt64, table: UInt64, childLevel: Int, rights: Protection) {
    self.level = level
    self.place = place
    self.word = word
    self.table = table
    self.childLevel = childLevel
    self.rights = rights
  }

  /// Whether a walk from here on reads the same words, with the same rights.
  func leadsWhere(_ other: CachedPointer) -> Bool {
    table == other.table && childLevel == other.childLevel && rights == other.rights
  }
}

/// The translation of a leaf, as an IOTLB keeps it.
public struct CachedLeaf: Hashable, Sendable {
  /// The first IOVA and the first output address, in bytes.
  public var iova: UInt64
  public var pa: UInt64
  /// log2 of its bytes.
  public var sizeLog2: Int
  public var level: Int
  /// What the path grants, and the leaf's other flags.
  public var protection: Protection
  /// Whether the hardware knows the leaf to be dirty: it does not mark it again.
  public var isDirty: Bool
  /// The physical address in bytes of the word that was read, and the word.
  public var place: UInt64
  public var word: UInt64

  public init(
    iova: UInt64, pa: UInt64, sizeLog2: Int, level: Int, protection: Protection, isDirty: Bool,
    place: UInt64, word: UInt64
  ) {
    self.iova = iova
    self.pa = pa
    self.sizeLog2 = sizeLog2
    self.level = level
    self.protection = protection
    self.isDirty = isDirty
    self.place = place
    self.word = word
  }

  /// The last IOVA.
  var last: UInt64 { iova | Bits.lowMask(sizeLog2) }

  /// The output address of an IOVA of the leaf.
  func address(of iova: UInt64) -> UInt64 { pa &+ (iova &- self.iova) }
}

/// What a walk read.
public struct DeviceWalk: Sendable {
  /// The pointers, highest first, whether the walk faulted or not.
  public var pointers: [CachedPointer] = []
  /// The leaf; nil after a fault.
  public var leaf: CachedLeaf?

  public init() {}
}

/// Walks as the hardware does. No format of the kit lets hardware keep that nothing is mapped.
public protocol HardwareWalker: Sendable {
  /// log2 of the bytes of IOVA that one word of a level is for; nil when there is no such level.
  func shift(level: Int) -> Int?

  /// Walks from the root, for reads or, where only those are permitted, for writes.
  func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> DeviceWalk

  /// Completes a walk behind a pointer that was read before.
  func walk(_ iova: UInt64, from pointer: CachedPointer, memory: any PhysicalMemoryReader) -> DeviceWalk
}
