// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

private typealias Table = AMDv1PageTable<RecordingMemory>

private func make(
  _ text: String = "amdv1", base: UInt64 = 0x1_0000_0000, reserve: UInt64 = 16 << 20
) throws -> Table {
  let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
  let table = try AMDv1PageTable(LegacyList.configuration(text), memory: RecordingMemory(machine: machine))
  _ = table.memory.takeNotes()
  return table
}

extension AMDv1PageTable where Memory == RecordingMemory {
  /// Releases everything; whether nothing is left and no rule was broken, ever.
  fileprivate func endsCleanly() -> Bool {
    memory.recordDetach()
    destroy()
    return memory.livePages == 0 && memory.machine.violations.isEmpty
      && EventChecker.check(memory.events, incoherent: false).isEmpty
  }
}

private let rw: Protection = [.read, .write]
private let lastPage = ~UInt64(0xfff)

@Suite struct AMDv1Tests {
  @Test(arguments: AMDv1.testConfigurations)
  func theWholeSpaceTranslatesAndNothingIsLeftAfterDestroy(_ text: String) throws {
    let table = try make(text)
    for (iova, pa) in [(0, 0x1000), (lastPage, 0x7_ffff_ffff_f000), (1 << 38, 0), (1 << 62, 0x5000)]
      as [(UInt64, UInt64)]
    {
      let encryption = Bits.bit(max(0, try LegacyList.configuration(text).number("cbit"))) & ~1
      #expect(table.map(iova: iova, pa: pa & ~encryption, length: 0x1000, protection: .read) == nil)
      #expect(table.translate(iova + 0xfff) == pa & ~encryption + 0xfff)
    }
    #expect(table.roots.map(\.level) == [5])
    #expect(table.unmap(iova: lastPage, length: 0x1000) == 0x1000)
    #expect(table.translate(lastPage) == nil && table.translate(0) == 0x1000)
    #expect(table.endsCleanly())
  }

  @Test func theTopGrowsByOneLevelForOneTable() throws {
    let table = try make()
    #expect(table.map(iova: 0x7f_ffff_f000, pa: 0, length: 0x2000, protection: .read) == nil)
    #expect(table.memory.takeNotes() == [.top(level: 3)])
    #expect(table.map(iova: lastPage, pa: 0, length: 0x1000, protection: .read) == nil)
    #expect(table.memory.takeNotes() == [.top(level: 4), .top(level: 5)])
    #expect(table.translate(0x7f_ffff_ffff) == 0xfff && table.translate(0x80_0000_0000) == 0x1000)
    #expect(table.endsCleanly())
  }

