// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Walk

/// D51397: registers in section 11.4, structures in chapter 9.
@Suite("Intel VT-d") struct IntelTests {
  private let rootTable: UInt64 = 0x10_0000
  private let contextTable: UInt64 = 0x10_1000
  // 00:04.0
  private let id = 0x20

  // MGAW 48 bits, SAGAW 3 to 5 levels.
  private static let cap: UInt64 = 47 << 16 | 0xe << 8

  private func registers(
    ecap: UInt64 = 1, gsts: UInt64 = 0xc000_0000, mode: UInt64 = 0, cap: UInt64 = IntelTests.cap
  ) throws -> RegisterValues {
    try RegisterValues(.intel, ["CAP": cap, "ECAP": ecap, "GSTS": gsts, "RTADDR": rootTable | mode << 10])
  }

  /// A machine with one device that has a context entry; 4 levels, DID 2.
  private func legacy(_ configuration: String, low: UInt64 = 1, high: UInt64 = 0x202) throws -> TestMachine {
    let machine = TestMachine()
    let root = try machine.build(configuration)
    machine.clear(rootTable)
    machine.clear(contextTable)
    machine.write([contextTable | 1, 0], at: rootTable)
    machine.write([root.physical | low, high], at: contextTable + UInt64(id * 16))
    return machine
  }

  @Test("legacy mode leads to the second stage, and every word of it is the golden encoder's")
  func legacyMode() throws {
    let machine = try legacy("vtdss:level=3")
    let (device, scan, comparison) = try machine.walker(registers()).only(TestMachine.usual)
    #expect(device.name == "00:04.0" && device.domain == "DID 2" && device.stage == "second stage")
    #expect(device.formats.first?.description == "vtdss:va=48,level=3,features=flush_range")
    #expect(device.root?.level == 3)
    #expect(comparison.isEqual, "\(comparison.findings)")
    #expect(comparison.leafCount == 6 && comparison.pageCount == 3 + 512 + 262144 + 1)
    #expect(scan.leaves.map(\.size).max() == 1 << 30)
    #expect(comparison.tableCount == scan.tables.count && comparison.wordCount == 6 + scan.tables.count - 1)
    let last = try #require(scan.leaves.first { $0.iova == 0x8765_4000 })
    #expect(last.read && !last.write && last.words == [0x1234_5001])
  }

  @Test(
    "the mark that Linux leaves for walkers that do not snoop is the software's choice there, and nowhere else"
  )
  func flushMark() throws {
    let marked = try legacy("vtdss:level=3,features=flush_range+dma_incoherent")
    let (_, _, comparison) = try marked.walker(registers(ecap: 0)).only(TestMachine.usual)
    #expect(comparison.isEqual)
    #expect(comparison.format.flags("features").contains("dma_incoherent"))
    let plain = try legacy("vtdss:level=3")
    #expect(try plain.walker(registers(ecap: 0)).only(TestMachine.usual).comparison.isEqual)
    let wrong = try marked.walker(registers(ecap: 1)).only(TestMachine.usual).comparison
    #expect(wrong.findingCount == wrong.tableCount - 1)
    // One pointer that lacks the mark that all others have was not flushed.
    let root = TestMachine.tableBase
    marked.flip(10, at: root)
    let mixed = try marked.walker(registers(ecap: 0)).only(TestMachine.usual).comparison
    #expect(mixed.findingCount == 1 && mixed.findings.first?.physical == root)
  }

  @Test(
    "each bit of a leaf that is wrong is found, with IOVA, level and both words decoded", arguments: 0..<64)
  func flippedBit(bit: Int) throws {
    let machine = try legacy("vtdss:level=3")
    let walker = machine.walker(try registers())
    let leaf = try #require(try walker.only(TestMachine.usual).scan.leaves.first { $0.iova == 0x10_1000 })
    let before = machine.word(leaf.physical)
    machine.flip(bit, at: leaf.physical)
    let comparison = try walker.only(TestMachine.usual).comparison
    // The hardware sets these.
    guard bit != 8, bit != 9 else { return #expect(comparison.isEqual) }
    let finding = try #require(comparison.findings.first { $0.kind == .word })
    #expect(finding.iova == 0x10_1000 && finding.level == 0 && finding.physical == leaf.physical)
    #expect(
      finding.word == before ^ Bits.bit(bit) && finding.expected == before && finding.device == "00:04.0")
    #expect(finding.details.contains { $0.hasPrefix("!") })
    #expect(!comparison.findings.contains { $0.kind == .missing || $0.kind == .extra })
  }

