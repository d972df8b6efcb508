// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Simulator

private func sync(
  _ first: UInt64, _ last: UInt64, leaves: UInt8 = 0, tables: UInt8 = 0
) -> MemoryEvent {
  .sync(InvalidationRequest(first: first, last: last, leafLevels: leaves, tableLevels: tables))
}

@Suite("an IOTLB shows which invalidation is missing")
struct IOTLBTests {
  private static let page: UInt64 = 0x5000
  private let word = ToyTables.place(0x2000, Self.page, level: 0)

  private func device() -> ToyDevice {
    var device = ToyDevice(page: Self.page)
    device.touch(Self.page, Self.page + 0x1000)
    return device
  }

  @Test("nothing is stale while nothing changes, and what was not there is not kept")
  func quiet() {
    var device = device()
    #expect(device.caches.count == 2)
    #expect(device.broken([], at: Self.page).isEmpty)
    let added = device.tables.write(word + 8, 0x1_2300_0005)
    #expect(device.broken([added], at: Self.page, Self.page + 0x1000).isEmpty)
  }

  @Test("a page that goes without a sync, or with one that is short, is stale")
  func missing() throws {
    for events in [[], [sync(Self.page + 0x1000, .max)], [sync(0, Self.page - 1)]] {
      var device = device()
      let clear = device.tables.write(word, 0)
      let found = device.violations([clear] + events, at: [Self.page])
      #expect(found.map(\.rule) == [.staleLeaf])
      #expect(try #require(found.first).events.first == LoggedEvent(0, clear))
      #expect(
        found.first?.message.hasSuffix(events.isEmpty ? "no sync followed" : "no sync covers it") == true)
    }
  }

  @Test("a sync of one byte of the page is enough")
  func covered() {
    var device = device()
    let clear = device.tables.write(word, 0)
    #expect(device.broken([clear, sync(Self.page + 0xfff, Self.page + 0xfff)], at: Self.page).isEmpty)
  }

  @Test("a sync before the write does not help, unless another follows")
  func early() throws {
    var device = device()
    let clear = device.tables.write(word, 0)
    let found = device.violations([sync(0, .max), clear], at: [Self.page])
    #expect(found.map(\.rule) == [.staleLeaf])
    #expect(found.first?.message.hasSuffix("the sync came before the write") == true)
    var second = self.device()
    let again = second.tables.write(word, 0)
    #expect(second.broken([sync(0, .max), again, sync(0, .max)], at: Self.page).isEmpty)
  }

  @Test("a word that is cleared, synced and then written anew is not stale")
  func replaced() {
    var device = device()
    let clear = device.tables.write(word, 0)
    let renew = device.tables.write(word, 0x7777_0005)
    #expect(device.broken([clear, sync(0, .max), renew], at: Self.page).isEmpty)
  }

  @Test("another address, fewer rights, and a dirty state taken back must be synced")
  func changes() {
    for new: UInt64 in [0x1_1111_0005, 0xabc_d001] {
      var device = device()
      #expect(device.broken([device.tables.write(word, new)], at: Self.page) == [.staleLeaf])
    }
    var device = device()
    // The hardware's own mark needs no sync.
    #expect(device.broken([device.tables.write(word, 0xabc_d00d)], at: Self.page).isEmpty)
    #expect(device.broken([device.tables.write(word, 0xabc_d005)], at: Self.page) == [.staleLeaf])
    // What is stale is told once.
    #expect(device.broken([], at: Self.page).isEmpty)
  }

  @Test("where a sync tells levels, it removes leaves of those only")
  func levels() {
    for (leaves, tables, rules) in [(1, 0, []), (2, 0, [.staleLeaf]), (0, 2, [.staleLeaf])]
      as [(UInt8, UInt8, [CacheRule])]
    {
      var device = device()
      let clear = device.tables.write(word, 0)
      #expect(
        device.broken([clear, sync(0, .max, leaves: leaves, tables: tables)], at: Self.page) == rules)
    }
  }

  @Test("a new top, and hardware that no longer walks, leave nothing")
  func all() {
    for event in [MemoryEvent.topChange(0x9000, level: 2), .detach] {
      var device = device()
      let clear = device.tables.write(word, 0)
      #expect(device.broken([clear, event, .release(0x2000, sizeLog2: 12)], at: Self.page).isEmpty)
      #expect(device.caches.count == 1)
    }
  }
}

