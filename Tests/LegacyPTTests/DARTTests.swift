// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

private typealias Table = DARTPageTable<RecordingMemory>

private func make(
  _ text: String, base: UInt64 = 0x1_0000_0000, reserve: UInt64 = 16 << 20
) throws -> Table {
  let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
  return try DARTPageTable(
    DARTGeometry(LegacyList.configuration(text)), memory: RecordingMemory(machine: machine))
}

private func violations(_ table: Table) -> [EventViolation] {
  EventChecker.check(table.memory.events, incoherent: false)
}

@Suite struct DARTTests {
  static let configurations = DART.testConfigurations

  @Test(arguments: configurations)
  func theWholeWidthTranslatesAndNothingIsLeftAfterDestroy(_ text: String) throws {
    let table = try make(text)
    let ias = try LegacyList.configuration(text).number("ias")
    let page = table.pageSizes
    let last = (UInt64(1) << UInt64(ias)) - page
    for (iova, pa) in [(0, 0x4000), (last, 0xf_ffff_c000), (last / 2 & ~(page - 1), 0x8000)]
      as [(UInt64, UInt64)]
    {
      #expect(table.map(iova: iova, pa: pa, length: page, protection: [.read, .write]) == nil)
      #expect(table.translate(iova + page - 1) == pa + page - 1)
    }
    #expect(table.unmap(iova: last, length: page) == page)
    #expect(table.translate(last) == nil && table.translate(0) == 0x4000)
    table.memory.recordDetach()
    table.destroy()
    #expect(table.memory.livePages == 0)
    #expect(table.memory.machine.violations.isEmpty && violations(table).isEmpty)
  }

  @Test(
    arguments: [
      ("dart", 0xf_ff00_0000), ("dart:granule=4k", 0xf_ff00_0000),
      ("dart:version=2,ias=42,oas=42", 0x3ff_ff00_0000),
      ("dart:version=2,oas=42", 0x2aa_aaa0_0000),
    ] as [(String, UInt64)])
  func pointersHoldTheHighestAddresses(_ text: String, _ base: UInt64) throws {
    let table = try make(text, base: base, reserve: 4 << 20)
    #expect(table.map(iova: 0x4000_0000 - 0x8000, pa: 0x8000, length: 0x8000, protection: .read) == nil)
    #expect(table.translate(0x4000_0000 - 1) == 0xffff)
    #expect(try table.image(in: table.memory.machine).words.allSatisfy { $0.child == nil || $0.value == 1 })
    table.memory.recordDetach()
    table.destroy()
    #expect(table.memory.livePages == 0 && violations(table).isEmpty)
  }

  @Test func memoryThatNoPointerReachesIsRefused() throws {
    #expect(throws: ConfigurationError.self) { try make("dart", base: 1 << 36) }
    #expect(throws: ConfigurationError.self) { try make("dart:version=2,oas=42", base: 1 << 42) }
    #expect(throws: Never.self) { try make("dart:version=2,oas=42", base: 1 << 41) }
  }

  @Test func aTableThatNoPointerReachesIsGivenBack() throws {
    // The first MiB, 64 tables, can be reached.
    let table = try make("dart", base: (1 << 36) - (1 << 20))
    var outcome: LinuxErrno?
    var iova: UInt64 = 0
    while outcome == nil, iova < 1 << 32 {
      outcome = table.map(iova: iova, pa: iova, length: 0x4000, protection: .read)
      iova += 1 << 25
    }
    #expect(outcome == .enomem && iova == 64 << 25)
    #expect(table.translate(62 << 25) == 62 << 25)
    #expect(table.memory.livePages == 64 * 4)
  }

  @Test func aVersion2PointerHasNoPlaceForBits13And12() throws {
    let table = try make("dart:version=2,granule=4k")
    #expect(table.map(iova: 0, pa: 0, length: 0x1000, protection: .read) == nil)
    #expect(table.map(iova: 1 << 21, pa: 0, length: 0x1000, protection: .read) == .enomem)
    #expect(table.memory.livePages == 5 && table.translate(0xfff) == 0xfff)
  }