  @Test("what is mapped and not expected, and the other way round, is said by IOVA")
  func extraAndMissing() throws {
    let walker = try legacy("vtdss:level=3").walker(registers())
    let less = try walker.only(Array(TestMachine.usual.dropFirst())).comparison
    #expect(less.findings.map(\.kind) == [.extra] && less.findings.first?.iova == 0x10_0000)
    #expect(less.findings.first?.text.hasPrefix("12K mapped to 0x20000000 rw") == true)
    let allowed = [AllowedRegion(iova: 0x10_0000, length: 0x10000)]
    #expect(try walker.only(Array(TestMachine.usual.dropFirst()), allowed: allowed).comparison.isEqual)
    let identity = [AllowedRegion(iova: 0x10_0000, length: 0x10000, isIdentity: true)]
    let elsewhere = try walker.only(Array(TestMachine.usual.dropFirst()), allowed: identity).comparison
    #expect(elsewhere.findings.map(\.kind) == [.word, .word, .word])
    let more = try walker.only(TestMachine.usual + [.init(0x10_4000, 0x3000_0000, 0x2000)]).comparison
    #expect(more.findings.map(\.kind) == [.missing] && more.findings.first?.iova == 0x10_4000)
    let longer = try walker.only([.init(0xf_e000, 0x1fff_e000, 0x6000)] + TestMachine.usual.dropFirst())
      .comparison
    #expect(longer.findings.map(\.kind) == [.missing, .missing])
    #expect(longer.findings.map(\.iova) == [0xf_e000, 0x10_3000])
  }

  @Test("expected pages of 4K that abut may be one larger leaf")
  func pages() throws {
    let walker = try legacy("vtdss:level=3").walker(registers())
    let pages = (0..<512 as Range<UInt64>).map {
      TestMachine.Mapping(0x40_0000 + $0 * 4096, 0x4020_0000 + $0 * 4096, 4096)
    }
    let others = TestMachine.usual.filter { $0.iova != 0x40_0000 }
    #expect(try walker.only(others + pages).comparison.isEqual)
    let hole = try walker.only(others + pages.dropLast()).comparison
    #expect(hole.findings.map(\.kind) == [.extra])
    #expect(hole.findings.first?.text.hasSuffix("part of it is expected") == true)
  }

