// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Walk

/// RISC-V IOMMU Architecture Specification, data structures.
@Suite("RISC-V IOMMU") struct RISCVTests {
  private let directory: UInt64 = 0x10_0000
  private let processes: UInt64 = 0x11_0000
  // 00:04.0
  private let id = 0x20
  // Sv39 to Sv57, PAS 56, and MSI_FLAT for contexts of 64 bytes.
  private static let capabilities: UInt64 = 0x38_0000_0e10

  private func registers(
    mode: UInt64 = 2, extended: Bool = true, fctl: UInt64 = 0, svpbmt: Bool = false
  ) throws -> RegisterValues {
    try RegisterValues(
      .riscv,
      [
        "CAPABILITIES": Self.capabilities | (extended ? 1 << 22 : 0) | (svpbmt ? 1 << 15 : 0), "FCTL": fctl,
        "DDTP": (directory >> 12) << 10 | mode,
      ])
  }

  /// A machine with one device by way of 1 to 3 levels of directories.
  private func machine(
    _ configuration: String, mode: UInt64 = 2, extended: Bool = true, context: (TableRoot) -> [UInt64]
  ) throws -> TestMachine {
    let machine = TestMachine()
    let root = try machine.build(configuration)
    machine.clear(directory, pages: 4)
    machine.clear(processes, pages: 3)
    var table = directory
    for _ in 2..<mode {
      machine.write([((table + 4096) >> 12) << 10 | 1], at: table)
      table += 4096
    }
    machine.write(context(root), at: table + UInt64(id * (extended ? 64 : 32)))
    return machine
  }

  /// tc, iohgatp, ta with PSCID 3, and a first-stage context.
  private func context(_ root: TableRoot, mode: UInt64, tc: UInt64 = 1) -> [UInt64] {
    [tc, 0, 0x3000, root.physical >> 12 | mode << 60]
  }

  @Test("each width of the first stage", arguments: [(39, 8), (48, 9), (57, 10)] as [(Int, UInt64)])
  func firstStage(va: Int, mode: UInt64) throws {
    let machine = try machine("riscv64:va=\(va)") { context($0, mode: mode) }
    let found = try machine.walker(registers()).only(TestMachine.usual)
    #expect(found.device.name == "00:04.0" && found.device.domain == "PSCID 3")
    #expect(found.comparison.isEqual, "\(found.comparison.findings)")
  }

  @Test(
    "directories of 1 to 3 levels, with contexts of both formats", arguments: [2, 3, 4] as [UInt64],
    [true, false])
  func directories(mode: UInt64, extended: Bool) throws {
    let machine = try machine("riscv64", mode: mode, extended: extended) { context($0, mode: 9) }
    let found = try machine.walker(registers(mode: mode, extended: extended)).only(TestMachine.usual)
    #expect(found.device.id == UInt32(id) && found.comparison.isEqual)
    #expect(found.device.structures.first?.words.count == (extended ? 8 : 4))
  }

  @Test("16 words of a Svnapot leaf are one leaf of 64K")
  func napot() throws {
    let mappings = [TestMachine.Mapping(0x1_0000, 0x2_0001_0000, 0x1_0000)]
    let machine = TestMachine()
    let root = try machine.build(
      "riscv64:features=flush_range+detailed_gather+sign_extend+svnapot_64k", mappings)
    machine.clear(directory)
    machine.write(context(root, mode: 9), at: directory + UInt64(id * 64))
    let walker = machine.walker(try registers())
    let (_, scan, comparison) = try walker.only(mappings)
    #expect(scan.leaves.map(\.size) == [0x1_0000] && comparison.isEqual && comparison.wordCount == 16 + 3)
    #expect(scan.leaves.first?.words.first == 0x8000_0000_8000_60df)
    let leaf = try #require(scan.leaves.first)
    machine.flip(63, at: leaf.physical + 5 * 8)
    let broken = try walker.only(mappings)
    #expect(broken.scan.findings.contains { $0.kind == .group && $0.physical == leaf.physical + 40 })
    #expect(!broken.comparison.isEqual)
  }

  @Test("process directories of 1 to 3 levels", arguments: [1, 2, 3] as [UInt64])
  func processDirectories(mode: UInt64) throws {
    let machine = try machine("riscv64") { _ in [1 | 1 << 5 | 1 << 9, 0, 0, processes >> 12 | mode << 60] }
    var table = processes
    for _ in 1..<mode {
      machine.write([((table + 4096) >> 12) << 10 | 1], at: table)
      table += 4096
    }
    let root = TestMachine.tableBase >> 12 | 9 << 60
    machine.write([0x7001, root], at: table)
    machine.write([0x8001, root], at: table + 5 * 16)
    let state = try machine.walker(registers()).devices()
    #expect(state.findings.isEmpty && state.devices.map(\.name) == ["00:04.0", "00:04.0.pasid5"])
    #expect(state.devices.map(\.domain) == ["PSCID 7", "PSCID 8"])
  }

  @Test("what is reserved, refused or not translated is said")
  func otherContexts() throws {
    func state(_ words: [UInt64], _ values: RegisterValues? = nil) throws -> IOMMUState {
      try machine("riscv64") { _ in words }.walker(values ?? registers()).devices()
    }
    let reserved = try state([1 | 1 << 12, 0, 0xfff, 0])
    #expect(
      reserved.findings.map(\.word) == [0x1001, 0xfff] && reserved.devices.map(\.mode) == [.passThrough])
    #expect(
      reserved.findings.first?.text
        == "reserved bits 0x1000 are set in word 0 of the device context [extended format]")
    #expect(try state([1, 0, 0, 7 << 60]).findings.count == 1)
    #expect(
      try state([1 | 1 << 5, 0, 0, 4 << 60]).findings.first?.text.contains("process directory") == true)
    #expect(
      try state([1 | 1 << 11, 0, 0, 8 << 60]).findings.first?.text
        == "big-endian or Sv32 tables are not walked")
    let guest = try state([1, 8 << 60 | 5 << 44, 0, 0])
    #expect(guest.findings.isEmpty && guest.devices.first?.domain == "GSCID 5")
    #expect(try state([0], registers(mode: 1)).facts[0].contains("untranslated"))
    #expect(try state([0], registers(mode: 7)).findings.count == 1)
    #expect(try state([0], registers(fctl: 1)).findings.count == 1)
  }
}
