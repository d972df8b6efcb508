// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

extension RISCVPageTable {
  /// Maps over whatever is there: a leaf is replaced without an invalidation; tables that a leaf replaces are released
  /// at the end, after everything is invalidated.
  @inlinable
  public func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome {
    // No entry maps any other size; Linux finds out in the last table.
    guard let level = level(of: pageSize) else { return MapOutcome(.enomem, mapped: 0) }
    let bits = protection.contains(.write) ? writableBits : Self.readableBits
    var replaced: [UInt64] = []
    var mapped: UInt64 = 0
    var left = count
    while left > 0 {
      guard let entry = entry(of: iova &+ mapped, level: level) else { break }
      let old = load(entry)
      guard replace(old, by: Self.word(pa &+ mapped, bits), at: entry) else { continue }
      if Self.pointsToTable(old) { takeTables(Self.address(old), &replaced) }
      mapped &+= pageSize
      left &-= 1
    }
    if !replaced.isEmpty { invalidateAll(andRelease: replaced) }
    return MapOutcome(left > 0 ? .enomem : nil, mapped: mapped)
  }

  /// The level whose entries map `pageSize` bytes.
  @inlinable @inline(__always)
  func level(of pageSize: UInt64) -> Int? {
    let bits = pageSize.trailingZeroBitCount &- 12
    let level = bits / 9
    guard pageSize & (pageSize &- 1) == 0, bits >= 0, bits == 9 &* level, level <= topLevel else {
      return nil
    }
    return level
  }

  /// The entry for an IOVA in the table of a level; tables that are missing on the way are installed. Nil when memory
  /// is short or a larger leaf is in the way.
  @inlinable @inline(__always)
  func entry(of iova: UInt64, level target: Int) -> Entry? {
    var table = root
    var level = topLevel
    while level > target {
      let entry = entry(in: table, level: level, iova: iova)
      let word = load(entry)
      if Self.isLeaf(word) { return nil }
      if word == 0 {
        guard let installed = install(at: entry) else { return nil }
        // Another thread was first: look again.
        if installed == 0 { continue }
        table = installed
      } else {
        table = Self.address(word)
      }
      level &-= 1
    }
    return entry(in: table, level: target, iova: iova)
  }

  /// Installs a new table in an empty entry. Returns nil when memory is short, 0 when another thread was first.
  @inlinable
  func install(at entry: Entry) -> UInt64? {
    guard let table = Self.allocateTable(memory) else { return nil }
    guard replace(0, by: Self.word(table, Self.valid), at: entry) else {
      memory.releaseTable(at: table, sizeLog2: 12)
      return 0
    }
    if Memory.recordsEvents { memory.recordTableInstall(table, at: physical(entry)) }
    return table
  }

  /// Clears a table that was unlinked and those below it, and lists them, the lowest first.
  @usableFromInline
  func takeTables(_ table: UInt64, _ list: inout [UInt64]) {
    for index in 0..<512 {
      let entry = entry(in: table, index)
      let word = load(entry)
      if word == 0 || !replace(word, by: 0, at: entry) { continue }
      if Self.pointsToTable(word) { takeTables(Self.address(word), &list) }
    }
    list.append(table)
  }

  /// Nothing smaller drops entries of upper levels from the hardware's caches.
  @usableFromInline
  func invalidateAll(andRelease tables: [UInt64]) {
    memory.synchronizeIOTLB(InvalidationRequest(first: 0, last: ~0, released: tables.count))
    for table in tables { memory.releaseTable(at: table, sizeLog2: 12) }
  }
}

// MARK: - Unmap

extension RISCVPageTable {
  /// Unmaps whole leaves, also beyond the range; stops at a hole and where the range starts inside of a leaf. No table
  /// is released.
  @inlinable
  public func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64
  {
    let length = count &<< UInt64(truncatingIfNeeded: pageSize.trailingZeroBitCount)
    var unmapped: UInt64 = 0
    while unmapped < length {
      let next = iova &+ unmapped
      guard let (entry, sizeLog2) = leaf(next) else { break }
      let size: UInt64 = 1 &<< sizeLog2
      if next & (size &- 1) != 0 { break }
      guard replace(load(entry), by: 0, at: entry) else { continue }
      // Another size or a gap ends the gather.
      if gather.pageSize != 0 && gather.pageSize != size || gather.isDisjoint(iova: next, length: size) {
        synchronize(&gather)
      }
      gather.pageSize = size
      gather.add(iova: next, length: size)
      unmapped &+= size
    }
    return unmapped
  }

  @inlinable
  public func synchronize(_ gather: inout LegacyGather) {
    if gather.isEmpty { return }
    // A range that wraps is everything.
    let isRange = gather.first <= gather.last
    memory.synchronizeIOTLB(
      InvalidationRequest(first: isRange ? gather.first : 0, last: isRange ? gather.last : ~0))
    gather = LegacyGather()
  }
}
