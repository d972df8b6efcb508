// SPDX-License-Identifier: GPL-2.0-only

import PageTable

// MARK: - Life of a table

extension EventChecker {
  /// The table that holds all of a range.
  private func table(holding physical: UInt64, _ count: UInt64) -> UInt64? {
    guard let owner = owners[physical & ~0xfff], tables[owner]?.contains(physical, count) == true else {
      return nil
    }
    return owner
  }

  /// The table that holds the entry at `physical`; the smallest entries have 4 bytes.
  private func table(ofEntry physical: UInt64) -> UInt64? { table(holding: physical, 4) }

  private func pages(of table: TrackedTable) -> some Sequence<UInt64> {
    (0..<max(1, table.bytes / 4096)).lazy.map { (table.physical & ~0xfff) &+ $0 * 4096 }
  }

  mutating func allocate(_ physical: UInt64, _ sizeLog2: Int, _ logged: LoggedEvent) {
    guard SimulatedMachine.tableSizes.contains(sizeLog2) else { return }
    let table = TrackedTable(
      physical: physical, bytes: 1 << UInt64(sizeLog2), allocation: logged, isIncoherent: isIncoherent)
    tables[physical] = table
    for page in pages(of: table) { owners[page] = physical }
    if isIncoherent { waiting.insert(physical) }
  }

  mutating func release(_ physical: UInt64, _ logged: LoggedEvent) {
    guard let table = tables[physical] else {
      return report(
        .onlyAllocatedMemory, "\(Numbers.hex(physical)) is released, no allocated table", [logged])
    }
    if !isDetached { checkRelease(of: table, logged) }
    for (entry, link) in table.links { unlink(link.child, at: entry, logged) }
    for entry in table.parents {
      if let parent = self.table(ofEntry: entry) { tables[parent]?.links[entry] = nil }
    }
    tables[physical] = nil
    waiting.remove(physical)
    for page in pages(of: table) { owners[page] = nil }
  }

  private mutating func checkRelease(of table: TrackedTable, _ logged: LoggedEvent) {
    let name = Numbers.hex(table.physical)
    if table.physical == top {
      return report(.keepTop, "the top table \(name) is released", [table.allocation, logged])
    }
    if table.isReachable {
      let entries = table.parents.sorted().map(Numbers.hex).joined(separator: ", ")
      return report(
        .unlinkBeforeRelease, "the table \(name) is released while \(entries) points to it",
        [table.allocation, logged])
    }
    guard let lostSight = table.lostSight else { return }
    if lastSync.map({ $0.position < lostSight.position }) ?? true {
      report(
        .syncBeforeRelease, "no IOTLB sync since the table \(name) was unlinked, and it is released",
        [lostSight, logged])
    }
    if let left = announced {
      if left == 0 {
        report(
          .announcedReleases, "the table \(name) is one more than the last sync announced",
          [lastSync, logged].compactMap { $0 })
      }
      announced = max(0, left - 1)
    }
  }

  mutating func changeTop(to physical: UInt64, _ logged: LoggedEvent) {
    guard let table = tables[physical] else {
      return report(
        .onlyAllocatedMemory, "\(Numbers.hex(physical)) becomes the top, no allocated table", [logged])
    }
    if let offset = table.unflushed.firstOffset {
      report(
        .flushBeforeTopChange,
        "the table \(Numbers.hex(physical)) becomes the top before offset \(Numbers.hex(offset)) is flushed",
        [table.lastWrite, logged])
    }
    let old = top
    top = physical
    isDetached = false
    reach(physical)
    if let old, old != physical { loseSight(of: old, logged) }
  }
}

// MARK: - Links

extension EventChecker {
  mutating func install(_ child: UInt64, at entry: UInt64, value: UInt64, _ logged: LoggedEvent) {
    guard let parent = table(ofEntry: entry), let table = tables[child] else {
      return report(
        .onlyAllocatedMemory,
        "an install of \(Numbers.hex(child)) at \(Numbers.hex(entry)) uses memory of no table",
        [logged])
    }
    if top == nil {
      report(.completeLog, "a table is installed before a top is announced", [logged])
    }
    if isIncoherent, !table.isReachable, operations.count < 2, let offset = table.unflushed.firstOffset {
      report(
        .flushBeforeInstall,
        "the table \(Numbers.hex(child)) is installed before offset \(Numbers.hex(offset)) is flushed",
        [table.lastWrite, logged])
    }
    if let lostSight = table.lostSight, !isDetached,
      lastSync.map({ $0.position < lostSight.position }) ?? true
    {
      report(
        .syncBeforeReuse,
        "no IOTLB sync since the table \(Numbers.hex(child)) was unlinked, and it is used again",
        [lostSight, logged])
    }
    if let old = tables[parent]?.links[entry], old.child != child { unlink(old.child, at: entry, logged) }
    markUnflushed(parent, entry, 4, clears: false, logged)
    tables[parent]?.links[entry] = TrackedTable.Link(child: child, value: value)
    tables[child]?.parents.insert(entry)
    if tables[parent]?.isReachable == true { reach(child) }
  }

