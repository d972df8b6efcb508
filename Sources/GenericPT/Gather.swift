// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Tables linked through their metadata, so that neither list nor tables need a write that a walker could see.
@usableFromInline @frozen
struct TableList {
  /// Page index plus one of the first table; 0 when empty.
  @usableFromInline var head: UInt32 = 0
  @usableFromInline var tail: UInt32 = 0
  @usableFromInline var count = 0

  @inlinable
  init() {}

  @inlinable @inline(__always)
  mutating func append(_ table: UInt64, metadata: UnsafeMutablePointer<TablePageMetadata>, base: UInt64) {
    let page = UInt32(truncatingIfNeeded: (table &- base) &>> 12)
    metadata[Int(page)].next = 0
    if head == 0 { head = page &+ 1 } else { metadata[Int(tail &- 1)].next = page &+ 1 }
    tail = page &+ 1
    count &+= 1
  }

  /// Takes the first table off the list; returns the index of its page.
  @inlinable @inline(__always)
  mutating func popFirst(metadata: UnsafeMutablePointer<TablePageMetadata>) -> Int? {
    guard head != 0 else { return nil }
    let page = Int(head &- 1)
    head = metadata[page].next
    if head == 0 { tail = 0 }
    count &-= 1
    return page
  }

  @inlinable @inline(__always)
  mutating func append(contentsOf other: TableList, metadata: UnsafeMutablePointer<TablePageMetadata>) {
    guard other.head != 0 else { return }
    if head == 0 { head = other.head } else { metadata[Int(tail &- 1)].next = other.head }
    tail = other.tail
    count &+= other.count
  }
}

/// What one or more operations removed, until an IOTLB sync makes it final (Linux: struct iommu_iotlb_gather).
@frozen
public struct Gather {
  @usableFromInline var first: UInt64 = ~0
  @usableFromInline var last: UInt64 = 0
  @usableFromInline var leafLevels: UInt8 = 0
  @usableFromInline var tableLevels: UInt8 = 0
  @usableFromInline var tables = TableList()

  @inlinable
  public init() {}

  @inlinable @inline(__always)
  mutating func add(first: UInt64, last: UInt64) {
    self.first = min(self.first, first)
    self.last = max(self.last, last)
  }

  /// Whether a range neither overlaps nor touches what is gathered; the last address of the space touches none.
  @inlinable
  func isDisjoint(first: UInt64, last: UInt64) -> Bool {
    self.last != 0 && (last &+ 1 < self.first || first > self.last &+ 1)
  }
}

extension GenericPageTable {
  /// Adds `length` bytes from `iova` on and the tables of `pending` to a gather, with a sync before where gaps
  /// are not allowed.
  @inlinable
  func add(_ pending: inout Gather, iova: UInt64, length: UInt64, to gather: inout Gather) {
    let last = iova &+ length &- 1
    if geometry.features.contains(.flushRangeNoGaps), gather.isDisjoint(first: iova, last: last) {
      synchronizeLocked(&gather)
    }
    gather.add(first: iova, last: last)
    gather.tables.append(contentsOf: pending.tables, metadata: metadata)
    pending.tables = TableList()
    if geometry.features.contains(.detailedGather) {
      gather.leafLevels |= pending.leafLevels
      gather.tableLevels |= pending.tableLevels
      pending.leafLevels = 0
      pending.tableLevels = 0
    }
  }

  /// Puts an unlinked table on the list of a gather.
  @inlinable
  func add(table: UInt64, level: Int, to pending: inout Gather) {
    pending.tables.append(table, metadata: metadata, base: physicalBase)
    pending.tableLevels |= 1 &<< UInt8(truncatingIfNeeded: level)
  }

  /// Invalidates what the gather covers, then releases its tables.
  public func synchronize(_ gather: inout Gather) {
    withLock { synchronizeLocked(&gather) }
  }

  @inlinable @inline(__always)
  func synchronizeLocked(_ gather: inout Gather) {
    guard gather.first <= gather.last || gather.tables.head != 0 else { return }
    memory.synchronizeIOTLB(
      InvalidationRequest(
        first: gather.first, last: gather.last, leafLevels: gather.leafLevels,
        tableLevels: gather.tableLevels,
        released: gather.tables.count))
    if gather.tables.head != 0 { releaseGathered(gather.tables) }
    gather = Gather()
  }

  /// Keeps the tables that the policy keeps, and releases the rest.
  @inlinable
  func releaseGathered(_ list: TableList) {
    var list = list
    let limit = if case .bounded(let count) = reclaim { count } else { 0 }
    while let page = list.popFirst(metadata: metadata) {
      let table = table(ofPage: page)
      let state = metadata[page]
      // A table with entries was unlinked with empty tables below it; only an all-zero one can be reused as it is.
      if freeTables.count < limit, state.entries == 0, Int(state.sizeLog2) == Format.allocationLog2 {
        freeTables.append(table, metadata: metadata, base: physicalBase)
      } else {
        release(table)
      }
    }
  }
}
