// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

/// Logs of a page table with its top at `top` and a table `child` that entry 1 of the top points to.
private enum Log {
  static let top: UInt64 = 0x1_0000_0000
  static let child: UInt64 = 0x1_0000_1000
  static let grandchild: UInt64 = 0x1_0000_2000
  static let entry = top + 8
  static let childEntry = child + 0xff8

  static let unmap = PageTable.Operation.unmap(iova: 0x1000, length: 0x2000)

  static func allocate(_ table: UInt64) -> [MemoryEvent] {
    [.allocate(table, sizeLog2: 12), .cacheFlush(at: table, byteCount: 4096)]
  }
  static func install(_ table: UInt64, at entry: UInt64) -> [MemoryEvent] {
    write(entry, table | 1) + [
      .tableInstall(child: table, entry: entry, value: table | 1), .cacheFlush(at: entry, byteCount: 8),
    ]
  }
  static func write(_ at: UInt64, _ value: UInt64) -> [MemoryEvent] {
    [.entryWrites(at: at, count: 1, value: value, step: 0)]
  }
  static func clear(_ entry: UInt64) -> [MemoryEvent] {
    write(entry, 0) + [.cacheFlush(at: entry, byteCount: 8)]
  }
  static func release(_ table: UInt64) -> [MemoryEvent] { [.release(table, sizeLog2: 12)] }
  static func sync(_ first: UInt64 = 0, _ last: UInt64 = 0x1f_ffff, released: Int = 0) -> [MemoryEvent] {
    [.sync(InvalidationRequest(first: first, last: last, released: released))]
  }

  /// An empty page table.
  static let empty = allocate(top) + [.topChange(top, level: 3)]
  /// With the child, and the grandchild below it.
  static let linked =
    empty + allocate(child) + install(child, at: entry) + allocate(grandchild)
    + install(grandchild, at: childEntry)
}

/// The rules that a log breaks, in order.
private func broken(_ events: [MemoryEvent], incoherent: Bool = true) -> [EventRule] {
  EventChecker.check(events, incoherent: incoherent).map(\.rule)
}

@Suite struct EventCheckerLifeTests {
  @Test func anOrderlyLifeBreaksNoRule() {
    let life =
      Log.linked + [.begin(id: 1, Log.unmap)] + Log.clear(Log.entry) + Log.sync(released: 2)
      + Log.release(Log.grandchild) + Log.release(Log.child) + [.end(id: 1, .unmapped(0x2000))]
      + Log.allocate(Log.child) + Log.install(Log.child, at: Log.entry) + [.detach] + Log.release(Log.top)
      + Log.release(Log.child)
    #expect(EventChecker.check(life, incoherent: true) == [])
    #expect(EventChecker.check(life, incoherent: false) == [])
  }

