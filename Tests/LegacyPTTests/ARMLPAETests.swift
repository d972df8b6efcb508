// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

typealias LPAESubject = ARMSubject<ARMLPAETable<RecordingMemory>>

func makeLPAE(_ text: String, base: UInt64 = 0x8000_0000, reserve: UInt64 = 16 << 20) throws -> LPAESubject {
  try LPAESubject(text, base: base, reserve: reserve) { try ARMLPAETable(ARMLPAEShape($0), memory: $1) }
}

@Suite struct ARMLPAETests {
  @Test(arguments: ARMLPAE.testConfigurations)
  func theWholeWidthTranslatesAndNothingIsLeftAfterDestroy(_ text: String) throws {
    let subject = try makeLPAE(text)
    let shape = subject.table.shape
    let page = UInt64(1) << UInt64(shape.granuleLog2)
    let upper = shape.quirks.contains("ttbr1") ? ~UInt64(0) << UInt64(shape.inputBits) : 0
    let last = upper &+ (1 << UInt64(shape.inputBits)) &- page
    let highest = (UInt64(1) << UInt64(shape.outputBits)) - page
    for (iova, pa) in [(upper, page), (last, highest), (upper | 5 << 29, page * 2)] {
      #expect(subject.map(iova, pa, page) == .ok)
      #expect(subject.run(.phys(iova: iova | (page - 1))) == .physical(pa | (page - 1)))
    }
    #expect(subject.unmap(last, page) == .unmapped(page))
    #expect(subject.run(.phys(iova: last)) == .physical(nil))
    #expect(subject.run(.phys(iova: upper)) == .physical(page))
    let outside = upper == 0 ? UInt64(1) << UInt64(shape.inputBits) : 0
    #expect(subject.map(outside, 0, page) == .failed(.erange))
    let end = subject.destroyed()
    #expect(end.pages == 0 && end.broken.isEmpty && end.misuse.isEmpty)
  }

  @Test(
    arguments: [
      ("armv8", 0xffff_ff00_0000), ("armv8:granule=16k", 0xaaaa_aaa0_0000),
      ("armv8:granule=64k,ias=52,oas=52", 0xf_ffff_ff00_0000),
      ("armv8:granule=64k,ias=52,oas=52,quirks=ns", 0x5_5555_5550_0000),
      ("armv8:stage=2,granule=64k,ias=52,oas=52,coherent=0", 0xa_0000_0000_0000),
      ("arm_lpae32:stage=2,ias=40", 0xffff_ff00_0000), ("mali", 0xff_ff00_0000),
    ] as [(String, UInt64)])
  func pointersHoldTheHighestAddresses(_ text: String, _ base: UInt64) throws {
    let subject = try makeLPAE(text, base: base, reserve: 16 << 20)
    let page = UInt64(1) << UInt64(subject.table.shape.granuleLog2)
    #expect(subject.map(0x4000_0000 - page, page, page * 2) == .ok)
    #expect(subject.run(.phys(iova: 0x4000_0000)) == .physical(page * 2))
    let pointers = try subject.table.image(in: subject.machine).words.filter { $0.child != nil }
    let flag = UInt64(subject.table.coherent ? 0 : 1) << 55
    let nonSecure = UInt64(subject.table.shape.quirks.contains("ns") ? 1 : 0) << 63
    #expect(!pointers.isEmpty && pointers.allSatisfy { $0.value == 3 | flag | nonSecure })
    let end = subject.destroyed()
    #expect(end.pages == 0 && end.broken.isEmpty && end.misuse.isEmpty)
  }

  @Test func tablesThatNoPointerReachesAreGivenBack() throws {
    // All but the first MiB is out of reach of 48 bits.
    let subject = try makeLPAE("armv8", base: (1 << 48) - (1 << 20), reserve: 4 << 20)
    var result = OperationResult.ok
    var iova: UInt64 = 0
    while result == .ok, iova < 1 << 32 {
      result = subject.map(iova, iova, 0x1000)
      iova += 1 << 21
    }
    #expect(result == .failed(.enomem) && subject.memory.livePages == 256)
    #expect(subject.run(.phys(iova: 1 << 21)) == .physical(1 << 21))
    #expect(subject.destroyed().pages == 0)
    // 64K tables reach beyond.
    let wide = try makeLPAE("armv8:granule=64k,ias=52,oas=52", base: 1 << 48, reserve: 4 << 20)
    #expect(wide.map(0, 0, 0x10000) == .ok)
  }

