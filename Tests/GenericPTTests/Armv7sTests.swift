// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import GenericPT

private let mediaTek = "ias=34,oas=35,quirks=no_perms+mtk_ext+ns"
private let extended = "ias=34,oas=35,quirks=no_perms+mtk_ext+ns+mtk_ttbr_ext"

@Suite("short descriptors") struct Armv7sTests {
  // DDI 0487, G5.4, with the attributes that Linux chooses.
  @Test(arguments: [
    WorkedExample(
      "ias=32", 0, 0x1234_5000, 4096, .cached, ["T0 L1 [0x0] 0x1 -> T1", "T1 L0 [0x0] 0x12345c7e"]),
    WorkedExample(
      "ias=32", 0xffff_f000, 0xffff_f000, 4096, [.read, .cache, .noexec],
      ["T0 L1 [0xfff] 0x1 -> T1", "T1 L0 [0xff] 0xfffffe7f"]),
    WorkedExample(
      "ias=32", 0x1_0000, 0x4001_0000, 1 << 16, [.read, .write, .cache, .noexec],
      ["T0 L1 [0x0] 0x1 -> T1", "T1 L0 [0x10..0x1f] 0x40019c3d"]),
    WorkedExample("ias=32", 0x10_0000, 0x8010_0000, 1 << 20, .usual, ["T0 L1 [0x1] 0x80131c02"]),
    WorkedExample("ias=32", 0x100_0000, 0xc100_0000, 1 << 24, .cached, ["T0 L1 [0x10..0x1f] 0xc1071c0e"]),
    WorkedExample(
      "ias=32", 0x2000, 0xfee0_0000, 4096, [.read, .write, .mmio],
      ["T0 L1 [0x0] 0x1 -> T1", "T1 L0 [0x2] 0xfee00c36"]),
    WorkedExample(
      "ias=32", 0x20_0000, 0x30_0000, 1 << 20, [.read, .cache, .noexec, .priv], ["T0 L1 [0x2] 0x33941e"]),
    WorkedExample(
      "ias=32", 0x2_0000, 0xfef2_0000, 1 << 16, [.write, .mmio],
      ["T0 L1 [0x0] 0x1 -> T1", "T1 L0 [0x20..0x2f] 0xfef20c35"]),
    WorkedExample(
      "quirks=ns", 0, 0x1234_5000, 4096, [.read, .write, .cache, .noexec],
      ["T0 L1 [0x0] 0x9 -> T1", "T1 L0 [0x0] 0x12345c7f"]),
    WorkedExample("quirks=ns", 0x10_0000, 0x8010_0000, 1 << 20, .cached, ["T0 L1 [0x1] 0x801b1c0e"]),
  ])
  func arm(example: WorkedExample) throws { try example.check(Armv7s.self) }

  @Test(arguments: [
    WorkedExample(
      mediaTek, 0, 0x1234_5000, 4096, .usual, ["T0 L1 [0x0] 0x9 -> T1", "T1 L0 [0x0] 0x12345c42"]),
    WorkedExample(
      mediaTek, 0x3_ffff_f000, 0x7_ffff_f000, 4096, .usual,
      ["T0 L1 [0x3fff] 0x9 -> T1", "T1 L0 [0xff] 0xfffffe72"]),
    WorkedExample(mediaTek, 0x1_0000_0000, 0x1_0000_0000, 1 << 20, .read, ["T0 L1 [0x1000] 0xb1202"]),
    WorkedExample(
      mediaTek, 0x2_0001_0000, 0x2_4001_0000, 1 << 16, .cached,
      ["T0 L1 [0x2000] 0x9 -> T1", "T1 L0 [0x10..0x1f] 0x40011c1d"]),
    WorkedExample(
      mediaTek, 0x3_0100_0000, 0x4_0100_0000, 1 << 24, .usual, ["T0 L1 [0x3010..0x301f] 0x10f1022"]),
    WorkedExample(
      mediaTek, 0x1_2345_6000, 0x3_abcd_e000, 4096, [.read, .write, .mmio],
      ["T0 L1 [0x1234] 0x9 -> T1", "T1 L0 [0x56] 0xabcdee16"]),
    WorkedExample(
      extended, 0x1_2345_6000, 0x3_abcd_e000, 4096, .usual,
      ["T0 L1 [0x1234] 0x9 -> T1", "T1 L0 [0x56] 0xabcdee52"], base: 0x6_0000_0000),
    WorkedExample(
      extended, 0x2_0010_0000, 0x5_0010_0000, 1 << 20, .usual, ["T0 L1 [0x2001] 0x1b1222"],
      base: 0x7_ff00_0000),
    // Pages on both sides of a border of 4 GiB.
    WorkedExample(
      mediaTek, 0xf_f000, 0x2_ffff_f000, 0x2000, .usual,
      [
        "T0 L1 [0x0] 0x9 -> T1", "T0 L1 [0x1] 0x9 -> T2", "T1 L0 [0xff] 0xfffffc52", "T2 L0 [0x0] 0xe52",
      ]),
    WorkedExample(
      mediaTek, 0x2000, 0x2_ffff_f000, 0x2000, .usual,
      ["T0 L1 [0x0] 0x9 -> T1", "T1 L0 [0x2] 0xfffffc52", "T1 L0 [0x3] 0xe52"]),
  ])
  func mediaTekWords(example: WorkedExample) throws { try example.check(Armv7s.self) }