  @Test func aTableIsNotReleasedBeforeTheSync() {
    let events = Log.linked + Log.clear(Log.entry)
    for table in [Log.child, Log.grandchild] {
      #expect(broken(events + Log.release(table)) == [.syncBeforeRelease])
      #expect(
        broken(Log.linked + Log.sync() + Log.clear(Log.entry) + Log.release(table)) == [.syncBeforeRelease])
      #expect(broken(events + Log.sync() + Log.release(table)) == [])
    }
  }

  @Test func violationsNameTheirEvents() throws {
    let events = Log.linked + Log.clear(Log.entry) + Log.release(Log.child)
    let violation = try #require(EventChecker.check(events, incoherent: false).first)
    #expect(violation.events.map(\.event) == [Log.clear(Log.entry)[0], .release(Log.child, sizeLog2: 12)])
    #expect(violation.events.map(\.position) == [events.count - 3, events.count - 1])
    #expect(violation.description.hasPrefix("syncBeforeRelease: no IOTLB sync since the table 0x100001000"))
  }

  @Test func aTableIsNotUsedAgainBeforeTheSync() {
    let events = Log.linked + Log.clear(Log.entry)
    #expect(broken(events + Log.install(Log.child, at: Log.top + 16)) == [.syncBeforeReuse])
    #expect(broken(events + Log.sync() + Log.install(Log.child, at: Log.top + 16)) == [])
  }

  @Test func aLinkedTableIsNotReleased() {
    #expect(broken(Log.linked + Log.sync() + Log.release(Log.child)) == [.unlinkBeforeRelease])
    #expect(broken(Log.linked + Log.sync() + Log.release(Log.grandchild)) == [.unlinkBeforeRelease])
    let secondLink = Log.linked + Log.install(Log.child, at: Log.top + 16) + Log.clear(Log.entry) + Log.sync()
    #expect(broken(secondLink + Log.release(Log.child)) == [.unlinkBeforeRelease])
  }

  @Test func anotherEntryUnlinksASoftwareBitDoesNot() {
    let marked = Log.linked + Log.write(Log.entry, Log.child | 0x801) + Log.sync()
    #expect(broken(marked + Log.release(Log.child)) == [.unlinkBeforeRelease])
    let leaf = Log.linked + Log.write(Log.entry, 0x20_0083) + Log.sync()
    #expect(broken(leaf + Log.release(Log.child), incoherent: false) == [])
    let run = MemoryEvent.entryWrites(at: Log.top, count: 512, value: 0x83, step: 0x20_0000)
    #expect(broken(Log.linked + [run] + Log.sync() + Log.release(Log.child), incoherent: false) == [])
    #expect(broken(Log.linked + [run] + Log.release(Log.child), incoherent: false) == [.syncBeforeRelease])
    let other = Log.allocate(0x1_0000_3000)
    let replaced =
      Log.linked + other + [.tableInstall(child: 0x1_0000_3000, entry: Log.entry, value: 0x1_0000_3001)]
    #expect(broken(replaced + Log.release(Log.child), incoherent: false) == [.syncBeforeRelease])
  }

  @Test func tablesThatWereNeverReachableNeedNoSync() {
    #expect(broken(Log.empty + Log.allocate(Log.child) + Log.release(Log.child)) == [])
    // A new top above the old one that lost a race.
    let raced =
      Log.empty + Log.allocate(Log.child) + Log.install(Log.top, at: Log.child) + Log.release(Log.child)
    #expect(broken(raced) == [])
    #expect(broken(raced + Log.release(Log.top)) == [.keepTop])
  }

  @Test func theTopIsNotReleased() {
    #expect(broken(Log.empty + Log.sync() + Log.release(Log.top)) == [.keepTop])
    #expect(broken(Log.empty + [.detach] + Log.release(Log.top)) == [])
  }

  @Test func aTopThatGrowsStaysReachable() {
    let grown =
      Log.linked + Log.allocate(0x1_0000_3000) + Log.install(Log.top, at: 0x1_0000_3000)
      + [.topChange(0x1_0000_3000, level: 4)]
    #expect(broken(grown) == [])
    #expect(broken(grown + Log.sync() + Log.release(Log.top)) == [.unlinkBeforeRelease])
    let replaced = Log.linked + Log.allocate(0x1_0000_3000) + [.topChange(0x1_0000_3000, level: 3)]
    #expect(broken(replaced + Log.release(Log.top)) == [.syncBeforeRelease])
    #expect(broken(replaced + Log.sync() + Log.release(Log.top) + Log.release(Log.child)) == [])
  }

  @Test func noMoreTablesAreReleasedThanAnnounced() {
    func events(_ announced: Int) -> [MemoryEvent] {
      Log.linked + [.begin(id: 1, Log.unmap)] + Log.clear(Log.entry) + Log.sync(released: announced)
        + Log.release(Log.child) + Log.release(Log.grandchild) + [.end(id: 1, .unmapped(0))]
    }
    #expect(broken(events(0)) == [.announcedReleases, .announcedReleases])
    #expect(broken(events(1)) == [.announcedReleases])
    #expect(broken(events(2)) == [] && broken(events(3)) == [])
  }

  @Test func releasedMemoryIsNotTouched() {
    let released = Log.linked + Log.clear(Log.entry) + Log.sync() + Log.release(Log.child)
    let touches: [MemoryEvent] = [
      .entryWrites(at: Log.child + 8, count: 1, value: 1, step: 0),
      .entryWrites(at: Log.top + 4088, count: 2, value: 1, step: 0),
      .entryWrites(at: Log.top, count: -1, value: 1, step: 0),
      .cacheFlush(at: Log.child, byteCount: 64), .cacheFlush(at: Log.top, byteCount: 8192),
      .cacheFlush(at: .max, byteCount: .max),
      .tableInstall(child: Log.child, entry: Log.entry, value: 1),
      .tableInstall(child: Log.top, entry: Log.child, value: 1),
      .topChange(Log.child, level: 2), .release(Log.child, sizeLog2: 12), .release(Log.top + 8, sizeLog2: 12),
    ]
    for touch in touches {
      #expect(broken(released + [touch]) == [.onlyAllocatedMemory], "\(touch)")
    }
    let small: [MemoryEvent] = [
      .allocate(0x1_0000_5000, sizeLog2: 6), .cacheFlush(at: 0x1_0000_5000, byteCount: 64),
    ]
    #expect(broken(small + [.cacheFlush(at: 0x1_0000_5000, byteCount: 65)]) == [.onlyAllocatedMemory])
  }

  @Test func misuseAndLossAreViolations() {
    let misuse = MachineViolation(kind: .useAfterFree, physical: Log.child, value: 1)
    #expect(broken([.misuse(misuse)]) == [.noMisuse])
    #expect(broken([.lost(4)]) == [.completeLog])
    let unannounced = Log.allocate(Log.top) + Log.allocate(Log.child) + Log.install(Log.child, at: Log.entry)
    #expect(broken(unannounced) == [.completeLog])
  }
}

