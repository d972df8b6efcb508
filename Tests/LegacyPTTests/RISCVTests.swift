// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

private func make(
  _ text: String, base: UInt64 = 0x1_0000_0000, reserve: UInt64 = 16 << 20
) throws -> RISCVPageTable<RecordingMemory> {
  let levels = try LegacyList.configuration(text).number("levels")
  let isHardwareDirty = try LegacyList.configuration(text).number("amo_hwad") != 0
  let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
  return try RISCVPageTable(
    topLevel: levels - 1, isHardwareDirty: isHardwareDirty, memory: RecordingMemory(machine: machine))
}

/// What the oracle cannot show of the RISC-V driver's code.
@Suite struct RISCVTests {
  @Test(arguments: RISCVFamily.testConfigurations)
  func theEndsOfTheSpaceTranslateAndNothingIsLeftAfterDestroy(_ text: String) throws {
    let table = try make(text)
    let last: UInt64 = 1 << UInt64(9 * (table.topLevel + 1) + 12) - 0x1000
    for iova in [0, last, last / 2 & ~0xfff] {
      #expect(table.map(iova: iova, pa: 0xff_ffff_ffff_f000, length: 0x1000, protection: .write) == nil)
      #expect(table.translate(iova + 0x123) == 0xff_ffff_ffff_f123)
    }
    let largest = UInt64(1) << UInt64(63 - table.pageSizes.leadingZeroBitCount)
    #expect(largest == (table.topLevel == 2 ? 1 << 30 : 1 << 39))
    #expect(table.unmap(iova: last, length: 0x1000) == 0x1000)
    #expect(table.translate(last) == nil && table.translate(0) != nil)
    #expect(table.map(iova: largest, pa: largest, length: largest, protection: .read) == nil)
    #expect(table.translate(2 * largest - 1) == 2 * largest - 1)
    #expect(table.pagesAfterDestroy() == 0 && table.violations().isEmpty)
    #expect(table.memory.machine.violations.isEmpty)
  }

  @Test(arguments: [0, 0xff_ffff_fff0_0000, 0xaa_aaaa_aaa0_0000] as [UInt64])
  func pointersHoldTheWholeAddress(_ base: UInt64) throws {
    let table = try make("riscv64:levels=5", base: base, reserve: 1 << 20)
    try table.perform("map 0xabcdef000 0x0 0x1000 rw")
    var pointers: [UInt64: UInt64] = [:]
    for case .tableInstall(let child, _, let value) in table.memory.events { pointers[child] = value }
    #expect(pointers.count == 4 && pointers.allSatisfy { $0.value == $0.key >> 2 | 1 })
    #expect(table.translate(0xa_bcde_f000) == 0)
  }

  @Test func memoryThatNoPointerReachesIsNotUsed() throws {
    #expect(throws: LinuxErrno.enomem) { try make("riscv64", base: 1 << 56) }
    // The first MiB can be reached; what cannot is given back.
    let table = try make("riscv64:levels=3", base: (1 << 56) - (1 << 20), reserve: 2 << 20)
    var errno: LinuxErrno?
    var iova: UInt64 = 0
    while errno == nil, iova < 1 << 38 {
      errno = table.map(iova: iova, pa: 0, length: 0x1000, protection: .read)
      iova += 1 << 30
    }
    #expect(errno == .enomem && table.memory.livePages == 256)
  }

  @Test func aMapThatFailsInTheMiddleSaysHowFarItCame() throws {
    let table = try make("riscv64:levels=3")
    try table.perform("allocbudget 2")
    #expect(try table.perform("mappages 0x1fe000 0x0 0x1000 4 rw") == "ENOMEM 0x2000")
    #expect(table.translate(0x1f_f000) == 0x1000)
    try table.perform("unmap 0x1fe000 0x2000")
    #expect(try table.perform("map 0x1fe000 0x0 0x4000 rw") == "ENOMEM")
    #expect(table.translate(0x1f_f000) == nil && table.memory.livePages == 3)
    try table.perform("allocbudget unlimited")
    #expect(try table.perform("map 0x1fe000 0x0 0x4000 rw") == "ok")
    #expect(table.violations().isEmpty && table.pagesAfterDestroy() == 0)
  }

