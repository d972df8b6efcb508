// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Walk

/// IHI 0070: structures in chapter 5, registers in chapter 6.
@Suite("Arm SMMUv3") struct SMMUv3Tests {
  private let streams: UInt64 = 0x10_0000
  private let level2: UInt64 = 0x10_8000
  private let contexts: UInt64 = 0x11_0000
  // 00:04.0
  private let id: UInt64 = 0x20

  private func registers(coherent: Bool = true, levels: Int = 1, cr0: UInt64 = 1) throws -> RegisterValues {
    try RegisterValues(
      .smmuv3,
      [
        "IDR0": 0x0800_000b | (coherent ? 0x10 : 0), "IDR1": 16, "IDR5": 0x75, "CR0": cr0,
        "STRTAB_BASE": streams | 1 << 62,
        // 256 streams; 2 levels split at 2^6.
        "STRTAB_BASE_CFG": levels == 1 ? 8 : 1 << 16 | 6 << 6 | 8,
      ])
  }

  private func machine(
    _ configuration: String, levels: Int = 1, flags: Protection = [.cache], entry: (TableRoot) -> [UInt64],
    context: (TableRoot) -> [UInt64] = { _ in [] }
  ) throws -> TestMachine {
    let machine = TestMachine()
    let root = try machine.build(configuration, mappings(configuration), flags: flags)
    machine.clear(streams, pages: 16)
    if levels == 2 {
      machine.write([0, 0, 0, 0], at: streams)
      machine.write([level2 | 7], at: streams)
    }
    machine.write(entry(root), at: (levels == 2 ? level2 : streams) + id * 64)
    machine.write(context(root), at: contexts)
    return machine
  }

  private func mappings(_ configuration: String) -> [TestMachine.Mapping] {
    if configuration.contains("64k") {
      return [.init(0x10_0000, 0x2000_0000, 0x3_0000), .init(0x4000_0000, 0x8000_0000, 512 << 20)]
    }
    if configuration.contains("16k") {
      return [.init(0x10_0000, 0x2000_0000, 0xc000), .init(0x4000_0000, 0x8000_0000, 32 << 20)]
    }
    guard configuration.contains("ttbr1") else { return TestMachine.usual }
    return TestMachine.usual.map { .init($0.iova | 0xffff_ff80_0000_0000, $0.pa, $0.length, $0.protection) }
  }

  /// A stream table entry for stage 1 by one context descriptor.
  private func stage1Entry(_ table: UInt64, format: UInt64 = 0, max: UInt64 = 0) -> [UInt64] {
    [table | max << 59 | format << 4 | 5 << 1 | 1, 2, 0, 0, 0, 0, 0, 0]
  }

  /// A context descriptor with ASID 1, EPD1 set and Linux's memory attributes.
  private func descriptor(_ root: TableRoot, _ first: UInt64, half: Int = 0) -> [UInt64] {
    [first, half == 0 ? root.physical : 0, half == 1 ? root.physical : 0, 0xf404_ff44, 0, 0, 0, 0]
  }

