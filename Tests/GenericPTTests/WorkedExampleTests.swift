// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import GenericPT

/// One map in an empty page table, and the image that it leaves by the manual, or by Linux where there is none.
struct WorkedExample: Sendable, CustomTestStringConvertible {
  var configuration: String
  var iova: UInt64
  var pa: UInt64
  var size: UInt64
  var protection: Protection
  var image: [String]
  /// Where table memory starts.
  var base: UInt64 = 0x8000_0000

  init(
    _ configuration: String, _ iova: UInt64, _ pa: UInt64, _ size: UInt64, _ protection: Protection,
    _ image: [String], base: UInt64 = 0x8000_0000
  ) {
    self.configuration = configuration
    self.iova = iova
    self.pa = pa
    self.size = size
    self.protection = protection
    self.image = image
    self.base = base
  }

  var testDescription: String { "\(configuration) \(Numbers.hex(iova)) \(Numbers.size(size))" }

  /// Runs the example; afterwards, lookups answer and an unmap leaves no leaf.
  func check<Format: PageTableFormat>(_ type: Format.Type) throws {
    let pairs = configuration.split(separator: ",").map { String($0) }
    let accepted = try Format.schema.configuration(pairs)
    #expect(Format.accepts(accepted))
    let machine = try SimulatedMachine(physicalBase: base, reserve: 16 << 20)
    let table = try GenericPageTable(try Format(accepted), memory: PlainMemory(machine: machine))
    #expect(table.map(iova: iova, pa: pa, length: size, protection: protection) == nil)
    #expect(try table.image(in: machine).lines == image)
    for offset in [0, size / 2 + 4, size - 1] { #expect(table.translate(iova + offset) == pa + offset) }
    #expect(table.map(iova: iova, pa: pa, length: size, protection: protection) == .eaddrinuse)
    #expect(table.unmap(iova: iova, length: size) == size)
    #expect(table.translate(iova) == nil)
    table.destroy()
    #expect(machine.livePages == 0 && machine.violations.isEmpty)
  }
}

extension Protection {
  static let usual: Protection = [.read, .write]
  static let cached: Protection = [.read, .write, .cache]
}

@Suite("worked examples") struct WorkedExampleTests {
  // DDI 0487, G5.5, with the attributes that Linux chooses.
  @Test(arguments: [
    WorkedExample(
      "stage=1", 0, 0x1234_5000, 4096, .cached,
      ["T0 L2 [0x0] 0x3 -> T1", "T1 L1 [0x0] 0x3 -> T2", "T2 L0 [0x0] 0x12345f47"]),
    WorkedExample(
      "stage=1", 0xffff_f000, 0xff_ffff_f000, 4096, [.read, .cache],
      ["T0 L2 [0x3] 0x3 -> T1", "T1 L1 [0x1ff] 0x3 -> T2", "T2 L0 [0x1ff] 0xffffffffc7"]),
    WorkedExample(
      "stage=1", 0x20_0000, 0x80_0020_0000, 2 << 20, .usual,
      ["T0 L2 [0x0] 0x3 -> T1", "T1 L1 [0x1] 0x8000200e41"]),
    WorkedExample("stage=1", 0x4000_0000, 0xff_4000_0000, 1 << 30, .cached, ["T0 L2 [0x1] 0xff40000f45"]),
    WorkedExample(
      "stage=1", 0xc000_1000, 0xfee0_0000, 4096, [.write, .noexec, .mmio],
      ["T0 L2 [0x3] 0x3 -> T1", "T1 L1 [0x0] 0x3 -> T2", "T2 L0 [0x1] 0x600000fee00e4b"]),
    WorkedExample(
      "stage=1", 0x8000_0000, 0x8000_0000, 2 << 20, [.read, .cache, .priv],
      ["T0 L2 [0x2] 0x3 -> T1", "T1 L1 [0x0] 0x80000f85"]),
    WorkedExample(
      "stage=2,ias=40", 0xff_ffff_f000, 0xff_ffff_f000, 4096, .cached,
      ["T0 L2 [0x3ff] 0x3 -> T1", "T1 L1 [0x1ff] 0x3 -> T2", "T2 L0 [0x1ff] 0xfffffff7ff"]),
    WorkedExample(
      "stage=2,ias=40", 0x4000_0000, 0x80_4000_0000, 1 << 30, [.read, .cache], ["T0 L2 [0x1] 0x804000077d"]),
    WorkedExample(
      "stage=1,contig=1", 0x1_0000, 0x2_0000, 1 << 16, .cached,
      [
        "T0 L2 [0x0] 0x3 -> T1", "T1 L1 [0x0] 0x3 -> T2",
        "T2 L0 [0x10..0x1f] 0x10000000020f47 step 0x1000",
      ]),
  ])
  func armLPAE32(example: WorkedExample) throws { try example.check(ArmLPAE32.self) }

