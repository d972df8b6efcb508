// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import ReferenceSpecs
import Testing

@testable import Walk

@Suite("scans of tables") struct ScanTests {
  private func scan(_ machine: TestMachine, _ root: TableRoot, _ text: String = "vtdss:level=3") throws
    -> TableScan
  {
    let format = try SpecificationLibrary.embedded.format(FormatList.configuration(text))
    return try TableScanner.scan(root, format: format, memory: machine.memory, device: "00:04.0")
  }

  private func machine() throws -> (TestMachine, TableRoot) {
    let machine = TestMachine()
    return (machine, try machine.build("vtdss:level=3"))
  }

  @Test("a pointer out of memory is found, with the word that leads there")
  func outOfMemory() throws {
    let (machine, root) = try machine()
    machine.memory.write(word: 0xdead_0000_0003, at: root.physical + 8)
    let scan = try scan(machine, root)
    #expect(scan.findings.map(\.kind) == [.pointer])
    #expect(scan.findings.first?.iova == 1 << 39 && scan.findings.first?.word == 0xdead_0000_0003)
    #expect(scan.findings.first?.text == "the table of level 2 at 0xdead00000000 is not in memory")
    #expect(scan.leaves.count == 6)
  }

  @Test("a pointer back up is a loop, a second pointer to a table is told; neither is followed")
  func loops() throws {
    let (machine, root) = try machine()
    machine.memory.write(word: root.physical | 3, at: root.physical + 8)
    let first = machine.word(root.physical)
    machine.memory.write(word: first, at: root.physical + 16)
    let scan = try scan(machine, root)
    #expect(scan.findings.map(\.kind) == [.loop, .shared])
    #expect(scan.findings.map(\.iova) == [1 << 39, 2 << 39] && scan.leaves.count == 6)
  }

  @Test("reserved bits are found in pointers and leaves, and words that map nothing but hold bits are kept")
  func reservedBits() throws {
    let (machine, root) = try machine()
    machine.flip(62, at: root.physical)
    let pointers = try scan(machine, root)
    #expect(pointers.findings.map(\.kind) == [.malformed] && pointers.leaves.count == 6)
    #expect(pointers.findings.first?.text.contains("reserved62") == true)
    machine.flip(62, at: root.physical)
    let leaf = try #require(try scan(machine, root).leaves.first { $0.size == 2 << 20 })
    machine.flip(13, at: leaf.physical)
    #expect(try scan(machine, root).findings.first?.text.contains("reservedAddress") == true)
    machine.memory.write(word: 0x4000_0080, at: leaf.physical)
    let strays = try scan(machine, root).strays
    #expect(strays.map(\.iova) == [0x40_0000] && strays.first?.step.word == 0x4000_0080)
  }

  @Test("words beyond the input width are found")
  func unreachable() throws {
    let machine = TestMachine()
    let root = try machine.build("vtdss:level=3")
    machine.memory.write(word: 0x4000_0083, at: root.physical + 0x800)
    let format = try SpecificationLibrary.embedded.format(FormatList.configuration("vtdss:va=46,level=3"))
    let scan = try TableScanner.scan(root, format: format, memory: machine.memory)
    #expect(scan.findings.contains { $0.kind == .unreachable })
  }

  @Test("a root of no level, or not in memory")
  func roots() throws {
    let (machine, root) = try machine()
    #expect(
      try scan(machine, TableRoot(physical: root.physical, level: 7)).findings.map(\.kind) == [.structure])
    #expect(
      try scan(machine, TableRoot(physical: root.physical, level: -1)).findings.map(\.kind) == [.structure])
    #expect(try scan(machine, TableRoot(physical: 0x5000, level: 3)).findings.map(\.kind) == [.pointer])
  }

  @Test(
    "tables of random words end without a trap, in every format",
    arguments: [
      "vtdss:level=3", "amdv1", "x86_64",
      "riscv64:features=flush_range+detailed_gather+sign_extend+svnapot_64k", "armv8:contig=1",
      "armv8:stage=2,granule=16k",
    ])
  func garbage(text: String) throws {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    let machine = TestMachine()
    for page in 0..<16 as Range<UInt64> {
      for word in 0..<512 as Range<UInt64> {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        // Half of the words point into these pages.
        let near = (state & 0xfff0_0000_0000_0fff) | (state >> 20 & 0xf) << 12
        machine.memory.write(word: state >> 33 & 1 == 0 ? state : near, at: page << 12 | word * 8)
      }
    }
    let format = try SpecificationLibrary.embedded.format(FormatList.configuration(text))
    let scan = try TableScanner.scan(
      TableRoot(physical: 0, level: format.rootLevel), format: format, memory: machine.memory)
    #expect(!scan.findings.isEmpty)
    let comparer = TableComparer(
      scan: scan, device: "", runs: ExpectedRuns([]), allowed: [.everywhere], limit: 10)
    let result = try #require(comparer.run([format]))
    #expect(!result.isEqual && result.findings.count == 10)
  }

  @Test("the names of the formats' configurations are those of the kit")
  func configurations() throws {
    let texts =
      WalkFormats.configurations(
        "vtdss", ["va=39", "level=2"], features: ["flush_range"],
        optional: ["dma_incoherent", "force_coherence"]
      ) + WalkFormats.configurations("amdv1", ["va=64", "level=2"], features: ["flush_range"], optional: [])
      + WalkFormats.configurations(
        "riscv64", ["va=57"], features: ["flush_range", "sign_extend"], optional: ["svpbmt"])
    #expect(texts.count == 7)
    for configuration in texts {
      let kit = try FormatList.entry(named: configuration.format)
      let text = configuration.description.split(separator: ":", maxSplits: 1).dropFirst().first ?? ""
      let read = try kit.configuration(String(text))
      for key in configuration.schema.keys { #expect(read.text(key.name) == configuration.text(key.name)) }
    }
  }
}
