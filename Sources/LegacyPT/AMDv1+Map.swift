// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

extension AMDv1PageTable {
  // Linux calls the driver through pointers; mapPages and unmapPages stay calls here, too.
  @inlinable @inline(never)
  public func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome {
    guard Self.isPage(pageSize), (iova | pa) & (pageSize &- 1) == 0 else {
      // Linux stops with BUG() here.
      memory.recordWarning()
      return MapOutcome(.einval, mapped: 0)
    }
    if protection.isDisjoint(with: [.read, .write]) { return MapOutcome(.einval, mapped: 0) }
    let sizeLog2 = UInt64(truncatingIfNeeded: pageSize.trailingZeroBitCount)
    let words = AMDv1.words(ofSizeLog2: sizeLog2)
    var released = AMDv1TableList()
    var mustFlush = false
    var errno: LinuxErrno?
    var done: UInt64 = 0
    while done < count {
      let offset = done &<< sizeLog2
      guard let entry = allocateEntry(iova &+ offset, sizeLog2: sizeLog2, &mustFlush) else {
        errno = .enomem
        break
      }
      var index = 0
      while index < words {
        clear(entry + index, &released)
        index &+= 1
      }
      if released.head != 0 { mustFlush = true }
      let word = leaf(pa &+ offset, sizeLog2: sizeLog2, isSized: words > 1, protection)
      index = 0
      while index < words {
        entry[index] = word
        index &+= 1
      }
      record(entry, count: words)
      done &+= 1
    }
    if mustFlush { flush(iova, length: count &<< sizeLog2, &released) }
    return MapOutcome(errno, mapped: done &<< sizeLog2)
  }

  @inlinable @inline(__always)
  static func isPage(_ size: UInt64) -> Bool {
    size & (size &- 1) == 0 && size & Bits.mask(51, 12) != 0
  }

  @inlinable @inline(__always)
  func leaf(_ pa: UInt64, sizeLog2: UInt64, isSized: Bool, _ protection: Protection) -> UInt64 {
    var word = pa | encryption
    if isSized {
      // Ones up to the bit below half of the size, which is zero.
      let size: UInt64 = 1 &<< sizeLog2
      word = (word | (size &- 1)) & ~(size &>> 1) & AMDv1.addressMask
      word |= AMDv1.sized &<< AMDv1.nextLevelShift
    }
    word |= AMDv1.present | AMDv1.forceCoherent
    if protection.contains(.read) { word |= AMDv1.readable }
    if protection.contains(.write) { word |= AMDv1.writable }
    return word
  }

  /// Empties a word; the tables below it, if it led to one, are to be released.
  @inlinable @inline(__always)
  func clear(_ word: Words, _ released: inout AMDv1TableList) {
    var old = Self.load(word)
    while true {
      let found = Self.exchange(word, old, 0)
      if found == old { break }
      old = found
    }
    if old & AMDv1.present == 0 { return }
    record(word, count: 1)
    let next = AMDv1.nextLevel(old)
    if next == 0 || next == AMDv1.sized { return }
    addTree(table(old), level: next, to: &released)
  }

  /// Invalidates a mapped range at once, then releases what was replaced in it.
  @inlinable
  func flush(_ first: UInt64, length: UInt64, _ released: inout AMDv1TableList) {
    let last = first &+ length &- 1
    memory.synchronizeIOTLB(
      InvalidationRequest(first: first, last: last < first ? ~0 : last, released: released.count))
    release(&released)
  }

  // MARK: Walk

  /// The first word for a page, with all tables above it; leaves in the way go. Nil when memory is short.
  @inlinable @inline(__always)
  func allocateEntry(_ iova: UInt64, sizeLog2: UInt64, _ mustFlush: inout Bool) -> Words? {
    let last = iova &+ (1 &<< sizeLog2) &- 1
    let end = AMDv1.level(ofSizeLog2: sizeLog2)
    while true {
      let levels = levels.load(ordering: .relaxed)
      if last <= AMDv1.lastAddress(levels: levels), levels &- 1 >= end { break }
      guard grow(toReach: last, leafLevel: end) else { return nil }
    }
    let top = loadTop()
    var level = top.levels &- 1
    var entry = words(of: top.table) + AMDv1.index(iova, level: level)
    while level > end {
      let word = Self.load(entry)
      let next = AMDv1.nextLevel(word)
      if word & AMDv1.present != 0, next == AMDv1.sized {
        clearPage(entry, word)
        mustFlush = true
      } else if word & AMDv1.present == 0 || next == 0 {
        guard installTable(at: entry, replacing: word, level: level, &mustFlush) else { return nil }
      } else {
        // A pointer that skips levels, which this code never writes.
        if next != level { return nil }
        level &-= 1
        entry = words(of: table(word)) + AMDv1.index(iova, level: level)
      }
    }
    return entry
  }