  @Test(arguments: [
    WorkedExample(
      "ias=33", 0x200_0000, 0x1234_5000, 4096, .usual,
      [
        "T0 L3 [0x0] 0x3 -> T1", "T1 L2 [0x0] 0x3 -> T2", "T2 L1 [0x10] 0x3 -> T3", "T3 L0 [0x0] 0x123452c1",
      ]),
    WorkedExample(
      "ias=33", 0x1_ffff_f000, 0xff_ffff_f000, 4096, [.read, .write, .cache, .noexec],
      [
        "T0 L3 [0x0] 0x3 -> T1", "T1 L2 [0x7] 0x3 -> T2", "T2 L1 [0x1ff] 0x3 -> T3",
        "T3 L0 [0x1ff] 0x6000fffffff2c5",
      ]),
    WorkedExample(
      "ias=33", 0x20_0000, 0x80_0020_0000, 2 << 20, [.read, .write, .noexec],
      ["T0 L3 [0x0] 0x3 -> T1", "T1 L2 [0x0] 0x3 -> T2", "T2 L1 [0x1] 0x600080002002c1"]),
    WorkedExample(
      "ias=33", 0x4000_0000, 0xc000_0000, 1 << 30, .cached,
      ["T0 L3 [0x0] 0x3 -> T1", "T1 L2 [0x1] 0xc00002c5"]),
    WorkedExample(
      "ias=48", 0x8000_0000_1000, 0xfee0_0000, 4096, [.write, .mmio],
      [
        "T0 L3 [0x100] 0x3 -> T1", "T1 L2 [0x0] 0x3 -> T2", "T2 L1 [0x0] 0x3 -> T3", "T3 L0 [0x1] 0xfee00289",
      ]),
  ])
  func mali(example: WorkedExample) throws { try example.check(Mali.self) }

  @Test(arguments: [
    WorkedExample(
      "ias=32", 0, 0x8_1234_4000, 0x4000, .usual, ["T0 L1 [0x0] 0x1 -> T1", "T1 L0 [0x0] 0xfff0812344003"]),
    WorkedExample(
      "ias=32", 0x8000_0000, 0xf_ffff_c000, 0x4000, .write,
      ["T0 L1 [0x40] 0x1 -> T1", "T1 L0 [0x0] 0xfff0fffffc103"]),
    WorkedExample(
      "ias=32", 0xffff_c000, 0x9_8765_4000, 0x4000, .read,
      ["T0 L1 [0x7f] 0x1 -> T1", "T1 L0 [0x7ff] 0xfff0987654083"]),
  ])
  func dart1(example: WorkedExample) throws { try example.check(DART<DART16K, DARTVersion1>.self) }

  // Four roots, numbered before the tables below the next one.
  @Test(arguments: [
    WorkedExample(
      "granule=4k", 0x1234_5000, 0x9_8765_4000, 4096, .usual,
      ["T0 L1 [0x91] 0x1 -> T1", "T1 L0 [0x145] 0xfff0987654003"]),
    WorkedExample(
      "granule=4k", 0x8000_1000, 0xf_ffff_f000, 4096, .read,
      ["T2 L1 [0x0] 0x1 -> T3", "T3 L0 [0x1] 0xfff0ffffff083"]),
    WorkedExample(
      "granule=4k", 0x7fff_f000, 0x8_0000_0000, 0x2000, .usual,
      [
        "T1 L1 [0x1ff] 0x1 -> T2", "T2 L0 [0x1ff] 0xfff0800000003", "T3 L1 [0x0] 0x1 -> T4",
        "T4 L0 [0x0] 0xfff0800001003",
      ]),
  ])
  func dartRoots(example: WorkedExample) throws { try example.check(DART<DART4K, DARTVersion1>.self) }

  @Test(arguments: [
    WorkedExample(
      "version=2,oas=42", 0, 0x100_1234_4000, 0x4000, .cached,
      ["T0 L1 [0x0] 0x1 -> T1", "T1 L0 [0x0] 0xfff1001234401"]),
    WorkedExample(
      "version=2,oas=42", 0x8000_0000, 0x3ff_ffff_c000, 0x4000, .write,
      ["T0 L1 [0x40] 0x1 -> T1", "T1 L0 [0x0] 0xfff3ffffffc0b"]),
    WorkedExample(
      "version=2,ias=42,oas=42", 0x3ff_ffff_c000, 0x3ff_ffff_c000, 0x4000, .cached,
      ["T0 L2 [0x3f] 0x1 -> T1", "T1 L1 [0x7ff] 0x1 -> T2", "T2 L0 [0x7ff] 0xfff3ffffffc01"]),
    WorkedExample(
      "version=2,ias=42,oas=42", 0x10_0000_4000, 0x100_0000_0000, 0x4000, .read,
      ["T0 L2 [0x1] 0x1 -> T1", "T1 L1 [0x0] 0x1 -> T2", "T2 L0 [0x1] 0xfff1000000007"]),
  ])
  func dart2(example: WorkedExample) throws { try example.check(DART<DART16K, DARTVersion2>.self) }

  @Test("pages of 4 KiB do not fit version 2: Linux loses address bits 13:12, tables lie where pointers lead")
  func dart2Loses() throws {
    let configuration = try DART<DART4K, DARTVersion2>.schema.configuration(["version=2", "granule=4k"])
    let machine = try SimulatedMachine(reserve: 16 << 20)
    let table = try GenericPageTable(
      try DART<DART4K, DARTVersion2>(configuration), memory: PlainMemory(machine: machine))
    #expect(table.map(iova: 0x1f_f000, pa: 0x8_0000_0000, length: 0x8000, protection: .usual) == nil)
    #expect(
      try table.image(in: machine).lines == [
        "T0 L1 [0x0] 0x1 -> T1", "T0 L1 [0x1] 0x1 -> T2", "T1 L0 [0x1ff] 0xfff0080000003",
        "T2 L0 [0x0..0x2] 0xfff0080000003", "T2 L0 [0x3..0x6] 0xfff0080000403",
      ])
    #expect(table.translate(0x20_0123) == 0x8_0000_0123)
    #expect(table.unmap(iova: 0x1f_f000, length: 0x8000) == 0x8000)
  }
}
