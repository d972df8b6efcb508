// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Walk

@Suite("reports") struct ReportTests {
  private func report(
    _ machine: TestMachine, _ registers: RegisterValues,
    _ change: (inout WalkReport.Options) throws -> Void = { _ in }
  ) throws -> (lines: [String], problems: Int) {
    var options = WalkReport.Options()
    try change(&options)
    var lines: [String] = []
    let walk = WalkReport(machine.walker(registers), options) { lines.append($0) }
    try walk.run()
    return (lines, walk.problemCount)
  }

  @Test("a fact a line: registers, structures, tables, mappings, counts")
  func facts() throws {
    let (machine, registers) = try DumpTests.intel()
    let (lines, problems) = try report(machine, registers)
    #expect(problems == 0 && lines.last == "problems 0" && lines.first == "iommu Intel VT-d")
    #expect(lines.contains("fact mode legacy, root table 0x100000"))
    #expect(lines.contains("device 00:04.0 translated, second stage, DID 2"))
    #expect(lines.contains("structure 00:04.0 context entry at 0x101200: 0x100000001 0x202"))
    #expect(
      lines.contains("tables 00:04.0 vtdss:va=48,level=3,features=flush_range root 0x100000000 levels 4"))
    #expect(lines.contains("mapping 00:04.0 0x100000..0x102fff to 0x20000000 12K rw 3x4K"))
    #expect(lines.contains("mapping 00:04.0 0x87654000..0x87654fff to 0x12345000 4K r 1x4K"))
    #expect(lines.contains { $0.hasPrefix("count 00:04.0 leaves 6 tables 6 words 3072 mapped ") })
    #expect(lines.contains { $0.hasPrefix("compared 00:04.0 vtdss") && $0.hasSuffix("words 11 problems 0") })
  }

  @Test("a wrong bit is a problem with both words decoded, and an IOVA's walk is explained")
  func problem() throws {
    let (machine, registers) = try DumpTests.intel()
    let expectations = try Expectations(
      text: "device 00:04.0\nmap 0x100000 0x20000000 12K rw\nallow 0x400000 4G", file: "expect")
    let walker = machine.walker(registers)
    let leaf = try #require(try walker.only([]).scan.leaves.first { $0.iova == 0x10_1000 })
    #expect(try report(machine, registers) { $0.expectations = expectations }.problems == 0)
    machine.flip(1, at: leaf.physical)
    let (lines, problems) = try report(machine, registers) {
      $0.expectations = expectations
      $0.iova = 0x10_1000
      $0.listsWords = true
    }
    #expect(problems == 1 && lines.last == "problems 1")
    let line =
      "problem word 00:04.0 IOVA 0x101000 level 0 at \(Numbers.hex(leaf.physical)) word 0x20001001 expected 0x20001003: "
      + "the word of a leaf of 4K is not the golden encoder's for 0x20001000"
    #expect(lines.contains(line))
    #expect(lines.contains("  ! 1 W 0x0, expected 0x1  write allowed"))
    #expect(lines.contains("translation 00:04.0 0x101000 to 0x20001000 r, leaf of 4K"))
    #expect(
      lines.filter { $0.hasPrefix("step ") }.count == 4 && lines.filter { $0.hasPrefix("word ") }.count == 11)
  }

  @Test("devices of one domain are scanned once; tables of two domains are a problem")
  func sharing() throws {
    let (machine, registers) = try DumpTests.intel()
    let root = TestMachine.tableBase
    machine.write([root | 1, 0x202], at: 0x10_1000 + 0x280)
    #expect(try report(machine, registers).lines.contains("same 00:05.0 as 00:04.0"))
    let other: UInt64 = 0x20_0000
    machine.clear(other)
    machine.memory.write(word: machine.word(root), at: other)
    machine.write([other | 1, 0x302], at: 0x10_1000 + 0x280)
    let (lines, problems) = try report(machine, registers)
    #expect(
      problems == 5
        && lines.contains { $0.hasPrefix("problem shared 00:05.0") && $0.hasSuffix("another root") })
  }

  @Test("devices that are not there")
  func absentDevices() throws {
    let (machine, registers) = try DumpTests.intel()
    #expect(throws: WalkInputError("device 00:05.0 has no tables of its own; there are 00:04.0")) {
      try report(machine, registers) { $0.device = 0x28 }
    }
    let expectations = try Expectations(text: "device 00:05.0\nmap 0 0 4K rw\nallow 0 1P", file: "expect")
    let (lines, problems) = try report(machine, registers) { $0.expectations = expectations }
    // The mappings of the other device are not expected.
    #expect(problems == 5)
    #expect(lines.contains("problem missing 00:05.0: 1 expected mappings, but the device has no tables"))
  }

  @Test("reading by the reference's walk is what the scan read")
  func cache() throws {
    let (machine, _) = try DumpTests.intel()
    let cache = MemoryCache(machine.memory)
    #expect(cache.bytes(at: 0x10_0ffc, count: 8)?.count == 8 && cache.bytes(at: 0x5000, count: 8) == nil)
    #expect(cache.bytes(at: 0x10_0000, count: 0) == nil)
    let before = cache.bytes(at: 0x10_0000, count: 8)?.load(as: UInt64.self)
    machine.write([7], at: 0x10_0000)
    #expect(cache.bytes(at: 0x10_0000, count: 8)?.load(as: UInt64.self) == before)
    cache.discard()
    #expect(cache.bytes(at: 0x10_0000, count: 8)?.load(as: UInt64.self) == 7)
  }
}