  @Test("reserved bits and values of the context entry are named")
  func contextEntry() throws {
    let reserved = try legacy("vtdss:level=3", low: 0x11).walker(registers()).devices()
    #expect(
      reserved.findings.map(\.text) == ["reserved bits 0x10 are set in word 0 of the context entry [9.3]"])
    #expect(
      reserved.findings.first?.physical == contextTable + 0x200
        && reserved.findings.first?.word == 0x1_0000_0011)
    let type = try legacy("vtdss:level=3", low: 0xd).walker(registers()).devices()
    #expect(type.findings.map(\.text) == ["translation type 3 is reserved"])
    let through = try legacy("vtdss:level=3", low: 9).walker(registers()).devices()
    #expect(through.devices.map(\.mode) == [.passThrough] && through.findings.isEmpty)
    let width = try legacy("vtdss:level=3", high: 0x204).walker(registers()).devices()
    #expect(width.findings.first?.text == "the address width 4 is not one of CAP.SAGAW 0xe")
    let absent = try legacy("vtdss:level=3", low: 0).walker(registers()).devices()
    #expect(absent.devices.isEmpty && absent.others.map(\.count) == [1])
  }

  @Test("registers say what is not walked")
  func modes() throws {
    let machine = try legacy("vtdss:level=3")
    let off = try machine.walker(registers(gsts: 0)).devices()
    #expect(off.devices.isEmpty && off.facts[0].hasPrefix("translation disabled"))
    #expect(try machine.walker(registers(mode: 2)).devices().findings.count == 1)
    #expect(try machine.walker(registers(mode: 3)).devices().facts.last == "all DMA is refused")
    let elsewhere = try RegisterValues(
      .intel, ["CAP": Self.cap, "ECAP": 0, "GSTS": 0xc000_0000, "RTADDR": 0xdead_f000])
    let lost = try machine.walker(elsewhere).devices()
    #expect(lost.findings.map(\.kind) == [.pointer])
    #expect(lost.findings.first?.text == "the root table (4096 bytes) is not in memory")
  }

  // MARK: Scalable mode

  private let directory: UInt64 = 0x10_2000
  private let pasids: UInt64 = 0x10_3000

  // ECAP.SMPWC: walks snoop.
  private static let snooping: UInt64 = 1 << 48

  /// A machine with one device in scalable mode, PASID 0; the device's number decides which half has it.
  private func scalable(
    _ configuration: String, entry: (TableRoot) -> [UInt64], device: Int = 0x20
  ) throws -> TestMachine {
    let machine = TestMachine()
    let root = try machine.build(configuration)
    for page in [rootTable, contextTable, directory, pasids] { machine.clear(page) }
    let isUpper = device >= 128
    machine.write([isUpper ? 0 : contextTable | 1, isUpper ? contextTable | 1 : 0], at: rootTable)
    machine.write([directory | 1, 0, 0, 0], at: contextTable + UInt64((device & 127) * 32))
    machine.write([pasids | 1], at: directory)
    machine.write(entry(root), at: pasids)
    return machine
  }

  @Test(
    "scalable mode leads to the first stage by way of both halves of the root entry", arguments: [0x20, 0xa0])
  func firstStage(device: Int) throws {
    let machine = try scalable(
      "x86_64", entry: { [0x49, 0x80_0002, $0.physical, 0, 0, 0, 0, 0] }, device: device)
    let found = try machine.walker(registers(ecap: Self.snooping, mode: 1)).only(TestMachine.usual)
    #expect(found.device.id == UInt32(device) && found.device.process == nil)
    #expect(found.device.stage == "first stage" && found.device.domain == "DID 2")
    #expect(
      found.device.formats.first?.description == "x86_64:va=48,level=3,features=flush_range+sign_extend")
    #expect(found.comparison.isEqual, "\(found.comparison.findings)")
  }

  @Test("scalable mode leads to the second stage, of 3 to 5 levels", arguments: [1, 2, 3])
  func scalableSecondStage(aw: Int) throws {
    let machine = try scalable("vtdss:va=\(30 + 9 * aw),level=\(aw + 1)") {
      [$0.physical | UInt64(aw << 2) | 0x81, 0x80_0002, 0, 0, 0, 0, 0, 0]
    }
    let cap = (UInt64(56) << 16) | 0xe << 8
    let found = try machine.walker(registers(ecap: Self.snooping, mode: 1, cap: cap)).only(TestMachine.usual)
    #expect(found.device.root?.level == aw + 1 && found.comparison.isEqual)
  }

  @Test("nested translations are walked in the second stage; pass-through and reserved types are told")
  func types() throws {
    func devices(_ words: [UInt64]) throws -> IOMMUState {
      try scalable("vtdss:level=3") { [$0.physical | words[0], words[1], words[2], 0, 0, 0, 0, 0] }
        .walker(registers(ecap: Self.snooping, mode: 1)).devices()
    }
    let nested = try devices([0xc9, 2, 0x5000])
    #expect(nested.devices.first?.stage == "second stage of a nested translation" && nested.findings.isEmpty)
    #expect(nested.devices.first?.notes.first?.contains("0x5000") == true)
    #expect(try devices([0x109, 2, 0]).devices.map(\.mode) == [.passThrough])
    #expect(try devices([0x149, 2, 0]).findings.map(\.text) == ["the translation type PGTT 5 is reserved"])
    #expect(try devices([0x49, 2, 8]).findings.map(\.text) == ["the paging mode FSPM 2 is reserved"])
    #expect(
      try devices([0x49, 2, 4]).findings.first?.text == "5 levels of the first stage, without CAP.FS5LP")
    let reserved = try devices([0x89, 0x1_0002, 0x100])
    #expect(reserved.findings.map(\.word) == [0x1_0002, 0x100])
    #expect(reserved.findings.allSatisfy { $0.text.contains("PASID table entry [9.6]") })
  }
}