  @Test func aPageOfATerabyteReplacesTheOldTop() throws {
    let table = try make()
    #expect(table.map(iova: 0, pa: 0, length: 1 << 40, protection: .read) == nil)
    #expect(
      table.memory.takeNotes() == [.top(level: 3), .sync(first: 0, last: (1 << 40) - 1, released: 1)])
    #expect(table.memory.livePages == 1 && table.endsCleanly())
  }

  @Test func whateverTableIsMissingTheNextMapCompletesIt() throws {
    // Three new roots and five tables below the last.
    for budget in 0..<8 {
      let table = try make()
      table.memory.machine.allocationBudget = budget
      #expect(table.map(iova: lastPage, pa: 0, length: 0x1000, protection: .read) == .enomem)
      #expect(table.memory.livePages == 1 + budget && table.translate(lastPage) == nil)
      table.memory.machine.allocationBudget = nil
      #expect(table.map(iova: lastPage, pa: 0, length: 0x1000, protection: .read) == nil)
      #expect(table.memory.livePages == 9 && table.endsCleanly())
    }
  }

  @Test func aMapThatRunsOutOfMemoryIsRolledBack() throws {
    let table = try make("amdv1:pgsizes=0x1000")
    #expect(table.map(iova: 0, pa: 0, length: 0x1000, protection: .read) == nil)
    table.memory.machine.allocationBudget = 0
    #expect(table.map(iova: 0x1f_f000, pa: 0, length: 0x2000, protection: .read) == .enomem)
    #expect(table.translate(0x1f_f000) == nil)
    let left = table.mapRange(iova: 0x1f_f000, pa: 0, length: 0x2000, protection: .read)
    #expect(left == MapOutcome(.enomem, mapped: 0x1000) && table.translate(0x1f_f123) == 0x123)
    #expect(table.endsCleanly())
  }

  @Test func aPageOfSeveralWordsInTheWayGoesEvenIfMemoryIsShort() throws {
    let table = try make()
    #expect(table.map(iova: 0, pa: 0, length: 4 << 20, protection: rw) == nil)
    table.memory.machine.allocationBudget = 0
    #expect(table.map(iova: 0x20_1000, pa: 0, length: 0x1000, protection: rw) == .enomem)
    #expect(table.translate(0) == nil && table.translate(2 << 20) == nil)
    #expect(table.memory.takeNotes() == [.sync(first: 0x20_1000, last: 0x20_1fff, released: 0)])
    // One word in the way is replaced by the pointer, and so stays.
    table.memory.machine.allocationBudget = nil
    #expect(table.map(iova: 0, pa: 0, length: 2 << 20, protection: rw) == nil)
    table.memory.machine.allocationBudget = 0
    #expect(table.map(iova: 0x1000, pa: 0, length: 0x1000, protection: rw) == .enomem)
    #expect(table.translate(0) == 0 && table.memory.takeNotes().isEmpty)
  }

  @Test func tablesUnderALargePageAreReleasedAfterTheSync() throws {
    let table = try make()
    for iova in [0, 2 << 20, 1 << 29] as [UInt64] {
      #expect(table.map(iova: iova, pa: 0, length: 0x1000, protection: rw) == nil)
    }
    #expect(table.memory.livePages == 5)
    #expect(table.map(iova: 0, pa: 0, length: 1 << 30, protection: rw) == nil)
    #expect(table.memory.takeNotes() == [.sync(first: 0, last: (1 << 30) - 1, released: 4)])
    let tail = table.memory.events.suffix(4)
    #expect(tail.allSatisfy { if case .release = $0 { true } else { false } })
    #expect(table.memory.livePages == 1 && table.endsCleanly())
  }

  @Test func leavesOfTheSameSizeAreReplacedWithoutASync() throws {
    let table = try make()
    #expect(table.map(iova: 0, pa: 0, length: 0x10000, protection: rw) == nil)
    #expect(table.map(iova: 0, pa: 0x10000, length: 0x10000, protection: rw) == nil)
    #expect(table.map(iova: 0x3000, pa: 0x7000, length: 0x1000, protection: .read) == nil)
    #expect(table.memory.takeNotes().isEmpty)
    #expect(table.translate(0x2fff) == 0x12fff && table.translate(0x3000) == 0x7000)
    // The words beside the new one still say 64K, and an unmap of one of them takes all 16.
    #expect(table.unmap(iova: 0x4000, length: 0x1000) == 0x10000)
    #expect(table.translate(0x3000) == nil)
  }

  @Test func theSyncOfAnUnmapStartsWhereTheCallerSaid() throws {
    let table = try make()
    #expect(table.map(iova: 2 << 20, pa: 0, length: 2 << 20, protection: rw) == nil)
    #expect(table.unmap(iova: 0x20_5000, length: 0x1000) == 2 << 20)
    #expect(table.memory.takeNotes() == [.sync(first: 0x20_5000, last: 0x40_4fff, released: 0)])
    #expect(table.unmap(iova: 1 << 40, length: 0x1000) == 0 && table.memory.takeNotes().isEmpty)
  }

  @Test func holesOfTheLastLevelCountAsUnmapped() throws {
    let table = try make("amdv1:pgsizes=0x1000")
    #expect(table.map(iova: 0x1f_e000, pa: 0, length: 0x1000, protection: rw) == nil)
    #expect(table.unmap(iova: 0x1f_d000, length: 0x5000) == 0x3000)
  }

  @Test func anyDirtyWordMakesTheWholePageDirty() throws {
    let table = try make()
    #expect(table.map(iova: 0x10000, pa: 0, length: 0x10000, protection: rw) == nil)
    for iova in [0x15000, 0x1a000] as [UInt64] { #expect(table.setDirty(iova) == nil) }
    #expect(table.setDirty(0x20000) == .enoent)
    let words = try table.image(in: table.memory.machine).words.filter { $0.value & 1 << 6 != 0 }
    #expect(words.map(\.index) == [0x15, 0x1a])
    #expect(
      table.run(.dirty(iova: 0, length: 1 << 30, clear: false)) { _ in }
        == .dirty([DirtyRange(iova: 0x10000, length: 0x10000)]))
    #expect(table.memory.takeNotes().isEmpty)
    // From the middle of a page the driver reports from there on.
    #expect(
      table.run(.dirty(iova: 0x14000, length: 0x1000, clear: true)) { _ in }
        == .dirty([DirtyRange(iova: 0x14000, length: 0x10000)]))
    #expect(table.memory.takeNotes() == [.sync(first: 0x14000, last: 0x23fff, released: 0)])
    #expect(table.run(.dirty(iova: 0, length: 1 << 63, clear: false)) { _ in } == .dirty([]))
  }

  @Test func readingDirtyEndsWithTheSpace() throws {
    let table = try make("amdv1:levels=6")
    #expect(table.map(iova: lastPage, pa: 0, length: 0x1000, protection: rw) == nil)
    #expect(table.setDirty(lastPage) == nil)
    let found = [DirtyRange(iova: lastPage, length: 0x1000)]
    #expect(table.run(.dirty(iova: lastPage, length: 0x1000, clear: false)) { _ in } == .dirty(found))
    #expect(table.run(.dirty(iova: 0, length: ~0, clear: false)) { _ in } == .dirty(found))
    #expect(table.run(.dirty(iova: 0x1000, length: 0, clear: true)) { _ in } == .dirty([]))
  }

  @Test func whatLinuxStopsAtIsRefusedWithAWarning() throws {
    let table = try make()
    for (iova, pa, size) in [
      (0, 0, 0), (0, 0, 0x800), (0, 0, 0x3000), (0, 0, 1 << 52), (0x1000, 0, 0x2000), (0, 0x1000, 0x2000),
    ] as [(UInt64, UInt64, UInt64)] {
      let outcome = table.mapPages(iova: iova, pa: pa, pageSize: size, count: 1, protection: rw)
      #expect(outcome == MapOutcome(.einval, mapped: 0) && table.memory.takeNotes() == [.warn])
    }
    var gather = LegacyGather()
    #expect(table.unmapPages(iova: 0, pageSize: 0, count: 1, gather: &gather) == 0)
    #expect(table.unmapPages(iova: 0, pageSize: 0x3000, count: 1, gather: &gather) == 0)
    #expect(table.memory.takeNotes() == [.warn, .warn] && gather.isEmpty)
    #expect(
      table.mapPages(iova: 0, pa: 0, pageSize: 0x1000, count: 0, protection: rw) == MapOutcome(nil, mapped: 0)
    )
    #expect(table.memory.livePages == 1)
  }

  @Test(
    arguments: [("amdv1", 0xf_ffff_ff00_0000), ("amdv1:cbit=47", 0xf_7fff_ff00_0000)] as [(String, UInt64)])
  func pointersHoldTheHighestAddresses(_ text: String, _ base: UInt64) throws {
    let table = try make(text, base: base, reserve: 4 << 20)
    #expect(table.map(iova: lastPage, pa: 0x1000, length: 0x1000, protection: rw) == nil)
    #expect(table.translate(lastPage) == 0x1000)
    let pointers = try table.image(in: table.memory.machine).words.filter { $0.child != nil }
    let encryption: UInt64 = text == "amdv1" ? 0 : 1 << 47
    #expect(pointers.count == 8)
    #expect(pointers.allSatisfy { $0.value == 0x6000_0000_0000_0001 | encryption | UInt64($0.level) << 9 })
    #expect(table.endsCleanly())
  }

  @Test func tablesThatNoPointerReachesAreGivenBack() throws {
    // Half of the memory lies where the encryption bit is part of the address.
    let table = try make("amdv1:cbit=47", base: (1 << 47) - (1 << 20))
    var errno: LinuxErrno?
    var iova: UInt64 = 0
    while errno == nil, iova < 1 << 30 {
      errno = table.map(iova: iova, pa: 0, length: 0x1000, protection: rw)
      iova += 2 << 20
    }
    #expect(errno == .enomem && table.memory.livePages == 256)
    #expect(table.endsCleanly())
  }

  @Test(arguments: ["amdv1:cbit=63", "amdv1:cbit=11", "amdv1:pgsizes=0x8000001000", "amdv1:pgsizes=0x800"])
  func configurationsThatNoDriverUses(_ text: String) throws {
    #expect(throws: ConfigurationError.self) { try make(text) }
  }

  @Test func memoryThatNoPointerReachesIsRefused() throws {
    #expect(throws: ConfigurationError.self) { try make(base: 1 << 52) }
    #expect(throws: ConfigurationError.self) { try make("amdv1:cbit=47", base: 1 << 47) }
    #expect(throws: Never.self) { try make("amdv1:cbit=46", base: 1 << 47) }
  }
}
