// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

private typealias Table = AMDv2PageTable<RecordingMemory>

private func make(
  _ text: String = "x86_64", base: UInt64 = 0x1_0000_0000, reserve: UInt64 = 16 << 20
) throws -> Table {
  let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
  let table = try AMDv2PageTable(LegacyList.configuration(text), memory: RecordingMemory(machine: machine))
  _ = table.memory.takeNotes()
  return table
}

extension AMDv2PageTable where Memory == RecordingMemory {
  fileprivate func brokenRules() -> [EventRule] {
    EventChecker.check(memory.events, incoherent: false).map(\.rule)
  }

  /// Releases everything; whether nothing is left.
  fileprivate func endsEmpty() -> Bool {
    memory.recordDetach()
    destroy()
    return memory.livePages == 0 && memory.machine.violations.isEmpty
  }
}

private let rw: Protection = [.read, .write]

@Suite struct AMDv2Tests {
  @Test(arguments: AMDv2.testConfigurations)
  func theWholeSpaceTranslatesAndNothingIsLeftAfterDestroy(_ text: String) throws {
    let table = try make(text)
    let levels = try LegacyList.configuration(text).number("levels")
    let last = (UInt64(1) << UInt64(12 + 9 * levels)) - 0x1000
    for (iova, pa) in [(0, 0x1000), (last, 0x3_7fff_ffff_f000), (1 << 40, 0)] as [(UInt64, UInt64)] {
      #expect(table.map(iova: iova, pa: pa, length: 0x1000, protection: .read) == nil)
      #expect(table.translate(iova + 0xfff) == pa + 0xfff)
    }
    // Bits above the levels' are not looked at.
    #expect(table.translate(last + 0x1000) == 0x1000)
    #expect(table.roots.map(\.level) == [levels - 1])
    #expect(table.unmap(iova: last, length: 0x1000) == 0x1000 && table.translate(last) == nil)
    #expect(table.brokenRules().isEmpty && table.endsEmpty())
  }

  @Test func whateverTableIsMissingTheNextMapCompletesIt() throws {
    for budget in 0..<4 {
      let table = try make("x86_64:levels=5")
      table.memory.machine.allocationBudget = budget
      #expect(table.map(iova: 0, pa: 0, length: 0x1000, protection: rw) == .enomem)
      #expect(table.memory.livePages == 1 + budget && table.translate(0) == nil)
      table.memory.machine.allocationBudget = nil
      #expect(table.map(iova: 0, pa: 0, length: 0x1000, protection: rw) == nil)
      #expect(table.memory.livePages == 5 && table.endsEmpty())
    }
  }

  @Test func aMapThatRunsOutOfMemoryIsRolledBack() throws {
    let table = try make()
    #expect(table.map(iova: 0, pa: 0, length: 0x1000, protection: rw) == nil)
    table.memory.machine.allocationBudget = 0
    #expect(table.map(iova: 0x1f_f000, pa: 0, length: 0x2000, protection: rw) == .enomem)
    #expect(table.translate(0x1f_f000) == nil)
    let left = table.mapRange(iova: 0x1f_f000, pa: 0, length: 0x2000, protection: rw)
    #expect(left == MapOutcome(.enomem, mapped: 0x1000) && table.translate(0x1f_f123) == 0x123)
    #expect(table.brokenRules().isEmpty && table.endsEmpty())
  }

  @Test func aLargeLeafInTheWayGoesEvenIfMemoryIsShort() throws {
    let table = try make()
    #expect(table.map(iova: 0, pa: 0, length: 2 << 20, protection: rw) == nil)
    table.memory.machine.allocationBudget = 0
    #expect(table.map(iova: 0x5000, pa: 0, length: 0x1000, protection: rw) == .enomem)
    #expect(table.translate(0) == nil)
    #expect(table.memory.takeNotes() == [.sync(first: 0x5000, last: 0x5fff, released: 0)])
  }

  @Test func tablesUnderALargePageAreReleasedBeforeTheSync() throws {
    let table = try make()
    for iova in [0, 2 << 20, 1 << 29] as [UInt64] {
      #expect(table.map(iova: iova, pa: 0, length: 0x1000, protection: rw) == nil)
    }
    #expect(table.map(iova: 4 << 20, pa: 0, length: 2 << 20, protection: rw) == nil)
    #expect(table.memory.livePages == 6)
    #expect(table.map(iova: 0, pa: 0, length: 1 << 30, protection: rw) == nil)
    #expect(table.memory.livePages == 2 && table.translate((1 << 30) - 1) == (1 << 30) - 1)
    #expect(table.memory.takeNotes() == [.sync(first: 0, last: (1 << 30) - 1, released: 0)])
    // Linux 6.12 does it in this order; that it is wrong is for the checker to say.
    #expect(table.brokenRules() == Array(repeating: .syncBeforeRelease, count: 4))
    #expect(table.endsEmpty())
  }

