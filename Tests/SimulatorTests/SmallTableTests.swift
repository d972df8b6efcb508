// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

/// Tables smaller than a page, as Armv7's of 1 KiB.
@Suite struct SmallTableTests {
  @Test func smallTablesLieEverywhereInTheirPages() throws {
    let machine = try smallMachine()
    let memory = PlainMemory(machine: machine)
    let tables = (0..<8).compactMap { _ in memory.allocateTable(sizeLog2: 10) }
    #expect(Set(tables.map { $0 & 4095 }) == [0, 0x400, 0x800, 0xc00])
    #expect(Set(tables.map { $0 & ~4095 }).count == 8 && memory.livePages == 8)
    for table in tables { memory.releaseTable(at: table, sizeLog2: 10) }
    #expect(memory.livePages == 0 && machine.violations.isEmpty)
    let again = (0..<8).compactMap { _ in memory.allocateTable(sizeLog2: 10) }
    #expect(again.allSatisfy { table in (0..<128).allSatisfy { memory.words(table)[$0] == 0 } })
    #expect(machine.violations.isEmpty)
  }

  @Test func onlyTheTableIsTableMemory() throws {
    for incoherent in [false, true] {
      let memory = RecordingMemory(machine: try smallMachine(), incoherent: incoherent)
      _ = memory.allocateTable(sizeLog2: 12)
      let table = try #require(memory.allocateTable(sizeLog2: 10))
      #expect(table & 4095 == 0x400)
      #expect(memory.walkerView.bytes(at: table, count: 1024) != nil)
      #expect(memory.walkerView.bytes(at: table + 1020, count: 4) != nil)
      for (physical, count) in [(table - 4, 4), (table, 1028), (table + 1024, 4), (table - 1024, 4096)] {
        #expect(memory.walkerView.bytes(at: physical, count: count) == nil)
        #expect(memory.machine.bytes(at: physical, count: count) == nil)
      }
    }
  }

  @Test func aSmallTableIsReleasedWhereItStarts() throws {
    let memory = PlainMemory(machine: try smallMachine())
    _ = memory.allocateTable(sizeLog2: 12)
    let table = try #require(memory.allocateTable(sizeLog2: 10))
    for wrong in [table & ~4095, table + 1024, table + 8] {
      memory.releaseTable(at: wrong, sizeLog2: 10)
      #expect(memory.machine.takeViolations().map(\.kind) == [.unknownFree])
    }
    memory.releaseTable(at: table, sizeLog2: 10)
    #expect(memory.machine.violations.isEmpty && memory.livePages == 1)
  }

  @Test(arguments: [-1, 128]) func aWriteBesideASmallTableIsSeenOnRelease(index: Int) throws {
    let memory = PlainMemory(machine: try smallMachine())
    _ = memory.allocateTable(sizeLog2: 12)
    let table = try #require(memory.allocateTable(sizeLog2: 10))
    memory.words(table)[index] = 3
    memory.releaseTable(at: table, sizeLog2: 10)
    let place = table &+ UInt64(bitPattern: Int64(index * 8))
    #expect(memory.machine.violations == [MachineViolation(kind: .overrun, physical: place, value: 3)])
  }

  @Test func aSmallTableIsStaleUntilItIsFlushed() throws {
    let memory = RecordingMemory(machine: try smallMachine(), incoherent: true)
    _ = memory.allocateTable(sizeLog2: 12)
    let table = try #require(memory.allocateTable(sizeLog2: 10))
    func seen(_ index: Int) throws -> UInt64 {
      try #require(memory.walkerView.bytes(at: table + UInt64(index * 8), count: 8)).load(as: UInt64.self)
    }
    #expect(try seen(0) == Poison.stale && seen(127) == Poison.stale)
    memory.words(table)[127] = 5
    memory.flushCache(at: table + 1016, byteCount: 4)
    #expect(try seen(0) == Poison.stale && seen(127) == 5)
  }
}

/// Words of 4 bytes.
@Suite struct ShortWordTests {
  private func words(_ memory: RecordingMemory, _ table: UInt64) -> UnsafeMutablePointer<UInt32> {
    UnsafeMutableRawPointer(memory.words(table)).assumingMemoryBound(to: UInt32.self)
  }