  /// The descriptors' first words as Linux composes them, for 48 bits and 16K, and for 52 bits and 64K.
  @Test(
    "stage 1 of each granule",
    arguments: [
      ("armv8", 0x1_e205_c000_3510), ("armv8:granule=16k", 0x1_e205_c000_3590),
      ("armv8:granule=64k,ias=52,oas=52", 0x1_e206_c000_354c), ("armv8:ias=39,oas=40", 0x1_e202_c000_3519),
    ] as [(String, UInt64)], [1, 2])
  func stage1(_ example: (configuration: String, word: UInt64), levels: Int) throws {
    let machine = try machine(
      example.configuration, levels: levels, entry: { _ in stage1Entry(contexts) },
      context: { descriptor($0, example.word) })
    let found = try machine.walker(registers(levels: levels)).only(mappings(example.configuration))
    #expect(
      found.device.name == "00:04.0" && found.device.stage == "stage 1" && found.device.domain == "ASID 1")
    #expect(found.device.notes.isEmpty && found.comparison.isEqual, "\(found.comparison.findings)")
    #expect(found.scan.findings.isEmpty)
  }

  @Test("the upper half of addresses has tables of its own")
  func upperHalf() throws {
    let machine = try machine(
      "armv8:ias=39,quirks=ttbr1", flags: [.cache], entry: { _ in stage1Entry(contexts) },
      // EPD0; T1SZ 25, TG1 4K, valid, 48 output bits, 64-bit, ASID 1.
      context: { descriptor($0, 0x1_0205_8000_4000 | 25 << 16 | 2 << 22, half: 1) })
    let (device, scan, comparison) = try machine.walker(registers()).only(mappings("ttbr1"))
    #expect(device.stage == "stage 1, upper half" && comparison.isEqual, "\(comparison.findings)")
    #expect(scan.leaves.contains { $0.iova == 0xffff_ff80_0010_0000 })
  }

  @Test(
    "stage 2, with root tables side by side where the architecture needs them",
    arguments: [
      ("armv8:stage=2", 0x044d_3590_0000_0001), ("armv8:stage=2,ias=40,oas=40", 0x044a_3558_0000_0001),
      ("armv8:stage=2,ias=42,oas=42", 0x044b_3556_0000_0001),
      ("armv8:stage=2,ias=44,oas=44", 0x044c_3594_0000_0001),
      ("armv8:stage=2,granule=16k,ias=40,oas=40", 0x044a_b558_0000_0001),
      ("armv8:stage=2,granule=16k", 0x044d_b590_0000_0001),
      ("armv8:stage=2,granule=64k,ias=52,oas=52", 0x044e_758c_0000_0001),
    ] as [(String, UInt64)])
  func stage2(configuration: String, word: UInt64) throws {
    let machine = try machine(configuration) { [6 << 1 | 1, 0, word, $0.physical, 0, 0, 0, 0] }
    let found = try machine.walker(registers()).only(mappings(configuration))
    #expect(found.device.stage == "stage 2" && found.device.domain == "VMID 1")
    #expect(found.comparison.isEqual, "\(found.comparison.findings)")
    #expect(found.scan.leaves.count > 1)
  }

  @Test("substreams, in one table and in two levels", arguments: [0, 1, 2] as [UInt64])
  func substreams(format: UInt64) throws {
    let machine = try machine("armv8", entry: { _ in stage1Entry(contexts, format: format, max: 11) })
    machine.clear(contexts, pages: 34)
    let word: UInt64 = 0x1_e205_c000_3510
    let table: UInt64 = format == 0 ? contexts : contexts + 0x1000
    if format > 0 { machine.write([table | 1], at: contexts) }
    let root = TableRoot(physical: TestMachine.tableBase, level: 3)
    machine.write(descriptor(root, word), at: table)
    machine.write(descriptor(root, word), at: table + 3 * 64)
    let state = try machine.walker(registers()).devices()
    #expect(state.findings.isEmpty && state.devices.map(\.name) == ["00:04.0", "00:04.0.pasid3"])
  }

  @Test("words that Linux marks as flushed are its choice where walks do not snoop")
  func flushMark() throws {
    let machine = try machine(
      "armv8:coherent=0", entry: { _ in stage1Entry(contexts) },
      context: { descriptor($0, 0x1_e205_c000_2010) })
    #expect(try machine.walker(registers(coherent: false)).only(TestMachine.usual).comparison.isEqual)
    #expect(try !machine.walker(registers(coherent: true)).only(TestMachine.usual).comparison.isEqual)
  }

  @Test("other configurations are counted or named")
  func otherEntries() throws {
    func state(_ words: [UInt64], _ context: [UInt64] = []) throws -> IOMMUState {
      try machine("armv8", entry: { _ in words }, context: { _ in context }).walker(registers()).devices()
    }
    #expect(try state([1, 0, 0, 0]).others.map(\.text).contains("Config=0: DMA is refused"))
    #expect(try state([9, 0, 0, 0]).others.map(\.text).contains("Config=4: DMA passes untranslated"))
    #expect(try state([5, 0, 0, 0]).findings.map(\.text) == ["the configuration 2 is reserved"])
    #expect(
      try state(stage1Entry(0xdead_0000)).findings.map(\.text) == [
        "the context descriptors (64 bytes) is not in memory"
      ])
    let reserved = try state([9 | 1 << 57, 1 << 24, 0, 0])
    #expect(reserved.findings.map(\.physical) == [streams + id * 64, streams + id * 64 + 8])
    #expect(reserved.findings.first?.text.contains("stream table entry [5.2]") == true)
    let small = try state(stage1Entry(contexts), [0x1_e205_c000_3510 & ~(1 << 41), 0, 0, 0])
    #expect(small.findings.first?.text == "32-bit or big-endian descriptors of stage 1 are not walked")
    let disabled = try machine("armv8", entry: { _ in [] }).walker(registers(cr0: 0)).devices()
    #expect(disabled.devices.isEmpty && disabled.facts[0].contains("disabled"))
    let nested = try state([0x5000 | 7 << 1 | 1, 0, 0x044d_3590_0000_0001, TestMachine.tableBase])
    #expect(nested.devices.first?.stage == "stage 2 of a nested translation" && nested.findings.isEmpty)
    #expect(nested.devices.first?.notes.first?.contains("0x5000") == true)
    // 4K, 48 bits, but S2SL0 1: 16 tables side by side at level 1 are not enough.
    let start = try state([6 << 1 | 1, 0, 0x044d_3550_0000_0001, TestMachine.tableBase])
    #expect(start.findings.first?.text.hasSuffix("start at level 3, the structures say 2") == true)
    #expect(start.devices.first?.root != nil && start.devices.first?.mode != .translated)
  }
}
