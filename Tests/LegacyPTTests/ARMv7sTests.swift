// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

private typealias Subject = ARMSubject<ARMv7sTable<RecordingMemory>>

private func make(_ text: String, base: UInt64 = 0x8000_0000, reserve: UInt64 = 4 << 20) throws -> Subject {
  try Subject(text, base: base, reserve: reserve) { try ARMv7sTable(ARMv7sShape($0), memory: $1) }
}

private let mediaTek = "armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext+mtk_ttbr_ext"

@Suite struct ARMv7sTests {
  @Test(arguments: ARMv7s.testConfigurations)
  func theWholeWidthTranslatesAndNothingIsLeftAfterDestroy(_ text: String) throws {
    let subject = try make(text)
    let shape = subject.table.shape
    let end: UInt64 = 1 << UInt64(shape.inputBits)
    let highest: UInt64 = 1 << UInt64(shape.outputBits)
    var iova = end
    for size: UInt64 in [0x1000, 0x1_0000, 0x10_0000, 0x100_0000] where shape.pageSizes & size != 0 {
      iova = (iova - size) & ~(size - 1)
      let pa = highest - size
      #expect(subject.map(iova, pa, size) == .ok)
      #expect(subject.run(.phys(iova: iova + size - 1)) == .physical(highest - 1))
      #expect(subject.unmap(iova, size) == .unmapped(size))
      #expect(subject.run(.phys(iova: iova)) == .physical(nil))
      #expect(subject.map(iova, pa, size, .read) == .ok)
    }
    #expect(subject.map(end, 0, 0x1000) == .failed(.erange))
    let last = subject.destroyed()
    #expect(last.pages == 0 && last.broken.isEmpty && last.misuse.isEmpty)
  }

  @Test(
    arguments: [
      ("armv7s", 0xffc0_0000, 1), ("armv7s:quirks=ns", 0xaaa0_0000, 9),
      (mediaTek, 0x7_ffc0_0000, 1), (mediaTek, 0x5_5550_0000, 1), (mediaTek, 0x2_aaa0_0000, 1),
    ] as [(String, UInt64, UInt64)])
  func pointersHoldTheHighestAddresses(_ text: String, _ base: UInt64, _ bits: UInt64) throws {
    let subject = try make(text, base: base)
    for section: UInt64 in 0..<8 {
      #expect(subject.map(section << 20 | 0x1000, section << 20, 0x1000) == .ok)
      #expect(subject.run(.phys(iova: section << 20 | 0x1abc)) == .physical(section << 20 | 0xabc))
    }
    let pointers = try subject.table.image(in: subject.machine).words.filter { $0.child != nil }
    #expect(pointers.count == 8 && pointers.allSatisfy { $0.value == bits })
    let last = subject.destroyed()
    #expect(last.pages == 0 && last.broken.isEmpty && last.misuse.isEmpty)
  }

