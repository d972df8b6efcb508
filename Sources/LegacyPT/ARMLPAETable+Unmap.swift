// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ARMLPAETable {
  @inlinable
  public func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64
  {
    guard pageSize != 0, pageSize & ~pageSizes == 0, count != 0, spans(iova) else { return warnOfUnmap() }
    return unmap(
      in: root, level: topLevel, shift: topShift, iova: iova, size: pageSize, count: count, gather: &gather)
  }

  /// Unmaps entries of 2^`shift` bytes in or below a table.
  @inlinable @inline(__always)
  func unmap(
    in top: Words, level topmost: Int, shift topmostShift: UInt64, iova: UInt64, size: UInt64, count: UInt64,
    gather: inout LegacyGather
  ) -> UInt64 {
    var table = top
    var level = topmost
    var shift = topmostShift
    while true {
      let index = index(iova, level: level, shift: shift)
      let word = table + index
      let entry = word.pointee
      if entry == 0 { return warnOfHole() }
      if size == 1 &<< shift {
        let fitting = fitting(count, index: index, level: level)
        return clear(word, level: level, iova: iova, size: size, count: fitting, gather: &gather)
      }
      if isLeaf(entry, level: level) {
        guard splitsBlocks, level > 0 else { return warnOfUnmap() }
        return split(word, entry, level: level, shift: shift, iova, size: size, count, gather: &gather)
      }
      guard level > 0 else { return warnOfUnmap() }
      table = words(of: address(entry))
      level &-= 1
      shift &-= indexBits
    }
  }

  /// Clears entries of one table up to the first hole; tables among them go at once.
  @inlinable @inline(__always)
  func clear(
    _ word: Words, level: Int, iova: UInt64, size: UInt64, count: Int, gather: inout LegacyGather
  ) -> UInt64 {
    var cleared = 0
    while cleared < count {
      let entry = word[cleared]
      if entry == 0 {
        _ = warnOfHole()
        break
      }
      if !isLeaf(entry, level: level) {
        dropTable(
          at: word + cleared, level: level, iova: iova &+ UInt64(truncatingIfNeeded: cleared) &* size,
          size: size)
      }
      cleared &+= 1
    }
    for index in 0..<cleared { word[index] = 0 }
    publish(word, count: cleared)
    gatherPages(iova: iova, size: size, count: cleared, gather: &gather)
    return UInt64(truncatingIfNeeded: cleared) &* size
  }

  /// Linux 6.12: puts a table in the place of a block, with the entries to unmap left out, and goes on below where they
  /// are smaller yet.
  @inlinable @inline(never)
  func split(
    _ word: Words, _ block: UInt64, level: Int, shift: UInt64, _ iova: UInt64, size: UInt64, _ count: UInt64,
    gather: inout LegacyGather
  ) -> UInt64 {
    let below = level &- 1
    let belowShift = shift &- indexBits
    let entrySize: UInt64 = 1 &<< belowShift
    guard let table = allocate() else { return 0 }
    var hole = 0..<0
    if size == entrySize {
      let start = index(iova, level: below, shift: belowShift)
      hole = start..<start &+ fitting(count, index: start, level: below)
    }
    for part in [0..<hole.lowerBound, hole.upperBound..<tableWords] {
      fill(
        words(of: table) + part.lowerBound, level: below,
        pa: address(block) &+ UInt64(truncatingIfNeeded: part.lowerBound) &* entrySize, size: entrySize,
        count: part.count, attributes: block & ARMLPAEEncoding.inherited)
    }
    let found = install(table, at: word, replacing: block)
    var next = words(of: table)
    if found != block {
      // Another thread unmaps another part of the block.
      memory.releaseTable(at: table, sizeLog2: granuleLog2)
      guard found & Self.typeMask == Self.tableType else { return 0 }
      next = words(of: address(found))
    } else if !hole.isEmpty {
      gatherPages(iova: iova, size: size, count: hole.count, gather: &gather)
      return UInt64(truncatingIfNeeded: hole.count) &* size
    }
    return unmapSplit(next, level: below, shift: belowShift, iova, size: size, count, gather: &gather)
  }

  @inlinable @inline(never)
  func unmapSplit(
    _ table: Words, level: Int, shift: UInt64, _ iova: UInt64, size: UInt64, _ count: UInt64,
    gather: inout LegacyGather
  ) -> UInt64 {
    unmap(in: table, level: level, shift: shift, iova: iova, size: size, count: count, gather: &gather)
  }

  /// A call that no driver should make, or part of a block; nothing is unmapped.
  @usableFromInline @inline(never)
  func warnOfUnmap() -> UInt64 {
    memory.recordWarning()
    return 0
  }

  @usableFromInline @inline(never)
  func warnOfHole() -> UInt64 {
    if warns { memory.recordWarning() }
    return 0
  }
}
