// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension GenericPageTable {
  /// Unmaps from `iova` on and synchronises the IOTLB, as iommu_unmap().
  ///
  /// Stops at the first hole. A leaf in which the range ends goes whole; one in which it starts stays, and
  /// nothing is unmapped.
  ///
  /// - Returns: bytes unmapped; 0 for a range that is empty, wraps or is out of the address space; more than
  ///   `length` where the last leaf reaches beyond the range.
  @inlinable
  public func unmap(iova: UInt64, length: UInt64) -> UInt64 {
    withLock {
      guard let target = unmapTarget(iova, length) else { return 0 }
      // A single leaf whose table stays is synchronised as it is, without a gather.
      if let sizeLog2 = unmapOneLeaf(target, iova) {
        memory.synchronizeIOTLB(invalidation(ofLeafAt: iova, sizeLog2: sizeLog2, level: target.place.level))
        return Bits.bit(sizeLog2)
      }
      var gather = Gather()
      let unmapped = unmapGeneral(target, iova, &gather)
      synchronizeLocked(&gather)
      return unmapped
    }
  }

  /// As `unmap`, but the caller synchronises the gather, as iommu_unmap_fast().
  @inlinable
  public func unmap(iova: UInt64, length: UInt64, gather: inout Gather) -> UInt64 {
    withLock { unmapLocked(iova: iova, length: length, gather: &gather) }
  }

  @inlinable
  func unmapLocked(iova: UInt64, length: UInt64, gather: inout Gather) -> UInt64 {
    guard let target = unmapTarget(iova, length) else { return 0 }
    return unmapGeneral(target, iova, &gather)
  }

  /// Where an unmap starts, or nil for a range that is empty, wraps or is out of the address space.
  @inlinable @inline(__always)
  func unmapTarget(_ iova: UInt64, _ length: UInt64) -> UnmapTarget? {
    let (last, wraps) = iova.addingReportingOverflow(length &- 1)
    let root = self.root
    guard length != 0, !wraps, geometry.holds(first: iova, last: last, bits: topBits(level: root.level))
    else {
      return nil
    }
    return UnmapTarget(root: root, place: descend(toCommonItem: iova, last, root: root), last: last)
  }

  /// Descends while the range lies within one table that it does not cover.
  @inlinable @inline(__always)
  func descend(toCommonItem first: UInt64, _ last: UInt64, root: TableRoot) -> EntryPlace {
    // The range spans 2^differing bytes at most, and exactly those if it covers them.
    let difference = first ^ last
    let differing = 64 &- difference.leadingZeroBitCount
    let covers = difference & (difference &+ 1) == 0 && first & difference == 0
    let reach = max(differing &- (covers ? 0 : 1), Format.granuleLog2)
    var level = root.level
    var table = root.physical
    var itemLog2 = Format.itemLog2(level: level)
    var index = Self.topIndex(first, itemLog2: itemLog2, bits: topBits(level: level))
    while itemLog2 > reach {
      let entry = load(table, index)
      guard format.kind(of: entry, level: level) == .table else { break }
      table = format.tableAddress(entry, level: level)
      level &-= 1
      itemLog2 &-= Format.indexBits
      index = Self.index(first, itemLog2: itemLog2)
    }
    return EntryPlace(table: table, level: level, index: index)
  }

  /// Removes the leaf that an unmap consists of; nil when there is more to it: a range over several words, a leaf of
  /// several words, a hole, or a table that empties and goes.
  @inlinable @inline(__always)
  func unmapOneLeaf(_ target: UnmapTarget, _ iova: UInt64) -> Int? {
    let place = target.place
    let itemLog2 = Format.itemLog2(level: place.level)
    guard (iova ^ target.last) &>> UInt64(truncatingIfNeeded: itemLog2) == 0,
      iova & Bits.lowMask(itemLog2) == 0,
      format.isPlainLeaf(load(place.table, place.index), level: place.level),
      !countsEntries || metadata[page(place.table)].entries > 1
    else { return nil }
    store(0, place.table, place.index)
    count(place.table, -1)
    flush(place.table, place.index..<place.index &+ 1)
    return itemLog2
  }

  /// The sync for a single leaf.
  @inlinable @inline(__always)
  func invalidation(ofLeafAt iova: UInt64, sizeLog2: Int, level: Int) -> InvalidationRequest {
    let isDetailed = geometry.features.contains(.detailedGather)
    return InvalidationRequest(
      first: iova, last: iova | Bits.lowMask(sizeLog2),
      leafLevels: isDetailed ? 1 &<< UInt8(truncatingIfNeeded: level) : 0)
  }

  @inlinable
  func unmapGeneral(_ target: UnmapTarget, _ iova: UInt64, _ gather: inout Gather) -> UInt64 {
    let place = target.place
    let root = target.root
    let last = target.last
    var pending = Gather()
    var unmapped: UInt64 = 0
    let shift = UInt64(truncatingIfNeeded: Format.itemLog2(level: place.level))
    let items = Int(truncatingIfNeeded: (last &>> shift) &- (iova &>> shift))
    _ = unmap(
      in: place.table, level: place.level, place.index...place.index &+ items, iova, last, &unmapped, &pending
    )
    // The table itself may have emptied; the tables above it are found by walking again.
    if countsEntries, place.level != root.level, metadata[page(place.table)].entries == 0 {
      _ = prune(root.physical, level: root.level, iova: iova, root: root, &pending)
    }
    // Nothing was mapped through tables that went without a leaf: their range is one of no length at all.
    let isOnlyTables = unmapped == 0 && pending.tables.head != 0
    add(&pending, iova: iova, length: isOnlyTables ? 1 : unmapped, to: &gather)
    return unmapped
  }

  /// Unmaps in one table and those below it.
  ///
  /// - Returns: false when a hole, or a leaf that the range starts in, ended it.
  @inlinable
  func unmap(
    in table: UInt64, level: Int, _ indices: ClosedRange<Int>, _ first: UInt64, _ last: UInt64,
    _ unmapped: inout UInt64, _ pending: inout Gather
  ) -> Bool {
    let itemLog2 = UInt64(Format.itemLog2(level: level))
    var index = indices.lowerBound
    var changed = index..<index
    var complete = true
    var leafWords = 0
    // The address of the current item; only the first one may lie inside of its item.
    var iova = first
    while index <= indices.upperBound {
      let entry = load(table, index)
      var step = 1
      switch format.kind(of: entry, level: level) {
      case .empty:
        complete = false
      case .table:
        complete = unmapItem(
          entry, in: table, level: level, index, iova, last, &unmapped, &pending, &changed)
      case .leaf:
        step = clearLeaves(table, level: level, index, indices.upperBound, entry, iova)
        complete = step > 0
        leafWords += step
        if complete { changed = (changed.isEmpty ? index : changed.lowerBound)..<index + step }
      }
      guard complete else { break }
      index += step
      iova = (iova >> itemLog2 &+ UInt64(step)) << itemLog2
    }
    if leafWords > 0 { pending.leafLevels |= 1 << UInt8(level) }
    unmapped &+= UInt64(leafWords) << itemLog2
    if !changed.isEmpty { flush(table, changed) }
    return complete
  }

  /// Unmaps the part of a range below one table entry; the table goes when the range covers it, or when it
  /// empties and empty tables are reclaimed.
  @inlinable
  func unmapItem(
    _ entry: UInt64, in table: UInt64, level: Int, _ index: Int, _ iova: UInt64, _ last: UInt64,
    _ unmapped: inout UInt64, _ pending: inout Gather, _ changed: inout Range<Int>
  ) -> Bool {
    let itemMask = Bits.lowMask(Format.itemLog2(level: level))
    let childLast = min(last, iova | itemMask)
    let covered = iova & itemMask == 0 && last >= iova | itemMask
    let child = format.tableAddress(entry, level: level)
    let start = Self.index(iova, level: level - 1)
    let end = Self.index(childLast, level: level - 1)
    let complete = unmap(
      in: child, level: level - 1, start...end, iova, childLast, &unmapped, &pending)
    let empties = countsEntries && metadata[page(child)].entries == 0
    guard complete && covered || empties else { return complete }
    store(0, table, index)
    count(table, -1)
    add(table: child, level: level, to: &pending)
    changed = (changed.isEmpty ? index : changed.lowerBound)..<index + 1
    return complete
  }

  /// Clears the leaf at `index` and, if it is a single word, the like that follow it up to `upper`.
  ///
  /// - Returns: how many words were cleared; 0 when the range starts inside the leaf.
  @inlinable
  func clearLeaves(
    _ table: UInt64, level: Int, _ index: Int, _ upper: Int, _ entry: UInt64, _ iova: UInt64
  ) -> Int {
    let contiguousLog2 = format.contiguousLog2(entry, level: level)
    guard iova & Bits.lowMask(Format.itemLog2(level: level) + contiguousLog2) == 0 else { return 0 }
    let words = words(of: table) + index
    var count = 1 << contiguousLog2
    if contiguousLog2 == 0 { count = plainLeafPrefix(words, level: level, count: upper - index + 1) }
    Entry.clear(words, count: count)
    self.count(table, -count)
    record(table, index, count: count)
    return count
  }

  /// How many of `count` words are leaves of a single word before the first that is not; the first one is.
  @inlinable @inline(__always)
  func plainLeafPrefix(_ words: UnsafeMutablePointer<Format.Word>, level: Int, count: Int) -> Int {
    var index = 1
    #if !PTKIT_TSAN
      while index &+ 8 <= count {
        var defect: UInt64 = 0
        for lane in 0..<8 {
          defect |= format.plainLeafDefect(UInt64(truncatingIfNeeded: words[index &+ lane]), level: level)
        }
        if defect != 0 { break }
        index &+= 8
      }
    #endif
    while index < count, format.isPlainLeaf(Entry.load(words + index), level: level) { index &+= 1 }
    return index
  }
}

/// A word of a table.
@usableFromInline @frozen
struct EntryPlace {
  @usableFromInline var table: UInt64
  @usableFromInline var level: Int
  @usableFromInline var index: Int

  @inlinable @inline(__always)
  init(table: UInt64, level: Int, index: Int) {
    self.table = table
    self.level = level
    self.index = index
  }
}

/// What an unmap has found out before it changes anything.
@usableFromInline @frozen
struct UnmapTarget {
  @usableFromInline var root: TableRoot
  /// The word of the range's start in the lowest table that spans the range.
  @usableFromInline var place: EntryPlace
  @usableFromInline var last: UInt64

  @inlinable @inline(__always)
  init(root: TableRoot, place: EntryPlace, last: UInt64) {
    self.root = root
    self.place = place
    self.last = last
  }
}