  /// The entry no longer points to the child.
  private mutating func unlink(_ child: UInt64, at entry: UInt64, _ logged: LoggedEvent) {
    if let parent = table(ofEntry: entry) { tables[parent]?.links[entry] = nil }
    tables[child]?.parents.remove(entry)
    loseSight(of: child, logged)
  }

  /// A walk leads to the table now, and on to those below it.
  private mutating func reach(_ physical: UInt64) {
    guard let table = tables[physical], !table.isReachable else { return }
    tables[physical]?.isReachable = true
    tables[physical]?.lostSight = nil
    for link in table.links.values { reach(link.child) }
  }

  /// A way to the table is gone; when it was the last, so are those through it.
  private mutating func loseSight(of physical: UInt64, _ logged: LoggedEvent) {
    guard let table = tables[physical], table.isReachable, physical != top else { return }
    let isReachable = table.parents.contains { entry in
      self.table(ofEntry: entry).map { tables[$0]?.isReachable == true } ?? false
    }
    guard !isReachable else { return }
    tables[physical]?.isReachable = false
    tables[physical]?.lostSight = logged
    for link in table.links.values { loseSight(of: link.child, logged) }
  }
}

// MARK: - Words

extension EventChecker {
  mutating func write(
    _ at: UInt64, count: Int, value: UInt64, step: UInt64, wordBytes: UInt64, _ logged: LoggedEvent
  ) {
    let words = UInt64(clamping: count)
    guard words > 0, words <= 1 << 20, wordBytes == 4 || wordBytes == 8,
      let table = table(holding: at, words * wordBytes)
    else {
      return report(
        .onlyAllocatedMemory,
        "a write of \(count) entries at \(Numbers.hex(at)) is not within one allocated table",
        [logged])
    }
    var clears = value == 0 && step == 0
    for (entry, link) in links(of: table, from: at, words, wordBytes) {
      let now = (value &+ (entry &- at) / wordBytes &* step) & Bits.lowMask(Int(wordBytes) * 8)
      if link.survives(now) {
        tables[table]?.links[entry]?.value = now
      } else {
        unlink(link.child, at: entry, logged)
        clears = true
      }
    }
    if operations.values.contains(where: \.operation.writesNeedNoFlush) { return }
    markUnflushed(table, at, words * wordBytes, clears: clears, logged)
  }

  /// The pointers among `count` words from `at` on.
  private func links(
    of table: UInt64, from at: UInt64, _ count: UInt64, _ wordBytes: UInt64
  ) -> [(UInt64, TrackedTable.Link)] {
    guard let links = tables[table]?.links, !links.isEmpty else { return [] }
    if count > UInt64(links.count) {
      return links.filter { $0.key >= at && ($0.key &- at) / wordBytes < count }.map { ($0.key, $0.value) }
    }
    return (0..<count).compactMap { index in
      let entry = at &+ index * wordBytes
      return links[entry].map { (entry, $0) }
    }
  }

  private mutating func markUnflushed(
    _ table: UInt64, _ at: UInt64, _ byteCount: UInt64, clears: Bool, _ logged: LoggedEvent
  ) {
    guard isIncoherent else { return }
    let offsets = (at &- table)..<(at &- table &+ byteCount)
    tables[table]?.unflushed.insert(offsets)
    if clears { tables[table]?.unflushedClears.insert(offsets) }
    tables[table]?.lastWrite = logged
    waiting.insert(table)
  }

  mutating func flush(_ at: UInt64, _ byteCount: Int, _ logged: LoggedEvent) {
    let bytes = UInt64(clamping: byteCount)
    guard bytes > 0, let table = table(holding: at, bytes) else {
      return report(
        .onlyAllocatedMemory,
        "a flush of \(byteCount) bytes at \(Numbers.hex(at)) is not within one allocated table",
        [logged])
    }
    let offsets = (at &- table)..<(at &- table &+ bytes)
    tables[table]?.unflushed.remove(offsets)
    tables[table]?.unflushedClears.remove(offsets)
    if tables[table]?.unflushed.isEmpty == true { waiting.remove(table) }
  }
}
