// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Walk

/// 48882: device table entries in section 2.2.2.1, MMIO registers in section 3.4.
@Suite("AMD IOMMU") struct AMDTests {
  private let deviceTable: UInt64 = 0x10_0000
  private let guestTable: UInt64 = 0x10_4000
  // 00:04.0
  private let id: UInt64 = 0x20
  private static let granted: UInt64 = 0x6000_0000_0000_0003

  /// A device table of 512 entries in 4 pages.
  private func registers(control: UInt64 = 1) throws -> RegisterValues {
    try RegisterValues(
      .amd, ["DEV_TABLE_BASE": deviceTable | 3, "CONTROL": control, "EXT_FEATURE": 0x810])
  }

  private func machine(_ configuration: String, entry: (TableRoot) -> [UInt64]) throws -> TestMachine {
    let machine = TestMachine()
    let root = try machine.build(configuration)
    machine.clear(deviceTable, pages: 4)
    machine.write(entry(root), at: deviceTable + id * 32)
    return machine
  }

  @Test("host tables of 3 to 6 levels, and every word is the golden encoder's", arguments: 3...6)
  func hostTables(mode: UInt64) throws {
    let machine = try machine("amdv1:level=\(mode - 1)") {
      [$0.physical | mode << 9 | Self.granted, 10, 0, 0]
    }
    let (device, scan, comparison) = try machine.walker(registers()).only(TestMachine.usual)
    #expect(device.domain == "DomainID 10" && device.root?.level == Int(mode) - 1)
    #expect(comparison.isEqual, "\(comparison.findings)")
    #expect(comparison.format.flags("features").contains("force_coherence"))
    // 12K at an address that is a multiple of 8K only for the first two pages.
    #expect(scan.leaves.map(\.size).sorted() == [4096, 4096, 8192, 2 << 20, 1 << 30])
    #expect(scan.leaves.first { $0.size == 8192 }?.words.count == 2)
  }

  @Test("tables without forced coherence, and with encrypted memory")
  func choices() throws {
    let plain = try machine("amdv1:features=flush_range+dynamic_top,build=permissive") {
      [$0.physical | 3 << 9 | Self.granted, 0, 0, 0]
    }
    let comparison = try plain.walker(registers()).only(TestMachine.usual).comparison
    #expect(comparison.isEqual && !comparison.format.flags("features").contains("force_coherence"))
    let encrypted = try machine(
      "amdv1:features=flush_range+dynamic_top+force_coherence+encrypt_tables,cbit=47"
    ) {
      [$0.physical | 1 << 47 | 3 << 9 | Self.granted, 0, 0, 0]
    }
    let found = try encrypted.walker(registers(), encryptionBit: 47).only(TestMachine.usual)
    #expect(found.comparison.isEqual, "\(found.comparison.findings)")
  }

  @Test("entries of no device are counted, those that pass DMA through are devices")
  func otherEntries() throws {
    let machine = try machine("amdv1") { _ in [3, 0, 0, 0] }
    machine.write([Self.granted, 0, 0, 0], at: deviceTable + 32)
    machine.write([1, 0, 0, 0], at: deviceTable + 64)
    let state = try machine.walker(registers()).devices()
    #expect(state.devices.map(\.name) == ["00:00.1"] && state.devices.map(\.mode) == [.passThrough])
    let counts = Dictionary(uniqueKeysWithValues: state.others.map { ($0.text, $0.count) })
    #expect(counts["V=0: DMA passes untranslated"] == 509)
    #expect(counts["V=1 TV=0: DMA is refused"] == 1)
    #expect(counts["V=1 TV=1 Mode=0 IR=IW=0: DMA is refused"] == 1)
  }

  @Test("reserved bits and modes of a device table entry are named")
  func wrongEntries() throws {
    let reserved = try machine("amdv1") { [$0.physical | 3 << 9 | Self.granted | 4, 1 << 42, 1 << 52, 0] }
    let findings = try reserved.walker(registers()).devices().findings
    #expect(findings.map(\.physical) == [0, 8, 16].map { deviceTable + id * 32 + $0 })
    #expect(findings.first?.text == "reserved bits 0x4 are set in word 0 of the device table entry [2.2.2.1]")
    let mode = try machine("amdv1") { [$0.physical | 7 << 9 | Self.granted, 0, 0, 0] }
    #expect(try mode.walker(registers()).devices().findings.map(\.text) == ["Mode 7 is reserved"])
    let segments = try mode.walker(registers(control: 1 | 1 << 34)).devices()
    #expect(segments.findings.count == 1 && segments.devices.isEmpty)
  }