@Suite struct EventCheckerFlushTests {
  @Test func aTableIsFlushedBeforeItIsInstalled() {
    let fresh = Log.empty + [.allocate(Log.child, sizeLog2: 12)]
    let partly = fresh + [.cacheFlush(at: Log.child, byteCount: 4032)]
    let written = fresh + [.cacheFlush(at: Log.child, byteCount: 4096)] + Log.write(Log.child + 80, 1)
    for events in [fresh, partly, written] {
      #expect(broken(events + Log.install(Log.child, at: Log.entry)) == [.flushBeforeInstall])
      #expect(broken(events + Log.install(Log.child, at: Log.entry), incoherent: false) == [])
      let flushed = events + [.cacheFlush(at: Log.child, byteCount: 4096)]
      #expect(broken(flushed + Log.install(Log.child, at: Log.entry)) == [])
    }
  }

  @Test func aTopIsFlushedBeforeItIsUsed() {
    let events: [MemoryEvent] = [.allocate(Log.top, sizeLog2: 13), .cacheFlush(at: Log.top, byteCount: 4096)]
    #expect(broken(events + [.topChange(Log.top, level: 3)]) == [.flushBeforeTopChange])
    #expect(broken(events + [.topChange(Log.top, level: 3)], incoherent: false) == [])
    let flushed = events + [.cacheFlush(at: Log.top + 4096, byteCount: 4096)]
    #expect(broken(flushed + [.topChange(Log.top, level: 3)]) == [])
  }

