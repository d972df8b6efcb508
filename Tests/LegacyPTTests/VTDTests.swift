// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

typealias RecordedVTD = VTDPageTable<RecordingMemory>

func makeVTD(
  _ text: String, base: UInt64 = 0x1_0000_0000, reserve: UInt64 = 16 << 20
) throws -> RecordedVTD {
  let configuration = try LegacyList.configuration(text)
  let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
  let memory = RecordingMemory(machine: machine, incoherent: configuration.text("coherent") == "0")
  return try VTDPageTable(VTDSettings(configuration), memory: memory)
}

extension LegacyPageTable where Memory == RecordingMemory {
  /// Runs one line of the golden grammar; returns its result.
  @discardableResult
  func perform(_ line: String) throws -> String {
    let operation = try Operation(text: line)
    memory.beginOperation(operation)
    let result = run(operation) { memory.machine.allocationBudget = $0 }
    memory.endOperation(result)
    return result.text
  }

  /// What the checker says of all that happened so far.
  func violations() -> [EventViolation] {
    EventChecker.check(memory.events, incoherent: memory.isIncoherent)
  }

  /// The syncs since the last call of `RecordingMemory.takeEvents`.
  var syncs: [InvalidationRequest] {
    memory.events.compactMap { if case .sync(let request) = $0 { request } else { nil } }
  }

  /// Destroys the page table; returns how many pages of tables are left.
  func pagesAfterDestroy() -> Int {
    memory.recordDetach()
    destroy()
    return memory.livePages
  }

  func words() throws -> [String] { try image(in: memory.machine).lines }
}

/// What the oracle cannot show of the VT-d driver's code.
@Suite struct VTDTests {
  @Test(arguments: VTDFamily.testConfigurations)
  func theEndsOfTheDomainTranslateAndNothingIsLeftAfterDestroy(_ text: String) throws {
    let table = try makeVTD(text)
    let last: UInt64 = 1 << UInt64(table.settings.domainPageBits + 12) - 0x1000
    for iova in [0, last, last / 2 & ~0xfff] {
      #expect(table.map(iova: iova, pa: 0x7_0000, length: 0x1000, protection: [.read, .write]) == nil)
      #expect(table.translate(iova + 0xfff) == 0x7_0fff)
    }
    #expect(table.map(iova: last + 0x1000, pa: 0, length: 0x1000, protection: .read) == .efault)
    #expect(table.map(iova: 1 << 30, pa: 1 << 30, length: 1 << 30, protection: .read) == nil)
    #expect(table.translate(0x7fff_ffff) == 0x7fff_ffff)
    #expect(table.unmap(iova: last, length: 0x1000) == 0x1000)
    #expect(table.translate(last) == nil && table.translate(0) == 0x7_0000)
    #expect(table.violations().isEmpty)
    #expect(table.pagesAfterDestroy() == 0 && table.violations().isEmpty)
    #expect(table.memory.machine.violations.isEmpty)
  }

  @Test(arguments: [0, 0xf_ffff_fff0_0000, 0xa_aaaa_aaa0_0000] as [UInt64])
  func pointersHoldTheWholeAddress(_ base: UInt64) throws {
    let table = try makeVTD("vtdss:levels=5", base: base, reserve: 1 << 20)
    #expect(try table.perform("map 0x1fffffffffff000 0xffffffffff000 0x1000 rw") == "ok")
    #expect(table.translate(0x1ff_ffff_ffff_f123) == 0xf_ffff_ffff_f123)
    var pointers: [UInt64: UInt64] = [:]
    for case .tableInstall(let child, _, let value) in table.memory.events { pointers[child] = value }
    #expect(pointers.count == 4 && pointers.allSatisfy { $0.value == $0.key | 3 })
    #expect(table.pagesAfterDestroy() == 0 && table.violations().isEmpty)
  }

  @Test func aMapThatFailsInTheMiddleLeavesWhatItWrote() throws {
    let table = try makeVTD("vtdss:levels=3,superpages=0,coherent=0")
    try table.perform("allocbudget 2")
    #expect(try table.perform("mappages 0x1fe000 0x0 0x1000 4 rw") == "ENOMEM 0x0")
    #expect(table.translate(0x1f_f000) == 0x1000 && table.translate(0x20_0000) == nil)
    // What calls before had mapped is taken back.
    let other = try makeVTD("vtdss:levels=3")
    try other.perform("allocbudget 2")
    #expect(try other.perform("map 0x1fffff000 0x1fffff000 0x201000 rw") == "ENOMEM")
    #expect(other.translate(0x1_ffff_f000) == nil)
    for table in [table, other] {
      try table.perform("allocbudget unlimited")
      #expect(table.violations().isEmpty && table.pagesAfterDestroy() == 0)
    }
  }

