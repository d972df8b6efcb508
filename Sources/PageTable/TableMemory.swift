// SPDX-License-Identifier: GPL-2.0-only

/// An invalidation that a page table asks of the IOMMU before it releases tables.
public struct InvalidationRequest: Hashable, Sendable {
  /// The first IOVA covered, in bytes.
  public var first: UInt64
  /// The last IOVA covered, inclusive.
  public var last: UInt64
  /// With detailed_gather, bit N set: leaves of level N were removed.
  public var leafLevels: UInt8
  /// With detailed_gather, bit N set: table entries of level N were removed.
  public var tableLevels: UInt8
  /// How many tables are released once the invalidation has completed.
  public var released: Int

  @inlinable
  public init(first: UInt64, last: UInt64, leafLevels: UInt8 = 0, tableLevels: UInt8 = 0, released: Int = 0) {
    self.first = first
    self.last = last
    self.leafLevels = leafLevels
    self.tableLevels = tableLevels
    self.released = released
  }
}

/// What the page table keeps beside each 4 KiB page of table memory, as the kernel does in struct page.
/// Only the metadata of a table's first page is used.
@frozen
public struct TablePageMetadata: Hashable, Sendable {
  /// Index of the next page of a list plus one; 0 ends the list.
  public var next: UInt32
  /// Non-empty entries in the table, where the page table counts them.
  public var entries: UInt16
  /// The table's size, log2 of bytes.
  public var sizeLog2: UInt8
  /// Where in the page a table smaller than it starts, in units of 64 bytes.
  public var offset: UInt8

  @inlinable
  public init(next: UInt32 = 0, entries: UInt16 = 0, sizeLog2: UInt8 = 0, offset: UInt8 = 0) {
    self.next = next
    self.entries = entries
    self.sizeLog2 = sizeLog2
    self.offset = offset
  }
}

/// The memory that tables live in, and the IOMMU that walks them, as one page table sees them.
///
/// Table memory is one contiguous stretch of physical addresses; the physical address
/// `physicalBase + n` is the byte at `arena + n`. Implementations that record what happens
/// set `recordsEvents`; the page table then announces every entry it writes.
public protocol TableMemory: AnyObject, Sendable {
  /// Whether the record… requirements do anything; a constant, so that calls vanish.
  static var recordsEvents: Bool { get }

  /// The first physical address of table memory, in bytes.
  var physicalBase: UInt64 { get }

  /// The host address of `physicalBase`.
  var arena: UnsafeMutableRawPointer { get }

  /// One element for each 4 KiB page from `physicalBase` on, for the page table's own use; untouched by
  /// the memory, all zero at first.
  var pageMetadata: UnsafeMutablePointer<TablePageMetadata> { get }

  /// Allocates a zeroed table of 2^`sizeLog2` bytes, aligned to its size. A table smaller than a page has a page to
  /// itself, in which it may start anywhere.
  ///
  /// Returns its physical address, or nil when memory is short or a failure is injected.
  func allocateTable(sizeLog2: Int) -> UInt64?

  /// Gives a table back that `allocateTable` returned. Nothing may point to it any more.
  func releaseTable(at physical: UInt64, sizeLog2: Int)

  /// Writes the CPU's cache lines of a range back to memory, for a walker that does not snoop.
  func flushCache(at physical: UInt64, byteCount: Int)

  /// `count` entries of `wordBytes` bytes each, 4 or 8, from `physical` on have just been written.
  func recordEntryWrites(at physical: UInt64, count: Int, wordBytes: Int)

  /// The table `child` has just become reachable through the entry at `entry`.
  func recordTableInstall(_ child: UInt64, at entry: UInt64)

  /// Invalidates the IOTLB; completes before it returns.
  func synchronizeIOTLB(_ request: InvalidationRequest)

  /// The implementation printed a warning (Linux: WARN_ON and the like).
  func recordWarning()

  /// The hardware's root pointer now is the table at `physical`, of level `level`.
  func changeTop(to physical: UInt64, level: Int)
}

extension TableMemory {
  /// `count` entries of 8 bytes from `physical` on have just been written.
  @inlinable @inline(__always)
  public func recordEntryWrites(at physical: UInt64, count: Int) {
    recordEntryWrites(at: physical, count: count, wordBytes: 8)
  }

  @inlinable @inline(__always)
  public func recordWarning() {}
}