@Suite("paging-structure caches show which tables went unnoticed")
struct StructureCacheTests {
  private static let page: UInt64 = 0x20_5000
  private let word = ToyTables.place(ToyTables.top, Self.page, level: 1)

  private func device() -> ToyDevice {
    var device = ToyDevice(page: Self.page)
    device.touch(Self.page)
    return device
  }

  @Test("a pointer stays when only a leaf's sync is told, and answers for its old table")
  func leafOnly() {
    var device = device()
    let clear = device.tables.write(word, 0)
    let syncLeaf = sync(0, .max, leaves: 1)
    // The old table still holds the page.
    #expect(device.broken([clear, syncLeaf], at: Self.page) == [.staleTable])
    var other = self.device()
    let also = other.tables.write(word, 0)
    #expect(other.broken([also, sync(0, .max, leaves: 1, tables: 2)], at: Self.page).isEmpty)
  }

  @Test("an empty table that goes is seen when another takes its place")
  func remap() {
    var device = device()
    let leaf = ToyTables.place(0x2000, Self.page, level: 0)
    let empty = [device.tables.write(leaf, 0), sync(Self.page, Self.page + 0xfff, leaves: 1)]
    #expect(device.broken(empty, at: Self.page).isEmpty)
    // No sync: nothing was mapped through it, but the pointer stays.
    #expect(device.broken([device.tables.write(word, 0)], at: Self.page).isEmpty)
    let large = device.tables.write(word, 0x4000_0005)
    #expect(device.broken([large], at: Self.page) == [.staleTable])
  }

  @Test("a table is released only after a sync that takes its pointer away")
  func release() {
    let release = MemoryEvent.release(0x2000, sizeLog2: 12)
    for (events, rules) in [
      ([release], [.lateInvalidation]), ([sync(0, .max, leaves: 1), release], [.lateInvalidation]),
      ([sync(0, 0x1f_ffff), release], [.lateInvalidation]), ([release, sync(0, .max)], [.lateInvalidation]),
      ([sync(0x3f_ffff, .max), release], []), ([sync(0, .max, tables: 2), release], []),
    ] as [([MemoryEvent], [CacheRule])] {
      var device = device()
      let clear = device.tables.write(word, 0)
      #expect(device.caches.apply([clear] + events).map(\.rule) == rules, "\(events)")
    }
  }

  @Test("a table that is still linked at its sync can be read again until it is released")
  func linked() {
    var device = device()
    let clear = device.tables.write(word, 0)
    let events = [sync(0, .max), .release(0x2000, sizeLog2: 12), clear]
    #expect(device.caches.apply(events).map(\.rule) == [.lateInvalidation])
    var second = self.device()
    let again = second.tables.write(word, 0)
    let late = second.caches.apply([sync(0, .max), again, .release(0x2000, sizeLog2: 12)])
    #expect(late.map(\.rule) == [.lateInvalidation])
    #expect(late.first?.events.last?.event == .release(0x2000, sizeLog2: 12))
  }
}

@Suite("sets of keys")
struct KeySetTests {
  @Test("ranges find what a plain set holds")
  func ranges() {
    var keys = KeySet()
    var plain: Set<UInt64> = []
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
    for _ in 0..<4000 {
      let key = next() >> (next() & 63)
      if next() & 3 == 0, let old = plain.first {
        keys.remove(old)
        plain.remove(old)
      }
      keys.insert(key)
      plain.insert(key)
    }
    keys.remove(0xdead_beef_dead_beef)
    for _ in 0..<400 {
      let (one, other) = (next() >> (next() & 63), next() >> (next() & 63))
      let range = min(one, other)...max(one, other)
      #expect(keys.members(range.lowerBound, range.upperBound) == plain.filter(range.contains).sorted())
    }
    #expect(keys.members(0, .max) == plain.sorted())
    #expect(keys.members(1, 0).isEmpty)
    for key in plain { keys.remove(key) }
    #expect(keys.members(0, .max).isEmpty)
  }
}