  @Test(arguments: [0x1000, 2 << 20, 1 << 30] as [UInt64])
  func leavesOfTheSameSizeAreReplacedAndSynced(_ size: UInt64) throws {
    let table = try make()
    #expect(table.map(iova: 0, pa: 0, length: size, protection: rw) == nil)
    #expect(table.memory.takeNotes().isEmpty)
    let pages = table.memory.livePages
    #expect(table.map(iova: 0, pa: 1 << 30, length: size, protection: .read) == nil)
    #expect(table.translate(size - 1) == 1 << 30 | (size - 1))
    #expect(table.memory.takeNotes() == [.sync(first: 0, last: size - 1, released: 0)])
    #expect(table.memory.livePages == pages && table.brokenRules().isEmpty && table.endsEmpty())
  }

  @Test func theSyncOfAnUnmapStartsWhereTheCallerSaid() throws {
    let table = try make()
    #expect(table.map(iova: 2 << 20, pa: 0, length: 2 << 20, protection: rw) == nil)
    #expect(table.unmap(iova: 0x20_5000, length: 0x1000) == 2 << 20)
    #expect(table.memory.takeNotes() == [.sync(first: 0x20_5000, last: 0x40_4fff, released: 0)])
    #expect(table.unmap(iova: 1 << 40, length: 0x1000) == 0 && table.memory.takeNotes().isEmpty)
  }

  @Test func sizesAndCountsThatTheDriverRefuses() throws {
    let table = try make("x86_64:pgsizes=0x201000")
    for size in [0, 0x2000, 1 << 30, 0x800] as [UInt64] {
      let outcome = table.mapPages(iova: 0, pa: 0, pageSize: size, count: 1, protection: rw)
      #expect(outcome == MapOutcome(.einval, mapped: 0) && table.memory.takeNotes() == [.warn])
    }
    let none = table.mapPages(iova: 0, pa: 0, pageSize: 0x1000, count: 0, protection: rw)
    #expect(none == MapOutcome(.einval, mapped: 0) && table.memory.takeNotes().isEmpty)
    var gather = LegacyGather()
    #expect(table.unmapPages(iova: 0, pageSize: 0x1000, count: 0, gather: &gather) == 0)
    #expect(table.unmapPages(iova: 0, pageSize: 0, count: 1, gather: &gather) == 0)
    #expect(table.memory.takeNotes() == [.warn, .warn] && gather.isEmpty)
  }

  @Test(
    arguments: [("x86_64", 0xf_ffff_ff00_0000), ("x86_64:cbit=47", 0xf_7fff_ff00_0000)] as [(String, UInt64)])
  func pointersHoldTheHighestAddresses(_ text: String, _ base: UInt64) throws {
    let table = try make(text, base: base, reserve: 4 << 20)
    #expect(table.map(iova: 0x7fff_f000, pa: 0, length: 0x1000, protection: rw) == nil)
    #expect(table.translate(0x7fff_f000) == 0)
    let pointers = try table.image(in: table.memory.machine).words.filter { $0.child != nil }
    let encryption: UInt64 = text == "x86_64" ? 0 : 1 << 47
    #expect(pointers.count == 3 && pointers.allSatisfy { $0.value == 0x27 | encryption })
    #expect(table.brokenRules().isEmpty && table.endsEmpty())
  }

  @Test func tablesThatNoPointerReachesAreGivenBack() throws {
    let table = try make("x86_64:cbit=47", base: (1 << 47) - (1 << 20))
    var errno: LinuxErrno?
    var iova: UInt64 = 0
    while errno == nil, iova < 1 << 30 {
      errno = table.map(iova: iova, pa: 0, length: 0x1000, protection: rw)
      iova += 2 << 20
    }
    #expect(errno == .enomem && table.memory.livePages == 256 && table.endsEmpty())
  }

  @Test(arguments: ["x86_64:cbit=63", "x86_64:pgsizes=0x2000"])
  func configurationsThatNoDriverUses(_ text: String) throws {
    #expect(throws: ConfigurationError.self) { try make(text) }
  }

  @Test func itLeavesVTdToItsOwnDriver() throws {
    #expect(AMDv2.accepts(try LegacyList.configuration("x86_64")))
    #expect(!AMDv2.accepts(try LegacyList.configuration("x86_64:use=vtdfs")))
  }
}