  @Test("each address bit above 31 has its place in pointers, or none")
  func pointers() throws {
    func format(_ text: String) throws -> Armv7s {
      try Armv7s(try Armv7s.schema.configuration(text.split(separator: ",").map { String($0) }))
    }
    let wide = try format(extended)
    let words: [(table: UInt64, word: UInt64)] = [
      (0x1_0000_0400, 0x609), (0x2_0000_0800, 0x819), (0x4_0000_0c00, 0xc29), (0x6_0001_0000, 0x1_0039),
    ]
    for (table, word) in words {
      #expect(wide.tableEntry(table, level: 1) == word)
      #expect(wide.tableAddress(word, level: 1) == table)
    }
    let narrow = try format(mediaTek)
    #expect(narrow.tableEntry(0x7_8000_0400, level: 1) == 0x8000_0409)
    #expect(narrow.tableAddress(0x8000_0409, level: 1) == 0x8000_0400)
    #expect(narrow.tableAddressBits == 32 && wide.tableAddressBits == 35)
  }

  @Test("tables beyond the reach of pointers are no memory, as in Linux")
  func outOfReach() throws {
    let machine = try SimulatedMachine(physicalBase: 0x1_0000_0000, reserve: 16 << 20)
    let configuration = try Armv7s.schema.configuration(["ias=34", "oas=35", "quirks=no_perms+mtk_ext"])
    let table = try GenericPageTable(try Armv7s(configuration), memory: PlainMemory(machine: machine))
    let pages = machine.livePages
    #expect(table.map(iova: 0, pa: 0, length: 4096, protection: .usual) == .enomem)
    #expect(machine.livePages == pages)
    // A section needs no table.
    #expect(table.map(iova: 0, pa: 0, length: 1 << 20, protection: .usual) == nil)
  }

  @Test("a supersection takes the place of emptied tables, which lie inside of their pages")
  func replacesTables() throws {
    let machine = try SimulatedMachine(physicalBase: 0x8000_0000, reserve: 16 << 20)
    let table = try GenericPageTable(
      try Armv7s(try Armv7s.schema.configuration([])), memory: PlainMemory(machine: machine))
    for index in 0..<16 as Range<UInt64> {
      #expect(table.map(iova: index << 20, pa: 0, length: 4096, protection: .usual) == nil)
    }
    let pages = machine.livePages
    for index in 0..<16 as Range<UInt64> { #expect(table.unmap(iova: index << 20, length: 4096) == 4096) }
    #expect(table.map(iova: 0, pa: 0, length: 1 << 24, protection: .usual) == nil)
    #expect(machine.livePages == pages - 16 && machine.violations.isEmpty)
    // What starts inside of the group leaves it alone.
    #expect(table.unmap(iova: 1 << 20, length: 1 << 20) == 0)
    #expect(table.unmap(iova: 0, length: 1 << 20) == 1 << 24)
  }
}