  @Test func runsOfShortWordsAreLogged() throws {
    let memory = RecordingMemory(machine: try smallMachine())
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    let values: [UInt32] = [0, 0xffff_f002, 0x0000_0002, 0x0000_1002, 7, 7]
    for (index, value) in values.enumerated() { words(memory, table)[index + 1] = value }
    _ = memory.takeEvents()
    memory.recordEntryWrites(at: table + 8, count: 5, wordBytes: 4)
    memory.recordTableInstall(table, at: table + 20)
    #expect(
      memory.events == [
        .entryWrites(at: table + 8, count: 3, value: 0xffff_f002, step: 0x1000, wordBytes: 4),
        .entryWrites(at: table + 20, count: 2, value: 7, step: 0, wordBytes: 4),
        .tableInstall(child: table, entry: table + 20, value: 7),
      ])
  }

  private static let top: UInt64 = 0x8000_0000
  private static let child: UInt64 = 0x8000_4400

  /// A top with the last of 1024 words pointing to a child of 1 KiB.
  private static let linked: [MemoryEvent] = [
    .allocate(top, sizeLog2: 12), .cacheFlush(at: top, byteCount: 4096), .topChange(top, level: 1),
    .allocate(child, sizeLog2: 10), .cacheFlush(at: child, byteCount: 1024),
    .entryWrites(at: top + 4092, count: 1, value: 0x8000_4401, step: 0, wordBytes: 4),
    .tableInstall(child: child, entry: top + 4092, value: 0x8000_4401),
    .cacheFlush(at: top + 4092, byteCount: 4),
  ]

  private func broken(_ events: [MemoryEvent]) -> [EventRule] {
    EventChecker.check(Self.linked + events, incoherent: true).map(\.rule)
  }

  @Test func theCheckerFollowsShortWords() {
    let (top, child) = (Self.top, Self.child)
    let sync = MemoryEvent.sync(InvalidationRequest(first: 0, last: 0xf_ffff, released: 1))
    let clear: [MemoryEvent] = [
      .entryWrites(at: top + 4092, count: 1, value: 0, step: 0, wordBytes: 4),
      .cacheFlush(at: top + 4092, byteCount: 4),
    ]
    #expect(broken([]) == [])
    #expect(broken(clear + [sync, .release(child, sizeLog2: 10)]) == [])
    #expect(broken([sync, .release(child, sizeLog2: 10)]) == [.unlinkBeforeRelease])
    #expect(broken(clear + [.release(child, sizeLog2: 10)]) == [.syncBeforeRelease])
    // The neighbour of the pointer is cleared: the child still is linked.
    let neighbour = MemoryEvent.entryWrites(at: top + 4088, count: 1, value: 0, step: 0, wordBytes: 4)
    #expect(
      broken([neighbour, .cacheFlush(at: top + 4088, byteCount: 4), sync, .release(child, sizeLog2: 10)])
        == [.unlinkBeforeRelease])
    // A run that ends in the pointer clears it.
    let run = MemoryEvent.entryWrites(at: top + 4064, count: 8, value: 0, step: 0, wordBytes: 4)
    #expect(
      broken([run, .cacheFlush(at: top + 4064, byteCount: 32), sync, .release(child, sizeLog2: 10)]) == [])
  }

  @Test func shortWordsStayInTheirTables() {
    let (top, child) = (Self.top, Self.child)
    for write in [
      MemoryEvent.entryWrites(at: child - 4, count: 1, value: 1, step: 0, wordBytes: 4),
      .entryWrites(at: child, count: 257, value: 1, step: 0, wordBytes: 4),
      .entryWrites(at: child + 1020, count: 1, value: 1, step: 0, wordBytes: 8),
      .entryWrites(at: top, count: 1, value: 1, step: 0, wordBytes: 2),
      .cacheFlush(at: child & ~4095, byteCount: 64),
    ] {
      #expect(broken([write]) == [.onlyAllocatedMemory], "\(write)")
    }
    #expect(broken([.entryWrites(at: child, count: 256, value: 1, step: 0, wordBytes: 4)]) == [])
  }

  @Test func whatADeviceWritesIsOneShortWord() throws {
    let memory = RecordingMemory(machine: try smallMachine(), incoherent: true)
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    words(memory, table)[15] = 9
    words(memory, table)[16] = 9
    memory.beginOperation(.setDirty(iova: 0))
    memory.recordEntryWrites(at: table + 60, count: 1, wordBytes: 4)
    memory.endOperation(.ok)
    let seen = try #require(memory.walkerView.bytes(at: table, count: 4096))
    #expect(seen.load(fromByteOffset: 60, as: UInt32.self) == 9)
    #expect(seen.load(fromByteOffset: 64, as: UInt64.self) == Poison.stale)
  }
}