  @Test func writesAreFlushedByTheEndOfTheOperation() {
    let map = PageTable.Operation.map(iova: 0, pa: 0, length: 0x20_0000, protection: [.read])
    let run = MemoryEvent.entryWrites(at: Log.child, count: 512, value: 1, step: 4096)
    func events(_ flush: [MemoryEvent]) -> [MemoryEvent] {
      Log.empty + Log.allocate(Log.child) + Log.install(Log.child, at: Log.entry)
        + [.begin(id: 1, map), run] + flush + [.end(id: 1, .ok)]
    }
    #expect(broken(events([])) == [.flushByEndOfOperation])
    #expect(broken(events([.cacheFlush(at: Log.child, byteCount: 4032)])) == [.flushByEndOfOperation])
    #expect(broken(events([.cacheFlush(at: Log.child + 64, byteCount: 4032)])) == [.flushByEndOfOperation])
    #expect(broken(events([.cacheFlush(at: Log.child, byteCount: 4033)])) == [])
    #expect(broken(events([]), incoherent: false) == [])
  }

  @Test func anInstallIsAWriteToo() {
    let map = PageTable.Operation.map(iova: 0, pa: 0, length: 4096, protection: [.read])
    let install = MemoryEvent.tableInstall(child: Log.child, entry: Log.entry, value: Log.child | 1)
    let events = Log.empty + [.begin(id: 1, map)] + Log.allocate(Log.child) + [install]
    #expect(broken(events + [.end(id: 1, .ok)]) == [.flushByEndOfOperation])
    #expect(broken(events + [.cacheFlush(at: Log.entry, byteCount: 8), .end(id: 1, .ok)]) == [])
  }

  @Test func dirtyStateNeedsNoFlush() {
    let write = Log.write(Log.top, 0x201)
    let dirty = PageTable.Operation.dirty(iova: 0, length: 4096, clear: true)
    #expect(broken(Log.empty + [.begin(id: 1, dirty)] + write + [.end(id: 1, .dirty([]))]) == [])
    #expect(broken(Log.empty + [.begin(id: 1, .setDirty(iova: 0))] + write + [.end(id: 1, .ok)]) == [])
    #expect(
      broken(Log.empty + [.begin(id: 1, .phys(iova: 0))] + write + [.end(id: 1, .physical(0))])
        == [.flushByEndOfOperation])
  }

  @Test func clearedEntriesAreFlushedBeforeTheSync() {
    let cleared = Log.linked + Log.write(Log.entry, 0)
    let flush = MemoryEvent.cacheFlush(at: Log.entry, byteCount: 8)
    #expect(broken(cleared + Log.sync() + [flush] + Log.release(Log.child)) == [.flushBeforeSync])
    #expect(broken(cleared + [flush] + Log.sync() + Log.release(Log.child)) == [])
    let replaced = Log.linked + Log.write(Log.entry, 0x20_0083)
    #expect(broken(replaced + Log.sync()) == [.flushBeforeSync])
    #expect(broken(cleared + Log.sync(), incoherent: false) == [])
  }

  @Test func concurrentOperationsWaitForOneAnother() {
    let events =
      Log.linked + [.begin(id: 1, .phys(iova: 0)), .begin(id: 2, .phys(iova: 1))]
      + Log.write(Log.childEntry - 8, 1)
      + [.end(id: 1, .physical(nil))]
    #expect(broken(events) == [])
    #expect(broken(events + [.end(id: 2, .physical(nil))]) == [.flushByEndOfOperation])
  }
}

@Suite struct EventCheckerSyncTests {
  private func unmap(
    _ syncs: [MemoryEvent], removed: UInt64 = 0x2000, _ operation: PageTable.Operation = Log.unmap
  )
    -> [EventRule]
  {
    broken(Log.empty + [.begin(id: 7, operation)] + syncs + [.end(id: 7, .unmapped(removed))])
  }

