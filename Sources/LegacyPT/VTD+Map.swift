// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

extension VTDPageTable {
  /// Linux counts nothing as mapped when it fails in the middle, so its core takes nothing back.
  @inlinable
  public func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome {
    guard pageSize == 1 << 12 || pageSize == 1 << 21 || pageSize == 1 << 30,
      (iova | pa) & (pageSize &- 1) == 0
    else { return MapOutcome(.einval, mapped: 0) }
    let length = count &<< UInt64(truncatingIfNeeded: pageSize.trailingZeroBitCount)
    // A range that wraps passes here, and fails below.
    if iova &+ length > 1 &<< UInt64(truncatingIfNeeded: settings.domainPageBits &+ 12) {
      return MapOutcome(.efault, mapped: 0)
    }
    if let errno = map(page: iova &>> 12, frame: pa &>> 12, count: length &>> 12, protection) {
      return MapOutcome(errno, mapped: 0)
    }
    return MapOutcome(nil, mapped: length)
  }

  /// Maps `count` pages with the largest leaves that alignment and length allow, whatever page size the caller had
  /// in mind.
  @inlinable
  func map(page: UInt64, frame: UInt64, count: UInt64, _ protection: Protection) -> LinuxErrno? {
    guard spans(page &+ count &- 1), !protection.isDisjoint(with: [.read, .write]) else { return .einval }
    let attributes = settings.leafBits | (protection.contains(.write) ? settings.writeBits : 0)
    var page = page
    var frame = frame
    var left = count
    while left > 0 {
      let level = leafLevel(page, frame, left)
      let span = Self.span(level)
      guard let first = entry(of: page, level: level) else { return .enomem }
      // To the end of the table; superpages also end where the range has no room for another one.
      let room = 512 &- ((UInt64(UInt(bitPattern: first)) &>> 3) & 511)
      let entries = min(left &>> UInt64(truncatingIfNeeded: 9 &* level), room)
      var word = frame &<< 12 | attributes
      if level > 0 {
        word |= Self.superpage
        makeRoom(first, count: entries, page: page, level: level)
      }
      write(word, step: span &<< 12, first, count: entries)
      let pages = entries &* span
      left &-= pages
      page &+= pages
      frame &+= pages
    }
    return nil
  }

  /// Writes leaves to empty entries; one that is not empty stays as it is.
  @inlinable @inline(__always)
  func write(_ word: UInt64, step: UInt64, _ first: Entry, count: UInt64) {
    let end = first + Int(truncatingIfNeeded: count)
    var entry = first
    var word = word
    while entry < end {
      if load(entry) == 0 { store(word, entry) } else { memory.recordWarning() }
      word &+= step
      entry += 1
    }
    publish(first, until: end)
  }

  /// The level of the largest leaf that fits.
  @inlinable @inline(__always)
  func leafLevel(_ page: UInt64, _ frame: UInt64, _ count: UInt64) -> Int {
    var level = 0
    while level < settings.superpages {
      let next = Self.span(level &+ 1)
      if (page | frame) & (next &- 1) != 0 || count < next { break }
      level &+= 1
    }
    return level
  }

  /// The entry for a page in the table of a level; tables that are missing on the way are installed.
  ///
  /// Returns nil when memory is short or the page is outside of the tables' span. Linux does not look whether an entry
  /// on the way is a superpage and writes into the page that this maps; here that too is nil.
  @inlinable @inline(__always)
  func entry(of page: UInt64, level target: Int) -> Entry? {
    var table = top.load(ordering: .acquiring)
    guard spans(page), table != Self.noTop else { return nil }
    var level = settings.topLevel
    while level > target {
      let entry = entry(in: table, level: level, page: page)
      var word = load(entry)
      if !Self.isPresent(word) {
        guard let installed = install(at: entry) else { return nil }
        word = installed
      }
      guard word & Self.superpage == 0 else { return nil }
      table = word & Self.addressMask
      level &-= 1
    }
    return entry(in: table, level: target, page: page)
  }

  /// Installs a new table in an empty entry; returns what the entry holds then, nil when memory is short.
  @inlinable
  func install(at entry: Entry) -> UInt64? {
    guard let table = memory.allocateTable(sizeLog2: 12) else { return nil }
    if !settings.isCoherent { memory.flushCache(at: table, byteCount: 4096) }
    let word = table | settings.tableBits
    let (installed, found) = Self.atomic(entry).pointee.compareExchange(
      expected: 0, desired: word, ordering: .acquiringAndReleasing)
    guard installed else {
      // Another thread was first.
      memory.releaseTable(at: table, sizeLog2: 12)
      return found
    }
    if Memory.recordsEvents {
      memory.recordEntryWrites(at: physical(entry), count: 1)
      memory.recordTableInstall(table, at: physical(entry))
    }
    if !settings.isCoherent { memory.flushCache(at: physical(entry), byteCount: 8) }
    return word
  }
}

// MARK: - Superpages over what was there

extension VTDPageTable {
  /// Empties the entries that superpages go to (Linux: switch_to_super_page). Whatever was there is invalidated at
  /// once, up to the end of all the new superpages; the tables are released before that, as Linux does it.
  @inlinable
  func makeRoom(_ first: Entry, count: UInt64, page: UInt64, level: Int) {
    let span = Self.span(level)
    let last = page &+ count &* span &- 1
    var start = page
    for index in 0..<Int(truncatingIfNeeded: count) {
      if Self.isPresent(load(first + index)) {
        clearRange(start, start &+ span &- 1)
        releaseTable(at: first + index, level: level)
        memory.synchronizeIOTLB(InvalidationRequest(first: start &<< 12, last: last &<< 12 | 0xfff))
      }
      start &+= span
    }
  }

  /// Clears a range's leaves (Linux: dma_pte_clear_range). From a superpage on, it clears all entries to the end of the table or
  /// range; a table that one of them pointed to is never seen again. A hole makes it skip to where the next entry
  /// but one level above it starts.
  @usableFromInline
  func clearRange(_ start: UInt64, _ last: UInt64) {
    var page = start
    repeat {
      guard let (first, level) = walk(page) else { return }
      if level > 0, !Self.isPresent(load(first)) {
        let next = Self.span(level &+ 1)
        page = (page &+ next) & ~(next &- 1)
        continue
      }
      var entry = first
      repeat {
        let word = load(entry)
        if level > 0, Self.pointsToTable(word) { lost.append((word & Self.addressMask, level - 1)) }
        store(0, entry)
        page &+= Self.span(level)
        entry += 1
      } while page <= last && !Self.startsTable(entry)
      publish(first, until: entry)
    } while page != 0 && page <= last
  }

  /// Unlinks and releases the table that an entry points to, and those below it first (Linux: dma_pte_free_level).
  @usableFromInline
  func releaseTable(at entry: Entry, level: Int) {
    let word = load(entry)
    guard Self.pointsToTable(word) else { return }
    let table = word & Self.addressMask
    if level > 1 {
      for index in 0..<512 { releaseTable(at: self.entry(in: table, index), level: level - 1) }
    }
    store(0, entry)
    publish(entry, until: entry + 1)
    memory.releaseTable(at: table, sizeLog2: 12)
  }
}
