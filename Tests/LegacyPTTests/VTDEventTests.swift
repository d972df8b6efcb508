// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

/// When the VT-d driver's code flushes, invalidates and releases.
@Suite struct VTDEventTests {
  /// Maps and unmaps that make and take tables at each level.
  private static let work = [
    "map 0x1fe000 0x0 0x4000 rw", "map 0x40000000 0x0 0x80201000 r", "unmap 0x1fe000 0x4000",
    "map 0x600000 0x1000 0x200000 rw", "unmap 0x600000 0x200000", "unmap 0x40000000 0x80201000",
    "mappages 0x8000000000 0x0 0x1000 1 w", "unmap 0x8000000000 0x40000000",
  ]

  @Test(arguments: VTDFamily.testConfigurations)
  func tablesAreFlushedBeforeUseAndReleasedAfterTheirSync(_ text: String) throws {
    let table = try makeVTD(text)
    for line in Self.work where !(line.contains("0x8000000000") && table.settings.topLevel == 2) {
      try table.perform(line)
    }
    #expect(table.violations().isEmpty)
    let events = table.memory.events
    #expect(events.contains { if case .release = $0 { true } else { false } })
    // Without its flushes or syncs, the same log is found wrong.
    if table.memory.isIncoherent {
      let unflushed = events.filter { if case .cacheFlush = $0 { false } else { true } }
      let rules = Set(EventChecker.check(unflushed, incoherent: true).map(\.rule))
      #expect(rules.isSuperset(of: [.flushBeforeTopChange, .flushBeforeInstall, .flushBeforeSync]))
    }
    let unsynced = events.filter { if case .sync = $0 { false } else { true } }
    let rules = Set(EventChecker.check(unsynced, incoherent: table.memory.isIncoherent).map(\.rule))
    #expect(rules.isSuperset(of: [.syncBeforeRelease, .unmapIsSynced]))
  }

  @Test func walkersThatDoNotSnoopSeeEveryWord() throws {
    let table = try makeVTD("vtdss:coherent=0")
    for line in Self.work.dropLast(4) {
      try table.perform(line)
      #expect(try table.image(in: table.memory.walkerView) == table.image(in: table.memory.machine))
    }
  }

  @Test func leavesFarApartAreFlushedTogether() throws {
    let table = try makeVTD("vtdss:coherent=0")
    for iova in ["0x1000", "0x80000", "0x1fe000"] { try table.perform("map \(iova) 0x0 0x1000 rw") }
    #expect(try table.perform("unmap 0x0 0x1ff000") == "0x1ff000")
    #expect(table.violations().isEmpty)
    guard case .cacheFlush(let at, let byteCount) = table.memory.events.dropLast(2).last else {
      Issue.record("no flush before the sync")
      return
    }
    #expect(at & 0xfff == 8 && byteCount == 0x1fe * 8)
  }

  @Test func coherentWalkersNeedNoFlush() throws {
    let table = try makeVTD("vtdss")
    for line in Self.work { try table.perform(line) }
    #expect(!table.memory.events.contains { if case .cacheFlush = $0 { true } else { false } })
  }

  @Test func aTableIsReleasedOnlyWhereItsWholeRangeGoes() throws {
    let table = try makeVTD("vtdss:superpages=0,levels=3")
    try table.perform("map 0x200000 0x0 0x600000 rw")
    #expect(table.memory.livePages == 5)
    #expect(try table.perform("unmap 0x201000 0x5fe000") == "0x5fe000")
    #expect(table.syncs.last == InvalidationRequest(first: 0x20_1000, last: 0x7f_efff, released: 1))
    #expect(table.memory.livePages == 4)
    #expect(try table.words().count == 5)
  }

