// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ARMv7sTable {
  @inlinable
  public func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64
  {
    guard iova &>> inputBits == 0 else { return warn() }
    var unmapped: UInt64 = 0
    for _ in 0..<count {
      guard unmapPage(iova: iova &+ unmapped, size: pageSize, gather: &gather) else { break }
      unmapped &+= pageSize
    }
    return unmapped
  }

  /// Unmaps one page, of whatever size; returns whether it did.
  @inlinable @inline(__always)
  func unmapPage(iova: UInt64, size: UInt64, gather: inout LegacyGather) -> Bool {
    let word = root + index(iova, level: 1)
    let sections = Self.entries(of: size, level: 1)
    guard isMapped(word, iova: iova, entries: sections, level: 1) else { return false }
    var entry = word.pointee
    if sections <= 1, ARMv7sEncoding.isContiguous(entry, level: 1) {
      guard splitsBlocks else { return refuse() }
      entry = splitContiguous(word, level: 1, iova: iova)
    }
    if sections != 0 {
      clearSections(word, count: sections, iova: iova, gather: &gather)
      return true
    }
    guard ARMv7sEncoding.isTable(entry, level: 1) else {
      guard splitsBlocks else { return refuse() }
      return splitSection(word, entry, iova: iova, size: size, gather: &gather)
    }
    let table = words(of: encoding.address(entry, level: 1))
    return unmapInTable(table, iova: iova, size: size, gather: &gather)
  }

  /// The same in a table of level 0.
  @inlinable @inline(__always)
  func unmapInTable(_ table: Words, iova: UInt64, size: UInt64, gather: inout LegacyGather) -> Bool {
    let word = table + index(iova, level: 0)
    let pages = Self.entries(of: size, level: 0)
    guard isMapped(word, iova: iova, entries: pages, level: 0) else { return false }
    if pages <= 1, ARMv7sEncoding.isContiguous(word.pointee, level: 0) {
      guard splitsBlocks else { return refuse() }
      _ = splitContiguous(word, level: 0, iova: iova)
    }
    guard pages != 0 else { return refuse() }
    fill(word, count: pages, with: 0)
    gatherPages(iova: iova, size: Self.entrySize(level: 0), count: pages, gather: &gather)
    return true
  }

  /// Whether each entry of a leaf maps something; at least one is looked at.
  @inlinable @inline(__always)
  func isMapped(_ word: Words, iova: UInt64, entries: Int, level: Int) -> Bool {
    guard holds(entries, index: index(iova, level: level), level: level) else { return false }
    for index in 0..<max(1, entries) where !ARMv7sEncoding.isValid(word[index]) { return refuse() }
    return true
  }

  /// Clears entries of the root; tables among them go at once.
  @inlinable @inline(__always)
  func clearSections(_ word: Words, count: Int, iova: UInt64, gather: inout LegacyGather) {
    // All are cleared before the first is invalidated.
    var old = SIMD16<UInt32>()
    for index in 0..<min(count, old.scalarCount) { old[index] = word[index] }
    fill(word, count: count, with: 0)
    var section = iova
    for index in 0..<min(count, old.scalarCount) {
      if ARMv7sEncoding.isTable(old[index], level: 1) {
        dropTable(old[index], iova: section)
      } else {
        gatherPage(iova: section, size: Self.entrySize(level: 1), gather: &gather)
      }
      section &+= Self.entrySize(level: 1)
    }
  }

  /// Linux 6.12: makes single entries of the contiguous ones around `word`; returns the first of them, not the one that
  /// `word` holds.
  @inlinable @inline(never)
  func splitContiguous(_ word: Words, level: Int, iova: UInt64) -> UInt32 {
    let count = ARMv7sEncoding.contiguousEntries
    let size = Self.entrySize(level: level)
    let entry = ARMv7sEncoding.single(word.pointee, level: level)
    let first = word - index(iova, level: level) & (count &- 1)
    for index in 0..<count {
      first[index] = entry &+ UInt32(truncatingIfNeeded: index) &* UInt32(truncatingIfNeeded: size)
    }
    publish(first, count: count)
    // From the address unmapped on, although what changed starts before it.
    synchronizeWalks(iova: iova, size: size &* UInt64(count), released: 0)
    return entry
  }

  /// Linux 6.12: puts a table in the place of a section, with the page to unmap left out. The pages lose the section's
  /// output address: they start at 0.
  @inlinable @inline(never)
  func splitSection(
    _ word: Words, _ section: UInt32, iova: UInt64, size: UInt64, gather: inout LegacyGather
  ) -> Bool {
    let pages = Self.entries(of: size, level: 0)
    guard pages == 1 || pages == ARMv7sEncoding.contiguousEntries, let table = allocate() else {
      return false
    }
    var page = encoding.leaf(ARMv7sEncoding.protection(ofSection: section), level: 0)
    if pages > 1 { page = ARMv7sEncoding.contiguous(page, level: 0) }
    let hole = index(iova, level: 0)
    for index in stride(from: 0, to: Self.tableWords, by: pages) {
      if index != hole { fill(words(of: table) + index, count: pages, with: page) }
      page &+= UInt32(truncatingIfNeeded: size)
    }
    let found = install(table, at: word, replacing: section)
    if found == section {
      gatherPage(iova: iova, size: size, gather: &gather)
      return true
    }
    // Another thread unmaps another part; or the section is one of a supersection that was split, but not its first.
    releaseTable(table)
    guard ARMv7sEncoding.isTable(found, level: 1) else { return false }
    return unmapInTable(
      words(of: encoding.address(found, level: 1)), iova: iova, size: size, gather: &gather)
  }

  @usableFromInline @inline(never)
  func warn() -> UInt64 {
    memory.recordWarning()
    return 0
  }

  @usableFromInline @inline(never)
  func refuse() -> Bool {
    memory.recordWarning()
    return false
  }
}