  @Test("a device table entry that withholds writes withholds them from all leaves")
  func entryRights() throws {
    let machine = try machine("amdv1") { [$0.physical | 3 << 9 | 0x2000_0000_0000_0003, 0, 0, 0] }
    let scan = try machine.walker(registers()).only(TestMachine.usual).scan
    #expect(scan.leaves.allSatisfy { $0.read && !$0.write })
  }

  /// A device table entry with a GCR3 table: its address stands in three fields.
  private func guestEntry(levels: UInt64, mode: UInt64, table: UInt64) -> [UInt64] {
    let low = (table >> 12 & 7) << 58 | levels << 56 | 1 << 55 | 1 << 54
    let high = (table >> 15 & 0xffff) << 16 | (table >> 31) << 43 | 11
    return [Self.granted | low, high, mode << 54, 0]
  }

  @Test(
    "guest tables of 4 and 5 levels, by way of GCR3 tables of 1 and 2 levels", arguments: [0, 1] as [UInt64])
  func guestTables(extra: UInt64) throws {
    let level = 3 + Int(extra)
    let machine = try machine("x86_64:va=\(47 + 9 * extra),level=\(level),features=flush_range") { _ in
      self.guestEntry(levels: extra, mode: extra, table: self.guestTable)
    }
    machine.clear(guestTable, pages: 2)
    if extra == 1 { machine.write([(guestTable + 4096) | 1], at: guestTable) }
    machine.write([TestMachine.tableBase | 1], at: guestTable + extra * 4096)
    let found = try machine.walker(registers()).only(TestMachine.usual)
    #expect(found.device.stage == "guest tables (version 2)" && found.device.process == nil)
    #expect(found.device.structures.count == 2 + Int(extra) && found.device.root?.level == level)
    #expect(found.comparison.isEqual, "\(found.comparison.findings)")
    // Another PASID is an address space of its own.
    machine.write([TestMachine.tableBase | 1], at: guestTable + extra * 4096 + 40)
    let names = try machine.walker(registers()).devices().devices.map(\.name)
    #expect(names == ["00:04.0", "00:04.0.pasid5"])
  }

  @Test("nested translations are walked in the host's tables; reserved levels of guest tables are named")
  func nested() throws {
    let machine = try machine("amdv1") { root in
      var words = self.guestEntry(levels: 0, mode: 0, table: self.guestTable)
      words[0] |= root.physical | 3 << 9
      return words
    }
    let found = try machine.walker(registers()).only(TestMachine.usual)
    #expect(found.device.stage == "host tables of a nested translation" && found.comparison.isEqual)
    #expect(found.device.notes.first?.contains("GCR3 table at 0x104000") == true)
    let wrong = try self.machine("x86_64:va=47,features=flush_range") { _ in
      self.guestEntry(levels: 3, mode: 2, table: self.guestTable)
    }
    #expect(
      try wrong.walker(registers()).devices().findings.map(\.text) == [
        "GLX 3 or guest paging mode 2 is reserved"
      ])
  }

  @Test("words of a group that disagree are found, each once")
  func brokenGroup() throws {
    let machine = try machine("amdv1") { [$0.physical | 3 << 9 | Self.granted, 0, 0, 0] }
    let walker = machine.walker(try registers())
    let group = try #require(try walker.only(TestMachine.usual).scan.leaves.first { $0.size == 8192 })
    machine.flip(62, at: group.physical + 8)
    let (_, scan, comparison) = try walker.only(TestMachine.usual)
    let groups = scan.findings.filter { $0.kind == .group }
    #expect(
      groups.count == 1 && groups.first?.iova == group.iova && groups.first?.physical == group.physical + 8)
    #expect(groups.first?.details.contains { $0.hasPrefix("! 62 IW 0x0, expected 0x1") } == true)
    #expect(
      !comparison.isEqual && comparison.findings.contains { $0.kind == .word && $0.iova == group.iova + 4096 }
    )
  }
}