  /// Puts a new root above the present one, unless another thread just did; false when memory is short.
  @inlinable
  func grow(toReach last: UInt64, leafLevel: UInt64) -> Bool {
    guard let table = allocateTable() else { return false }
    lock.lock()
    let levels = self.levels.load(ordering: .relaxed)
    if last <= AMDv1.lastAddress(levels: levels), levels &- 1 >= leafLevel {
      lock.unlock()
      memory.releaseTable(at: table, sizeLog2: 12)
      return true
    }
    let old = root.load(ordering: .relaxed)
    words(of: table).pointee = pointer(to: old, level: levels)
    if Memory.recordsEvents { memory.recordTableInstall(old, at: table) }
    sequence.wrappingAdd(1, ordering: .sequentiallyConsistent)
    root.store(table, ordering: .sequentiallyConsistent)
    self.levels.store(levels &+ 1, ordering: .sequentiallyConsistent)
    sequence.wrappingAdd(1, ordering: .sequentiallyConsistent)
    memory.changeTop(to: table, level: Int(truncatingIfNeeded: levels))
    lock.unlock()
    return true
  }

  /// Empties those words of a page that still are like `word`, one of them.
  @inlinable
  func clearPage(_ entry: Words, _ word: UInt64) {
    let sizeLog2 = AMDv1.statedSizeLog2(word)
    let first = firstWord(entry, sizeLog2: sizeLog2)
    let count = AMDv1.words(ofSizeLog2: sizeLog2)
    for index in 0..<count { _ = Self.exchange(first + index, word, 0) }
    record(first, count: count)
  }

  /// Replaces `word`, which is empty or a leaf, by a pointer to a new table; false when memory is short.
  @inlinable
  func installTable(
    at entry: Words, replacing word: UInt64, level: UInt64, _ mustFlush: inout Bool
  ) -> Bool {
    guard let table = allocateTable() else { return false }
    guard Self.exchange(entry, word, pointer(to: table, level: level)) == word else {
      memory.releaseTable(at: table, sizeLog2: 12)
      return true
    }
    if Memory.recordsEvents { memory.recordTableInstall(table, at: physical(entry)) }
    if word & AMDv1.present != 0 { mustFlush = true }
    return true
  }

  /// The word that an IOVA leads to, empty or a leaf, and the size that it maps; nil above the root's span and below an
  /// empty word of an upper level. The size then is what may be skipped, 0 for above the span.
  @inlinable @inline(__always)
  func walk(_ iova: UInt64, _ sizeLog2: inout UInt64) -> Words? {
    sizeLog2 = 0
    if iova > AMDv1.lastAddress(levels: levels.load(ordering: .relaxed)) { return nil }
    let top = loadTop()
    var level = top.levels &- 1
    var entry = words(of: top.table) + AMDv1.index(iova, level: level)
    sizeLog2 = AMDv1.entryLog2(level)
    while level > 0 {
      let word = Self.load(entry)
      if word & AMDv1.present == 0 { return nil }
      let next = AMDv1.nextLevel(word)
      if next == AMDv1.sized || next == 0 { break }
      if next != level { return nil }
      level &-= 1
      entry = words(of: table(word)) + AMDv1.index(iova, level: level)
      sizeLog2 = AMDv1.entryLog2(level)
    }
    return entry
  }

