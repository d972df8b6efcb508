// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ARMv7sTable {
  @inlinable
  public func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome {
    guard iova &>> inputBits == 0, pa &>> outputBits == 0 else {
      memory.recordWarning()
      return MapOutcome(.erange, mapped: 0)
    }
    guard count != 0, !protection.isDisjoint(with: [.read, .write]) else {
      return MapOutcome(.einval, mapped: 0)
    }
    var mapped: UInt64 = 0
    // Each page walks from the root; only the first address was checked against its width.
    for _ in 0..<count {
      if let errno = mapPage(
        iova: iova &+ mapped, pa: pa &+ mapped, size: pageSize, protection: protection)
      {
        return MapOutcome(errno, mapped: mapped)
      }
      mapped &+= pageSize
    }
    return MapOutcome(nil, mapped: mapped)
  }

  /// Maps one page, of whatever size.
  @inlinable @inline(__always)
  func mapPage(iova: UInt64, pa: UInt64, size: UInt64, protection: Protection) -> LinuxErrno? {
    let word = root + index(iova, level: 1)
    let sections = Self.entries(of: size, level: 1)
    if sections != 0 {
      return mapLeaf(word, level: 1, iova: iova, pa: pa, entries: sections, protection: protection)
    }
    var entry = word.pointee
    if entry == 0 {
      guard let added = addTable(at: word) else { return .enomem }
      entry = added
    } else {
      // Another thread may have installed the table and not yet flushed the entry.
      flush(word, count: 1)
    }
    guard ARMv7sEncoding.isTable(entry, level: 1) else { return refuse(.eexist) }
    let pages = Self.entries(of: size, level: 0)
    guard pages != 0 else { return refuse(.einval) }
    let page = words(of: encoding.address(entry, level: 1)) + index(iova, level: 0)
    return mapLeaf(page, level: 0, iova: iova, pa: pa, entries: pages, protection: protection)
  }

  /// Fills the entries of one leaf, if none of them is a leaf; tables in their place go.
  @inlinable @inline(__always)
  func mapLeaf(
    _ word: Words, level: Int, iova: UInt64, pa: UInt64, entries: Int, protection: Protection
  ) -> LinuxErrno? {
    guard holds(entries, index: index(iova, level: level), level: level) else { return .einval }
    for index in 0..<entries where word[index] != 0 {
      let old = word[index]
      guard ARMv7sEncoding.isTable(old, level: level) else { return refuse(.eexist) }
      fill(word + index, count: 1, with: 0)
      dropTable(old, iova: iova &+ UInt64(truncatingIfNeeded: index) &* Self.entrySize(level: level))
    }
    var entry = encoding.leaf(protection, level: level)
    if entries > 1 { entry = ARMv7sEncoding.contiguous(entry, level: level) }
    fill(word, count: entries, with: entry | encoding.addressField(pa, level: level))
    return nil
  }

  @usableFromInline @inline(never)
  func refuse(_ errno: LinuxErrno) -> LinuxErrno? {
    memory.recordWarning()
    return errno
  }
}