  @Test func aSuperpageOverTablesIsInvalidatedAtOnce() throws {
    let table = try makeVTD("vtdss")
    try table.perform("map 0x200000 0x1000 0x3000 rw")
    try table.perform("map 0x600000 0x1000 0x1000 rw")
    _ = table.memory.takeEvents()
    // The first slot has a table, the second nothing, the third a table.
    #expect(try table.perform("map 0x200000 0x40000000 0x600000 rw") == "ok")
    #expect(
      table.syncs == [
        InvalidationRequest(first: 0x20_0000, last: 0x7f_ffff),
        InvalidationRequest(first: 0x60_0000, last: 0x7f_ffff),
      ])
    #expect(table.memory.livePages == 3 && table.translate(0x20_1123) == 0x4000_1123)
    let order = table.memory.events.compactMap { event -> String? in
      switch event {
      case .entryWrites(_, _, 0, _, _): "clear"
      case .entryWrites(_, 3, _, _, _): "write"
      case .release: "release"
      case .sync: "sync"
      default: nil
      }
    }
    // All words from the first leaf's to the range's last, then the pointer, the table, and the IOTLB.
    #expect(order == ["clear", "clear", "release", "sync", "clear", "clear", "release", "sync", "write"])
  }

  @Test func theTablesUnderASuperpageAreReleasedBeforeTheirSync() throws {
    let table = try makeVTD("vtdss")
    try table.perform("map 0x200000 0x1000 0x1000 rw")
    try table.perform("map 0x200000 0x40000000 0x200000 rw")
    // Linux's own defect, and the only one here.
    #expect(table.violations().map(\.rule) == [.syncBeforeRelease])
  }

  @Test func aSuperpageOverASuperpageIsSyncedAndNoWarning() throws {
    let table = try makeVTD("vtdss")
    try table.perform("map 0x200000 0x40000000 0x200000 rw")
    #expect(try table.perform("map 0x200000 0x40200000 0x200000 r") == "ok")
    #expect(table.syncs == [InvalidationRequest(first: 0x20_0000, last: 0x3f_ffff)])
    #expect(table.translate(0x20_0000) == 0x4020_0000)
    #expect(table.violations().isEmpty && !table.memory.takeNotes().contains(.warn))
  }

  @Test func aTableBehindASuperpageIsLostUntilTheEnd() throws {
    let table = try makeVTD("vtdss")
    try table.perform("map 0x40000000 0x0 0x200000 rw")
    try table.perform("map 0x40200000 0x1000 0x1000 rw")
    try table.perform("map 0x40400000 0x0 0x200000 rw")
    #expect(table.memory.livePages == 4)
    #expect(try table.perform("map 0x40000000 0x40000000 0x40000000 rw") == "ok")
    // Two tables are in use, the last-level one is nobody's.
    #expect(table.memory.livePages == 3)
    #expect(try table.words().count == 2)
    #expect(table.pagesAfterDestroy() == 0 && table.memory.machine.violations.isEmpty)
  }

  @Test func sizesAndGapsEndAGather() throws {
    let table = try makeVTD("vtdss")
    try table.perform("map 0x1ff000 0x1ff000 0x202000 rw")
    _ = table.memory.takeEvents()
    #expect(try table.perform("unmap 0x1ff000 0x202000") == "0x202000")
    let size: (UInt64, UInt64) -> InvalidationRequest = { InvalidationRequest(first: $0, last: $1) }
    #expect(
      table.syncs == [size(0x1f_f000, 0x1f_ffff), size(0x20_0000, 0x3f_ffff), size(0x40_0000, 0x40_0fff)])
    var gather = LegacyGather()
    try table.perform("map 0x1000 0x0 0x4000 rw")
    _ = table.memory.takeEvents()
    for page in [1, 2, 4] as [UInt64] {
      #expect(table.unmapFast(iova: page << 12, length: 0x1000, gather: &gather) == 0x1000)
    }
    #expect(table.syncs == [size(0x1000, 0x2fff)])
    table.synchronize(&gather)
    #expect(table.syncs == [size(0x1000, 0x2fff), size(0x4000, 0x4fff)] && gather.isEmpty)
    table.synchronize(&gather)
    #expect(table.syncs.count == 2)
  }

  @Test func dirtyLeavesAreReadFromWhereTheRangeStarts() throws {
    let table = try makeVTD("vtdss")
    try table.perform("map 0x1000 0x1000 0x2000 rw")
    try table.perform("map 0x200000 0x40000000 0x400000 rw")
    for iova in ["0x2008", "0x200000", "0x5fffff"] { #expect(try table.perform("setdirty \(iova)") == "ok") }
    #expect(try table.perform("setdirty 0x600000") == "ENOENT")
    #expect(try table.perform("setdirty 0x1000000000000") == "ERANGE")
    _ = table.memory.takeEvents()
    #expect(
      try table.perform("dirty 0x0 0x800000 keep") == "0x2000+0x1000 0x200000+0x200000 0x400000+0x200000")
    #expect(table.syncs.isEmpty)
    // A range that starts inside of a leaf stays at that offset.
    #expect(try table.perform("dirty 0x201000 0x3ff000 keep") == "0x201000+0x200000 0x401000+0x200000")
    #expect(try table.perform("dirty 0x0 0x400000 clear") == "0x2000+0x1000 0x200000+0x200000")
    #expect(table.syncs == [InvalidationRequest(first: 0x2000, last: 0x3f_ffff)])
    #expect(try table.perform("dirty 0x0 0x800000 keep") == "0x400000+0x200000")
    #expect(try table.words().contains { $0.hasSuffix("[0x2] 0x40200283") })
    let first = try makeVTD("x86_64:use=vtdfs")
    try first.perform("map 0x1000 0x1000 0x1000 rw")
    #expect(try first.perform("setdirty 0x1000") == "EOPNOTSUPP")
    #expect(try first.perform("dirty 0x1000 0x1000 keep") == "EOPNOTSUPP")
  }
}