  @Test func tablesThatNoPointerReachesAreGivenBack() throws {
    #expect(throws: LinuxErrno.enomem) { try make("armv7s", base: 1 << 32) }
    #expect(throws: LinuxErrno.enomem) {
      try make("armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext", base: 1 << 32)
    }
    #expect(throws: LinuxErrno.enomem) { try make(mediaTek, base: 1 << 35) }
    // The root takes 4 of the 256 pages within reach.
    let subject = try make("armv7s", base: (1 << 32) - (1 << 20))
    var result = OperationResult.ok
    var iova: UInt64 = 0
    while result == .ok, iova < 1 << 32 {
      result = subject.map(iova, iova, 0x1000)
      iova += 1 << 20
    }
    #expect(result == .failed(.enomem) && iova == 253 << 20 && subject.memory.livePages == 256)
    #expect(subject.run(.phys(iova: 251 << 20)) == .physical(251 << 20))
    #expect(subject.destroyed().pages == 0)
  }

  @Test func noMemoryInTheMiddleOfAMapIsRolledBack() throws {
    let subject = try make("armv7s:coherent=0")
    // Room for four tables, three sections of which are in use.
    subject.run(.allocationBudget(pages: 1))
    for section: UInt64 in 0..<3 { #expect(subject.map(section << 20, 0, 0x1000) == .ok) }
    let start: UInt64 = (4 << 20) - 0x2000
    #expect(subject.map(start, 0x1000, 0x4000) == .failed(.enomem))
    #expect(subject.run(.phys(iova: start)) == .physical(nil))
    #expect(
      subject.run(.mapPages(iova: start, pa: 0, pageSize: 0x1000, count: 4, protection: .read))
        == .failedMapped(.enomem, 0x2000))
    let last = subject.destroyed()
    #expect(last.pages == 0 && last.broken.isEmpty && last.misuse.isEmpty)
  }

  /// Tables installed, cleared, replaced by sections, and, in the old era, leaves split.
  private func exercise(_ subject: Subject) {
    _ = subject.map(0xf_f000, 0, 0x2000)
    _ = subject.unmap(0x10_0000, 0x1000)
    _ = subject.map(0x10_0000, 0, 0x10_0000)
    _ = subject.map(0x20_0000, 0, 0x1_0000)
    _ = subject.unmap(0x20_3000, 0x1000)
    _ = subject.unmap(0x10_4000, 0x1000)
    _ = subject.map(0x100_0000, 0, 0x100_0000)
    _ = subject.unmap(0x100_0000, 0x10_0000)
    _ = subject.unmap(0, 0x10_0000)
    _ = subject.unmap(0x20_0000, 0x10_0000)
  }

  @Test(arguments: [
    "armv7s:coherent=0", "armv7s:coherent=0,era=6.12",
    "armv7s:ias=34,oas=35,coherent=0,quirks=no_perms+mtk_ext+mtk_ttbr_ext",
  ])
  func walkersThatDoNotSnoopSeeEverything(_ text: String) throws {
    let subject = try make(text)
    exercise(subject)
    #expect(subject.broken().isEmpty)
    let seen = try subject.table.image(in: subject.memory.walkerView)
    #expect(try seen == subject.table.image(in: subject.machine) && !seen.words.isEmpty)
    #expect(subject.destroyed().broken.isEmpty)
  }

  @Test func theChecksSeeAMissingFlushOrSync() throws {
    let subject = try make("armv7s:coherent=0")
    exercise(subject)
    let unflushed = Set(subject.broken { $0.isFlush })
    #expect(unflushed.isSuperset(of: [.flushBeforeInstall, .flushBeforeSync, .flushByEndOfOperation]))
    let unsynced = Set(subject.broken { $0.isSync })
    #expect(unsynced.isSuperset(of: [.syncBeforeRelease, .unmapIsSynced]))
  }

  @Test func aTableGoesAtOnceBehindAWalkFlush() throws {
    let subject = try make("armv7s")
    #expect(subject.map(0x10_0000, 0, 0x1000) == .ok && subject.map(0x20_0000, 0, 0x10_0000) == .ok)
    let unmap = Operation.unmapPages(iova: 0x10_0000, pageSize: 0x10_0000, count: 2)
    #expect(subject.run(unmap) == .unmapped(0x20_0000))
    #expect(
      subject.notes == [
        .sync(first: 0x10_0000, last: 0x1f_ffff, released: 1),
        .sync(first: 0x20_0000, last: 0x2f_ffff, released: 0),
      ])
    #expect(subject.memory.livePages == 4 && subject.broken().isEmpty)
  }

  @Test func contiguousLeavesAreSixteenEqualWords() throws {
    let subject = try make("armv7s")
    #expect(subject.map(0x1_0000, 0x5_0000, 0x1_0000, [.read, .noexec]) == .ok)
    #expect(subject.map(0x300_0000, 0x500_0000, 0x100_0000) == .ok)
    let words = try subject.table.image(in: subject.machine).words
    let pages = words.filter { $0.level == 0 }
    #expect(pages.map(\.index) == Array(16..<32) && Set(pages.map(\.value)).count == 1)
    let sections = words.filter { $0.level == 1 && $0.child == nil }
    #expect(sections.map(\.index) == Array(48..<64) && Set(sections.map(\.value)).count == 1)
    #expect(sections[0].value & 0xff04_0003 == 0x504_0002 && pages[0].value & 0xffff_8003 == 0x5_8001)
  }

  @Test func partOfALeafInBothEras() throws {
    let new = try make("armv7s")
    #expect(new.map(0, 0, 0x10_0000) == .ok && new.map(0x10_0000, 0, 0x1_0000) == .ok)
    #expect(new.unmap(0x3000, 0x1000) == .unmapped(0) && new.unmap(0x10_3000, 0x1000) == .unmapped(0))
    #expect(new.notes == [.warn, .warn])

    let old = try make("armv7s:era=6.12")
    #expect(old.map(0x4_0000, 0x7_0000, 0x1_0000) == .ok)
    #expect(old.unmap(0x4_3000, 0x1000) == .unmapped(0x1000))
    #expect(old.run(.phys(iova: 0x4_2fff)) == .physical(0x7_2fff))
    #expect(old.run(.phys(iova: 0x4_3000)) == .physical(nil))
    #expect(
      old.notes == [
        .sync(first: 0x4_3000, last: 0x5_2fff, released: 0),
        .sync(first: 0x4_3000, last: 0x4_3fff, released: 0),
      ])
    // Linux loses the address of a section, and gives up on all but the first of a supersection.
    #expect(old.map(0x10_0000, 0x8000_0000, 0x10_0000) == .ok)
    #expect(old.unmap(0x10_0000, 0x1000) == .unmapped(0x1000))
    #expect(old.run(.phys(iova: 0x10_2000)) == .physical(0x2000))
    #expect(old.map(0x100_0000, 0x8100_0000, 0x100_0000) == .ok)
    let pages = old.memory.livePages
    #expect(old.unmap(0x110_0000, 0x1000) == .unmapped(0))
    #expect(old.memory.livePages == pages && old.run(.phys(iova: 0x110_0000)) == .physical(0x8110_0000))
    #expect(old.unmap(0x100_0000, 0x1000) == .unmapped(0x1000))
    let last = old.destroyed()
    #expect(last.pages == 0 && last.broken.isEmpty && last.misuse.isEmpty)
  }

  @Test func nothingIsWrittenBehindATable() throws {
    let subject = try make("armv7s")
    #expect(subject.map(0xf_f000, 0, 0x1000) == .ok)
    // Sizes and addresses that no caller should combine.
    for (iova, size) in [(0xf_f000, 0x1_0000), (0xfff0_0000, 0x100_0000), (0, 0x200_0000), (0, 0x800)]
      as [(UInt64, UInt64)]
    {
      let map = Operation.mapPages(iova: iova, pa: 0, pageSize: size, count: 1, protection: .read)
      #expect(subject.run(map) == .failedMapped(.einval, 0))
      #expect(subject.run(.unmapPages(iova: iova, pageSize: size, count: 1)) == .unmapped(0))
    }
    #expect(subject.run(.phys(iova: 0xf_f000)) == .physical(0))
    #expect(subject.destroyed().misuse.isEmpty)
  }

  @Test func onlyTheFirstAddressIsChecked() throws {
    let subject = try make("armv7s")
    let map = Operation.mapPages(
      iova: 0xffff_f000, pa: 0x1000, pageSize: 0x1000, count: 2, protection: .read)
    #expect(subject.run(map) == .okMapped(0x2000))
    #expect(subject.run(.phys(iova: 0)) == .physical(0x2000))
  }

  @Test(arguments: [
    "armv7s:ias=33", "armv7s:oas=33", "armv7s:quirks=mtk_ext", "armv7s:quirks=mtk_ttbr_ext+no_perms",
    "armv7s:ias=35,quirks=mtk_ext+no_perms", "armv7s:oas=36,quirks=mtk_ext+no_perms",
  ])
  func whatLinuxRefuses(_ text: String) throws {
    let configuration = try LegacyList.configuration(text)
    #expect { try ARMv7sShape(configuration) } throws: {
      ($0 as? ConfigurationError)?.errno == .einval
    }
  }
}
