// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

extension VTDPageTable {
  /// Unmaps at least the leaf or hole that the first address is in; returns the bytes that the caller is to go on by.
  @inlinable
  public func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64
  {
    guard let (_, level) = walk(iova &>> 12) else { return 0 }
    let length = max(
      count &<< UInt64(truncatingIfNeeded: pageSize.trailingZeroBitCount), Self.span(level) &<< 12)
    unmap(iova &>> 12, (iova &+ length &- 1) &>> 12, &gather)
    // Another size or a gap ends the gather. That the tables of this very unmap go with it, before their own
    // invalidation, is Linux's doing.
    if gather.pageSize != 0 && gather.pageSize != length || gather.isDisjoint(iova: iova, length: length) {
      synchronize(&gather)
    }
    gather.pageSize = length
    gather.add(iova: iova, length: length)
    return length
  }

  /// Unmaps the pages `first` to `last`. A range that is the whole domain also takes the top table.
  @inlinable
  func unmap(_ first: UInt64, _ last: UInt64, _ gather: inout LegacyGather) {
    guard spans(last), first <= last else { return memory.recordWarning() }
    let root = top.load(ordering: .acquiring)
    clear(root, level: settings.topLevel, from: first, first, last, &gather)
    if first == 0, last == Bits.lowMask(settings.domainPageBits) {
      gather.tables.append(LegacyGather.Table(physical: root, sizeLog2: 12))
      top.store(Self.noTop, ordering: .releasing)
    }
  }

  /// Clears the entries of a table, from that of the page `start` on, whose pages all lie in `first` to `last`; what
  /// they point to goes to the gather as it is.
  @inlinable
  func clear(
    _ table: UInt64, level: Int, from start: UInt64, _ first: UInt64, _ last: UInt64,
    _ gather: inout LegacyGather
  ) {
    var entry = entry(in: table, level: level, page: start)
    if level == 0 { return clearLeaves(entry, count: min(last &- start, 511 &- (start & 511)) &+ 1) }
    let span = Self.span(level)
    var page = start
    var firstCleared: Entry?
    var endCleared = entry
    repeat {
      let word = load(entry)
      let base = page & ~(span &- 1)
      if Self.isPresent(word) {
        if first <= base, last >= base &+ span &- 1 {
          if Self.pointsToTable(word) {
            gatherTables(word & Self.addressMask, level: level &- 1, &gather)
          }
          store(0, entry)
          if firstCleared == nil { firstCleared = entry }
          endCleared = entry + 1
        } else if Self.pointsToTable(word) {
          // Linux does the same with a superpage, clearing words of the page that it maps; here it stays untouched.
          clear(
            word & Self.addressMask, level: level &- 1, from: max(first, base), first, last, &gather)
        }
      }
      page = base &+ span
      entry += 1
    } while page <= last && !Self.startsTable(entry)
    if let firstCleared { publish(firstCleared, until: endCleared) }
  }

  /// Clears entries of a last-level table.
  @inlinable @inline(__always)
  func clearLeaves(_ start: Entry, count: UInt64) {
    let end = start + Int(truncatingIfNeeded: count)
    var first = end
    var last = start
    var entry = start
    while entry < end {
      if Self.isPresent(load(entry)) {
        store(0, entry)
        first = min(first, entry)
        last = entry
      }
      entry += 1
    }
    if first < end { publish(first, until: last + 1) }
  }

  /// Puts a table and those below it on the gather's list.
  @usableFromInline
  func gatherTables(_ table: UInt64, level: Int, _ gather: inout LegacyGather) {
    gather.tables.append(LegacyGather.Table(physical: table, sizeLog2: 12))
    guard level > 0 else { return }
    for index in 0..<512 {
      let word = load(entry(in: table, index))
      if Self.pointsToTable(word) { gatherTables(word & Self.addressMask, level: level - 1, &gather) }
    }
  }

  @inlinable
  public func synchronize(_ gather: inout LegacyGather) {
    if gather.isEmpty { return }
    // Tables without a range come from one that wrapped: everything is invalidated.
    let isRange = gather.first <= gather.last
    memory.synchronizeIOTLB(
      InvalidationRequest(
        first: isRange ? gather.first : 0, last: isRange ? gather.last : ~0, released: gather.tables.count))
    if !gather.tables.isEmpty { release(gather.tables) }
    gather = LegacyGather()
  }

  @usableFromInline
  func release(_ tables: [LegacyGather.Table]) {
    for table in tables { memory.releaseTable(at: table.physical, sizeLog2: table.sizeLog2) }
  }
}