  @Test func aRootThatCannotBeAllocatedLeavesNothing() throws {
    let machine = try SimulatedMachine(reserve: 16 << 20)
    let memory = RecordingMemory(machine: machine)
    machine.allocationBudget = 3
    #expect(throws: LinuxErrno.enomem) {
      try DARTPageTable(DARTGeometry(LegacyList.configuration("dart:granule=4k")), memory: memory)
    }
    #expect(machine.livePages == 0)
  }

  @Test func noMemoryInTheMiddleOfAMapIsRolledBack() throws {
    let table = try make("dart:version=2,ias=42,oas=42")
    let machine = table.memory.machine
    let end: UInt64 = 1 << 36
    #expect(table.map(iova: end - 0x4000, pa: 0, length: 0x4000, protection: .read) == nil)
    #expect(table.unmap(iova: end - 0x4000, length: 0x4000) == 0x4000)
    // The range's second half needs two tables; there is memory for one.
    machine.allocationBudget = 4
    #expect(table.map(iova: end - 0x4000, pa: 0, length: 0x8000, protection: .read) == .enomem)
    #expect(table.translate(end - 0x4000) == nil && table.translate(end) == nil)
    let left = table.mapRange(iova: end - 0x4000, pa: 0, length: 0x8000, protection: .read)
    #expect(left == MapOutcome(.enomem, mapped: 0x4000) && table.translate(end - 1) == 0x3fff)
    machine.allocationBudget = nil
    #expect(table.map(iova: end, pa: 0x4000, length: 0x4000, protection: .read) == nil)
    #expect(table.memory.livePages == 5 * 4)
  }

  @Test func addressesAboveTheRootsAreRefused() throws {
    let table = try make("dart:granule=4k,ias=31")
    #expect(table.roots.count == 2)
    let beyond = table.mapPages(iova: 1 << 31, pa: 0, pageSize: 0x1000, count: 1, protection: .read)
    #expect(beyond == MapOutcome(.enomem, mapped: 0) && table.translate(1 << 31) == nil)
    _ = table.memory.takeNotes()
    #expect(table.unmap(iova: 1 << 31, length: 0x1000) == 0)
    #expect(table.memory.takeNotes() == [.warn])
  }

  @Test func oneCallStopsAtTheTablesEnd() throws {
    let table = try make("dart")
    let outcome = table.mapPages(
      iova: (1 << 25) - 0x8000, pa: 0, pageSize: 0x4000, count: 5, protection: .read)
    #expect(outcome == MapOutcome(nil, mapped: 0x8000))
    var gather = LegacyGather()
    #expect(table.unmapPages(iova: (1 << 25) - 0x8000, pageSize: 0x4000, count: 5, gather: &gather) == 0x8000)
    #expect(gather.first == (1 << 25) - 0x8000 && gather.last == (1 << 25) - 1)
  }

  @Test func mapsAndUnmapsAreSynchronised() throws {
    let table = try make("dart")
    _ = table.memory.takeNotes()
    #expect(table.map(iova: 0x8000, pa: 0, length: 0x8000, protection: .read) == nil)
    #expect(table.unmap(iova: 0x8000, length: 0xc000) == 0x8000)
    #expect(
      table.memory.takeNotes() == [
        .sync(first: 0x8000, last: 0xffff, released: 0), .warn, .warn,
        .sync(first: 0x8000, last: 0xffff, released: 0),
      ])
  }

  @Test func aLeafInTheWayLeavesTheWholeRunAlone() throws {
    let table = try make("dart")
    #expect(table.map(iova: 0xc000, pa: 0x8000, length: 0x4000, protection: .write) == nil)
    let before = try table.image(in: table.memory.machine)
    #expect(table.map(iova: 0, pa: 0, length: 0x10000, protection: .read) == .eexist)
    #expect(try table.image(in: table.memory.machine) == before)
    #expect(table.memory.takeNotes().last == .warn)
  }

  @Test func theRootOfLowAddressesIsAnnouncedLast() throws {
    let table = try make("dart:granule=4k")
    let tops = table.memory.events.compactMap { event -> UInt64? in
      if case .topChange(let physical, level: 1) = event { physical } else { nil }
    }
    #expect(tops.count == 4 && tops == table.roots.reversed().map(\.physical))
    for root in 0..<UInt64(4) {
      #expect(table.map(iova: root << 30, pa: root << 12, length: 0x1000, protection: .read) == nil)
    }
    let image = try table.image(in: table.memory.machine)
    #expect(image.words.filter { $0.child != nil }.map(\.table) == [0, 2, 4, 6])
    #expect(violations(table).isEmpty)
  }

  @Test(
    arguments: [
      ("dart:oas=40", .enomem), ("dart:ias=37", .enomem), ("dart:granule=4k,ias=42,oas=42", .enomem),
      ("dart:pgsizes=0x1000", .einval), ("dart:pgsizes=0x5000", .einval),
    ] as [(String, LinuxErrno)])
  func configurationsThatLinuxRefuses(_ text: String, _ errno: LinuxErrno) throws {
    let configuration = try LegacyList.configuration(text)
    do {
      _ = try DARTGeometry(configuration)
      Issue.record("\(text) is accepted")
    } catch let error as ConfigurationError {
      #expect(error.errno == errno)
    }
  }
}