  @Test func tablesUnderALeafGoAfterEverythingIsInvalidated() throws {
    let table = try make("riscv64")
    try table.perform("map 0x40000000 0x1000 0x1000 rw")
    try table.perform("map 0x40200000 0x1000 0x1000 rw")
    try table.perform("map 0x80000000 0x1000 0x1000 rw")
    #expect(table.memory.livePages == 7)
    // Two leaves in one call, one sync for the tables of both.
    #expect(try table.perform("map 0x40000000 0x0 0x80000000 rw") == "ok")
    #expect(table.syncs == [InvalidationRequest(first: 0, last: ~0, released: 5)])
    #expect(table.memory.livePages == 2 && table.translate(0x4020_0000) == 0x20_0000)
    #expect(table.violations().isEmpty)
    let unsynced = table.memory.events.filter { if case .sync = $0 { false } else { true } }
    #expect(
      EventChecker.check(unsynced, incoherent: false).filter { $0.rule == .syncBeforeRelease }.count == 5)
    #expect(table.pagesAfterDestroy() == 0)
  }

  @Test func aLeafOverALeafIsNotInvalidated() throws {
    let table = try make("riscv64")
    for pa in ["0x40000000", "0x40200000"] {
      #expect(try table.perform("map 0x200000 \(pa) 0x200000 r") == "ok")
    }
    #expect(table.translate(0x20_0000) == 0x4020_0000 && table.syncs.isEmpty)
  }

  @Test func otherSizesMapNothing() throws {
    let table = try make("riscv64:levels=3")
    for size in ["0x0", "0x800", "0x4000", "0x10000", "0x3000", "0x8000000000", "0x8000000000000000"] {
      #expect(try table.perform("mappages 0x0 0x0 \(size) 1 rw") == "ENOMEM 0x0")
    }
    #expect(table.memory.livePages == 1)
    #expect(try table.words().isEmpty)
  }

  @Test func anUnmapTakesWholeLeavesAndStopsAtHoles() throws {
    let table = try make("riscv64")
    try table.perform("map 0x1ff000 0x1ff000 0x202000 rw")
    try table.perform("map 0x402000 0x0 0x1000 rw")
    #expect(try table.perform("unmap 0x1ff000 0x204000") == "0x202000")
    let ranges = table.syncs.map { [$0.first, $0.last] }
    #expect(ranges == [[0x1f_f000, 0x1f_ffff], [0x20_0000, 0x3f_ffff], [0x40_0000, 0x40_0fff]])
    #expect(table.translate(0x40_2000) == 0)
    try table.perform("map 0x200000 0x200000 0x200000 rw")
    #expect(try table.perform("unmap 0x201000 0x1000") == "0x0")
    #expect(try table.perform("unmap 0x200000 0x1000") == "0x200000")
    #expect(table.violations().isEmpty && table.memory.livePages == 5)
  }

  @Test func gapsEndAGather() throws {
    let table = try make("riscv64")
    try table.perform("map 0x1000 0x0 0x4000 rw")
    var gather = LegacyGather()
    for page in [1, 2, 4] as [UInt64] {
      #expect(table.unmapFast(iova: page << 12, length: 0x1000, gather: &gather) == 0x1000)
    }
    #expect(table.syncs.map { [$0.first, $0.last] } == [[0x1000, 0x2fff]])
    table.synchronize(&gather)
    #expect(table.syncs.map { [$0.first, $0.last] } == [[0x1000, 0x2fff], [0x4000, 0x4fff]])
    table.synchronize(&gather)
    #expect(table.syncs.count == 2)
  }

  @Test func anotherThreadsTableIsUsed() throws {
    let table = try RISCVPageTable(topLevel: 2, isHardwareDirty: false, memory: RivalMemory())
    #expect(table.mapAgainstRival() == [nil, 0x20_1000, 0x20_2000, 3, 0])
  }

  @Test func thereIsNoDirtyTracking() throws {
    let table = try make("riscv64:amo_hwad=1")
    try table.perform("map 0x1000 0x1000 0x1000 rw")
    #expect(try table.perform("setdirty 0x1000") == "EOPNOTSUPP")
    #expect(try table.perform("dirty 0x1000 0x1000 keep") == "EOPNOTSUPP")
  }

  @Test func aTopThatCannotBeAllocatedIsENOMEM() throws {
    let machine = try SimulatedMachine(reserve: 16 << 20)
    machine.allocationBudget = 0
    #expect(throws: LinuxErrno.enomem) {
      try RISCVPageTable(topLevel: 3, isHardwareDirty: false, memory: RecordingMemory(machine: machine))
    }
  }
}