  /// As `walk`, but the first word of a page that has several.
  @inlinable @inline(__always)
  func fetchEntry(_ iova: UInt64, _ sizeLog2: inout UInt64) -> Words? {
    guard let entry = walk(iova, &sizeLog2) else { return nil }
    let word = Self.load(entry)
    guard AMDv1.nextLevel(word) == AMDv1.sized else { return entry }
    sizeLog2 = AMDv1.statedSizeLog2(word)
    return firstWord(entry, sizeLog2: sizeLog2)
  }

  // MARK: Unmap

  @inlinable @inline(never)
  public func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64
  {
    guard Self.isPage(pageSize) else {
      // Linux stops with BUG() here.
      memory.recordWarning()
      return 0
    }
    let length = count &<< UInt64(truncatingIfNeeded: pageSize.trailingZeroBitCount)
    var unmapped: UInt64 = 0
    var next = iova
    var sizeLog2: UInt64 = 0
    while unmapped < length {
      guard let entry = fetchEntry(next, &sizeLog2) else { break }
      let words = AMDv1.words(ofSizeLog2: sizeLog2)
      var index = 0
      while index < words {
        entry[index] = 0
        index &+= 1
      }
      record(entry, count: words)
      let size: UInt64 = 1 &<< sizeLog2
      next = (next & ~(size &- 1)) &+ size
      unmapped &+= size
    }
    if unmapped > 0 { gather.add(iova: iova, length: unmapped) }
    return unmapped
  }

  @inlinable
  public func synchronize(_ gather: inout LegacyGather) {
    guard !gather.isEmpty else { return }
    memory.synchronizeIOTLB(InvalidationRequest(first: gather.first, last: gather.last))
    gather = LegacyGather()
  }

  // MARK: Read

  public func translate(_ iova: UInt64) -> UInt64? {
    var sizeLog2: UInt64 = 0
    guard let entry = fetchEntry(iova, &sizeLog2) else { return nil }
    let word = Self.load(entry)
    guard word & AMDv1.present != 0 else { return nil }
    let offsetMask: UInt64 = (1 &<< sizeLog2) &- 1
    return table(word) & ~offsetMask | iova & offsetMask
  }

  /// The space has 64 bits, so no address is out of range.
  public func setDirty(_ iova: UInt64) -> LinuxErrno? {
    var sizeLog2: UInt64 = 0
    guard let entry = walk(iova, &sizeLog2), Self.load(entry) & AMDv1.present != 0 else { return .enoent }
    Self.atomic(entry).pointee.bitwiseOr(AMDv1.dirty, ordering: .relaxed)
    record(entry, count: 1)
    return nil
  }

  /// From each leaf the driver goes on by the leaf's size: a range that starts inside of a leaf is reported from there on.
  public func readDirty(
    iova: UInt64, length: UInt64, clear: Bool, gather: inout LegacyGather
  ) throws(LinuxErrno) -> [DirtyRange] {
    let end = iova &+ length &- 1
    var ranges: [DirtyRange] = []
    var next = iova
    repeat {
      var sizeLog2: UInt64 = 0
      let entry = fetchEntry(next, &sizeLog2)
      // Above the root's span Linux goes on by 4 KiB and finds nothing any more.
      if sizeLog2 == 0 { break }
      let size: UInt64 = 1 &<< sizeLog2
      if let entry, Self.load(entry) & AMDv1.present != 0, isDirty(entry, sizeLog2: sizeLog2, clear: clear) {
        ranges.append(DirtyRange(iova: next, length: size))
        if clear { gather.add(iova: next, length: size) }
      }
      let (following, overflow) = next.addingReportingOverflow(size)
      // Linux would start again at 0.
      if overflow { break }
      next = following
    } while next < end
    return ranges
  }

  /// Whether any word of a page is dirty; with `clear`, none is afterwards.
  private func isDirty(_ entry: Words, sizeLog2: UInt64, clear: Bool) -> Bool {
    var isDirty = false
    for index in 0..<AMDv1.words(ofSizeLog2: sizeLog2) {
      let word = entry + index
      if !clear, isDirty { break }
      guard Self.load(word) & AMDv1.dirty != 0 else { continue }
      isDirty = true
      guard clear else { continue }
      Self.atomic(word).pointee.bitwiseAnd(~AMDv1.dirty, ordering: .relaxed)
      record(word, count: 1)
    }
    return isDirty
  }
}