  @Test func whatAnUnmapRemovedIsSynced() {
    #expect(unmap([]) == [.unmapIsSynced])
    #expect(unmap(Log.sync(0x1000, 0x2fff)) == [])
    #expect(unmap(Log.sync(0x1001, 0x2fff)) == [.unmapIsSynced])
    #expect(unmap(Log.sync(0x1000, 0x2ffe)) == [.unmapIsSynced])
    #expect(unmap(Log.sync(0x2000, 0x2fff) + Log.sync(0x0, 0x1fff)) == [])
    #expect(unmap(Log.sync(0x2001, 0x2fff) + Log.sync(0x0, 0x1fff)) == [.unmapIsSynced])
    #expect(unmap(Log.sync(0, .max)) == [])
    #expect(unmap([], removed: 0) == [])
    // Whole leaves may go beyond the length asked for.
    #expect(unmap(Log.sync(0x1000, 0x2fff), removed: 0x3000) == [.unmapIsSynced])
    #expect(unmap([], .unmapPages(iova: 0, pageSize: 4096, count: 2)) == [.unmapIsSynced])
  }

  @Test func whatWasMadeCleanIsSynced() {
    func dirty(_ syncs: [MemoryEvent], clear: Bool = true) -> [EventRule] {
      let operation = PageTable.Operation.dirty(iova: 0, length: 0x8000, clear: clear)
      let ranges = [DirtyRange(iova: 0x1000, length: 0x1000), DirtyRange(iova: 0x4000, length: 0x2000)]
      return broken(Log.empty + [.begin(id: 3, operation)] + syncs + [.end(id: 3, .dirty(ranges))])
    }
    #expect(dirty([]) == [.clearedDirtyIsSynced])
    #expect(dirty([], clear: false) == [])
    #expect(dirty(Log.sync(0x1000, 0x5fff)) == [])
    #expect(dirty(Log.sync(0x4000, 0x5fff) + Log.sync(0x1000, 0x1fff)) == [])
    #expect(dirty(Log.sync(0x1000, 0x5ffe)) == [.clearedDirtyIsSynced])
    #expect(dirty(Log.sync(0x1001, 0x5fff)) == [.clearedDirtyIsSynced])
    #expect(dirty(Log.sync(0x4000, 0x5fff)) == [.clearedDirtyIsSynced])
    let nothing = PageTable.Operation.dirty(iova: 0, length: 0x8000, clear: true)
    #expect(broken(Log.empty + [.begin(id: 3, nothing), .end(id: 3, .dirty([]))]) == [])
  }

  @Test func theEndOfTheAddressSpaceIsSynced() {
    let last = PageTable.Operation.unmap(iova: 0xffff_ffff_ffff_f000, length: 0x1000)
    #expect(unmap(Log.sync(0xffff_ffff_ffff_f000, .max), removed: 0x1000, last) == [])
    #expect(unmap(Log.sync(0xffff_ffff_ffff_f000, .max - 1), removed: 0x1000, last) == [.unmapIsSynced])
  }

  @Test func syncsOfOtherTimesDoNotCount() {
    let late = Log.empty + [.begin(id: 1, Log.unmap), .end(id: 1, .unmapped(0x2000))] + Log.sync()
    #expect(broken(late) == [.unmapIsSynced])
    #expect(
      broken(Log.empty + Log.sync() + [.begin(id: 1, Log.unmap), .end(id: 1, .unmapped(1))]) == [
        .unmapIsSynced
      ])
  }

  @Test func aSyncGoesForward() {
    #expect(broken(Log.sync(0x2000, 0x1fff)) == [.syncRange])
    #expect(broken(Log.sync(0x2000, 0x2000)) == [])
  }

  @Test func aLogInPartsIsOneLog() {
    var checker = EventChecker(incoherent: true)
    #expect(checker.check(Log.linked) == [])
    #expect(checker.check(Log.clear(Log.entry)) == [])
    let found = checker.check(Log.release(Log.child))
    #expect(found.map(\.rule) == [.syncBeforeRelease])
    #expect(found.first?.events.last?.position == Log.linked.count + 2)
    #expect(checker.check(Log.sync()) == [])
  }
}