  @Test func aTopThatCannotBeAllocatedIsENOMEM() throws {
    let machine = try SimulatedMachine(reserve: 16 << 20)
    machine.allocationBudget = 0
    let settings = try VTDSettings(LegacyList.configuration("vtdss"))
    #expect(throws: LinuxErrno.enomem) {
      try VTDPageTable(settings, memory: RecordingMemory(machine: machine))
    }
  }

  @Test func leavesThatAreThereStayWithAWarningEach() throws {
    let table = try makeVTD("vtdss:snoop=1")
    try table.perform("map 0x1000 0x1000 0x2000 r")
    #expect(!table.memory.takeNotes().contains(.warn))
    #expect(try table.perform("map 0x0 0x40000000 0x4000 rw") == "ok")
    #expect(table.memory.takeNotes().filter { $0 == .warn }.count == 2)
    #expect(
      try table.words().suffix(4) == [
        "T3 L0 [0x0] 0x40000803", "T3 L0 [0x1] 0x1801", "T3 L0 [0x2] 0x2801", "T3 L0 [0x3] 0x40003803",
      ])
  }

  @Test func anotherThreadsTableIsUsed() throws {
    let settings = try VTDSettings(LegacyList.configuration("vtdss:levels=3"))
    let table = try VTDPageTable(settings, memory: RivalMemory())
    #expect(table.mapAgainstRival() == [nil, 0x20_1000, 0x20_2000, 3, 0])
  }

  @Test func countsAndWrapsAreTakenAsLinuxTakesThem() throws {
    let table = try makeVTD("vtdss")
    #expect(try table.perform("mappages 0x1000 0x0 0x1000 0 rw") == "ok 0x0")
    // The last of no pages is the one before the first.
    #expect(try table.perform("mappages 0x0 0x0 0x1000 0 rw") == "EINVAL 0x0")
    #expect(try table.perform("mappages 0xfffffffffffff000 0x0 0x1000 1 rw") == "EINVAL 0x0")
    #expect(try table.perform("mappages 0xffffffffffff0000 0x0 0x1000 1 rw") == "EFAULT 0x0")
    #expect(try table.perform("unmappages 0xfffffffffffff000 0x1000 1") == "0x0")
    #expect(table.memory.takeNotes().contains(.warn) == false && table.memory.livePages == 1)
    // An unmap that leaves the domain does nothing but warn, and yet counts.
    #expect(try table.perform("unmappages 0xffffffff0000 0x1000 4294967296") == "0x100000000000")
    #expect(table.memory.takeNotes().contains(.warn))
  }

  @Test func whatASuperpageMapsIsNoTable() throws {
    let table = try makeVTD("vtdss:superpages=1")
    // The page that the superpage maps holds the tables themselves: Linux's walk would write into them.
    try table.perform("map 0x8000000000 0x0 0x1000 rw")
    try table.perform("map 0x200000 0x100000000 0x200000 rw")
    let before = try table.words()
    #expect(try table.perform("mappages 0x201000 0x0 0x1000 1 rw") == "ENOMEM 0x0")
    #expect(try table.perform("unmappages 0x201000 0x1000 1") == "0x200000")
    #expect(try table.words() == before && table.translate(0x20_1000) == 0x1_0000_1000)
  }

  @Test func theWholeDomainGoesWithItsTop() throws {
    let table = try makeVTD("vtdss:levels=3")
    try table.perform("map 0x1000 0x1000 0x1000 rw")
    _ = table.memory.takeEvents()
    #expect(try table.perform("unmappages 0x0 0x1000 134217728") == "0x8000000000")
    #expect(table.syncs.map(\.released) == [3] && table.memory.livePages == 0)
    #expect(table.roots.isEmpty && table.translate(0x1000) == nil)
    #expect(try table.words().isEmpty)
    #expect(try table.perform("mappages 0x1000 0x0 0x1000 1 rw") == "ENOMEM 0x0")
    #expect(try table.perform("unmap 0x1000 0x1000") == "0x0")
    #expect(table.pagesAfterDestroy() == 0 && table.memory.machine.violations.isEmpty)
  }

  @Test func refusals() throws {
    #expect(throws: ConfigurationError.self) { try makeVTD("vtdss:ias=38") }
    #expect(throws: ConfigurationError.self) { try makeVTD("x86_64:use=vtdfs,levels=5,ias=47") }
    #expect(try makeVTD("vtdss:ias=39").settings.domainPageBits == 27)
    #expect(try makeVTD("vtdss:ias=57").settings.domainPageBits == 36)
    let slugs = VTDFamily.testConfigurations.compactMap { try? LegacyList.configuration($0).slug }
    #expect(Set(slugs).count == VTDFamily.testConfigurations.count)
    #expect(slugs.contains("vtdss.levels3.sp1.coherent0") && slugs.contains("x86_64.vtdfs.ias42"))
  }
}