  @Test func noMemoryInTheMiddleOfAMapIsRolledBack() throws {
    let subject = try makeLPAE("armv8:coherent=0")
    let start: UInt64 = (1 << 30) - 0x2000
    #expect(subject.map(start, 0, 0x1000) == .ok)
    #expect(subject.unmap(start, 0x1000) == .unmapped(0x1000))
    // The second half needs two more tables; there is memory for one.
    subject.run(.allocationBudget(pages: 1))
    #expect(subject.map(start, 0, 0x4000) == .failed(.enomem))
    #expect(subject.run(.phys(iova: start)) == .physical(nil))
    #expect(
      subject.run(.mapRange(iova: start, pa: 0, length: 0x4000, protection: .read))
        == .failedMapped(.enomem, 0x2000))
    subject.run(.allocationBudget(pages: nil))
    #expect(subject.map(1 << 30, 0, 0x2000) == .ok)
    #expect(subject.run(.phys(iova: start + 0x1fff)) == .physical(0x1fff))
    let end = subject.destroyed()
    #expect(end.pages == 0 && end.broken.isEmpty && end.misuse.isEmpty)
  }

  @Test(arguments: [
    ("armv8", 0x1000, 0x20_0000, 511), ("armv8:granule=16k", 0x4000, 0x200_0000, 2047),
    ("armv8:granule=64k", 0x1_0000, 0x2000_0000, 8191),
  ])
  func aCallEndsWithTheTable(_ text: String, _ page: UInt64, _ block: UInt64, _ last: UInt64) throws {
    let subject = try makeLPAE(text)
    let start = last * page
    let map = Operation.mapPages(iova: start, pa: 0, pageSize: page, count: 7, protection: .read)
    #expect(subject.run(map) == .okMapped(page))
    #expect(subject.run(.unmapPages(iova: start, pageSize: page, count: 7)) == .unmapped(page))
    #expect(subject.notes == [.sync(first: start, last: block - 1, released: 0)])
  }

  @Test func concatenatedTablesCountApart() throws {
    let subject = try makeLPAE("armv8:stage=2,ias=40,oas=40")
    #expect(subject.table.roots.map(\.level) == [2] && subject.memory.livePages == 2)
    let map = Operation.mapPages(
      iova: 511 << 30, pa: 0, pageSize: 1 << 30, count: 5, protection: .read)
    #expect(subject.run(map) == .okMapped(1 << 30))
    // The core calls again for the second table.
    #expect(subject.unmap(511 << 30, 1 << 30) == .unmapped(1 << 30))
    #expect(subject.map(511 << 30, 0, 2 << 30) == .ok)
    #expect(subject.run(.phys(iova: 512 << 30)) == .physical(1 << 30))
  }

  @Test(
    arguments: [
      // Levels and words of the root, in both eras.
      ("armv8:stage=2,ias=43,oas=44", 3, 16, 2, 8192), ("armv8:stage=2,ias=44,oas=44", 3, 32, 3, 32),
      ("armv8:stage=2,ias=42,oas=42", 2, 4096, 2, 4096), ("armv8:stage=2,ias=40,oas=40", 2, 1024, 2, 1024),
      ("armv8:stage=2,granule=16k,ias=48,oas=48", 2, 4096, 2, 4096),
      ("armv8:stage=2,granule=16k,ias=40,oas=40", 1, 32768, 2, 16), ("armv8:stage=1,ias=40", 3, 2, 3, 2),
      ("armv8:stage=2,granule=64k,ias=43,oas=44", 2, 2, 2, 2), ("mali:ias=33", 3, 1, 3, 1),
    ])
  func rootsOfBothEras(_ text: String, _ level: Int, _ words: Int, _ oldLevel: Int, _ oldWords: Int) throws {
    for (text, level, words) in [(text, level, words), (text + ",era=6.12", oldLevel, oldWords)] {
      let shape = try ARMLPAEShape(LegacyList.configuration(text))
      #expect(shape.topLevel == level && 1 << shape.rootIndexBits == words)
    }
  }

  @Test(arguments: [
    "armv8:stage=2,ias=48,oas=40", "armv8:stage=2,granule=16k,ias=42,oas=40", "armv8:oas=50,granule=64k",
    "armv8:quirks=outer_wbwa", "armv8:quirks=s2fwb", "armv8:stage=2,quirks=ns",
    "armv8:quirks=no_warn,era=6.12",
    "armv8:granule=64k,pgsizes=0x1000", "armv8:granule=16k,pgsizes=0x5000", "armv8:pgsizes=0x200000",
    "arm_lpae32:ias=33", "arm_lpae32:stage=2,ias=41", "arm_lpae32:oas=42", "mali:oas=42", "mali:ias=49",
  ])
  func whatLinuxRefuses(_ text: String) throws {
    let configuration = try LegacyList.configuration(text)
    #expect { try ARMLPAEShape(configuration) } throws: {
      ($0 as? ConfigurationError)?.errno == .einval
    }
  }

  @Test func aRangeBehindASmallRootStaysInItsPage() throws {
    let subject = try makeLPAE("armv8:granule=64k,ias=32,oas=32")
    let size: UInt64 = 1 << 29
    // The root has 8 words, its page 512.
    let map = Operation.mapPages(iova: size, pa: 0, pageSize: size, count: 100_000, protection: .read)
    #expect(subject.run(map) == .okMapped(511 * size))
    #expect(
      subject.run(.unmapPages(iova: size, pageSize: size, count: 100_000)) == .unmapped(511 * size))
    let end = subject.destroyed()
    #expect(end.pages == 0 && end.broken.isEmpty && end.misuse.isEmpty)
  }
}
