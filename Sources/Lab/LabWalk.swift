// SPDX-License-Identifier: GPL-2.0-only

import Kernel
import Machine
import PageTable
import Walk

/// The real bits: what the kernel wrote for mappings that it holds, read from outside of the machine.
final class LabWalk {
  /// What is looked at.
  enum Check: String, CaseIterable {
    /// Every word is the golden encoder's for the pages that the guest reports, and there is no other mapping.
    case bits
    /// No mapping for writes only can be read.
    case writeOnly = "write_only"
    /// The same in a dump of the memory, with the registers in a file.
    case dump
    /// A bit of an entry that is changed in the guest's memory is found: the proof that a wrong bit would be.
    case changedBit = "finds_a_changed_bit"
    /// After the unmaps nothing is mapped.
    case unmapped
    /// A mapping that nobody told of is found: the proof that a leak would be.
    case leak = "finds_a_leak"
  }

  private var outcomes: [Check: Result<[String], any Error>] = [:]
  private let machine: VirtualMachine
  private let kind: IOMMUKind
  private let device: String
  /// How the text of the tables' format begins.
  private let tables: String
  private var first: TableLook?
  /// The memory in which the first look found all that it read. A dump is of no more than that: to write all of a guest's memory
  /// to a file takes longer than all the other looks.
  private var structures: ClosedRange<UInt64>?
  /// The pages of the first look.
  private(set) var pages: UInt64 = 0

  /// Maps, looks, and unmaps.
  init(_ bench: LabTest.Bench) throws {
    machine = bench.machine
    device = bench.row.device
    tables = bench.row.tables
    guard let kind = IOMMUKind(rawValue: bench.row.iommu) else {
      throw LabError("'\(bench.row.iommu)' is no kind of IOMMU")
    }
    self.kind = kind
    HeldMappings.reserveLargePages(bench.context)
    let mapper = try Self.mapper(bench)
    defer { mapper.close() }
    try HeldMappings.hold(
      with: mapper,
      held: { mappings in
        check(.bits) { try self.seeBits(mappings) }
        check(.writeOnly) { try self.seeWriteOnly(mappings) }
        check(.dump) { try self.seeDump(mappings) }
        check(.changedBit) { try self.seeChangedBit(mappings) }
      },
      empty: { _ in
        check(.unmapped) { try self.seeUnmapped() }
        check(.leak) { try self.seeLeak(mapper) }
      })
  }

  private static func mapper(_ bench: LabTest.Bench) throws -> any Mapper {
    let context = bench.context
    switch bench.row.mapper {
    case .vfio:
      try context.satisfy(.module("vfio_iommu_type1"))
      return try VFIOMapper(machine: context.machine, group: String(context.group().number))
    case .module: return try ModuleMapper(machine: context.machine, device: bench.row.device)
    }
  }

  private func check(_ check: Check, _ body: () throws -> [String]) {
    outcomes[check] = Result { () throws -> [String] in
      // Nothing changes while it is read.
      try machine.monitor.setRunning(false)
      defer { try? machine.monitor.setRunning(true) }
      return try body()
    }
  }

  /// Lines for a reader.
  ///
  /// - Throws: what was found wrong.
  func outcome(_ check: Check) throws -> [String] {
    guard let outcome = outcomes[check] else { throw LabError("the mappings were not held until then") }
    return try outcome.get()
  }

  // MARK: Checks

  private func look(_ mappings: [HeldMapping], in memory: GuestMemory? = nil) throws -> TableLook {
    try TableLook(
      machine.registers(of: kind), memory ?? GuestMemory(machine), device: device, expected: mappings)
  }

  private func seeBits(_ mappings: [HeldMapping]) throws -> [String] {
    let memory = GuestMemory(machine)
    let look = try look(mappings, in: memory)
    first = look
    structures = memory.span
    try look.seeEqual()
    let format = "\(look.comparison.format)"
    guard format.hasPrefix(tables) else {
      throw KernelFailure("expected tables of \(tables), found \(format)")
    }
    pages = look.comparison.pageCount
    return [look.summary]
  }

  private func seeWriteOnly(_ mappings: [HeldMapping]) throws -> [String] {
    guard mappings.contains(where: { !$0.read && $0.write }) else {
      throw KernelSkip(.hardware, "no mapping for writes only can be made")
    }
    guard let first else { throw LabError("the tables could not be read") }
    try TableLook.seeNone(first.readable, first.summary)
    return []
  }

  private func seeDump(_ mappings: [HeldMapping]) throws -> [String] {
    guard let structures else { throw LabError("the tables could not be read") }
    let file = machine.file("dump")
    try machine.monitor.dump(structures, to: file)
    defer { HostFile.remove(file) }
    // As a person has them who was sent a dump.
    let text = try machine.registers(of: kind).text
    let registers = try RegisterValues(kind, text: text, file: "registers")
    let look = try TableLook(registers, Dump.open(file), device: device, expected: mappings)
    try look.seeEqual()
    return [
      look.summary,
      "memory from \(Numbers.hex(structures.lowerBound)) to \(Numbers.hex(structures.upperBound))",
    ]
  }

  private func seeChangedBit(_ mappings: [HeldMapping]) throws -> [String] {
    let before = try look(mappings)
    guard let leaf = before.scan.leaves.first(where: { $0.level == 0 && $0.words.count == 1 }) else {
      throw KernelSkip(.hardware, "there is no leaf of one word in a last level")
    }
    let word = leaf.words[0]
    // The lowest bit of the page's address.
    let changed = word ^ (kind == .riscv ? 1 << 10 : 1 << 12)
    try machine.store(AgentFrames.little(changed), at: leaf.physical)
    // The stub has let it go on.
    try machine.monitor.setRunning(false)
    let after = Result { () throws -> TableLook in try look(mappings) }
    try machine.store(AgentFrames.little(word), at: leaf.physical)
    let findings = try after.get().findings
    let place =
      "IOVA \(Numbers.hex(leaf.iova)), level 0: \(Numbers.hex(changed)) in the place of \(Numbers.hex(word))"
    let finding = findings.first { $0.iova == leaf.iova && $0.level == 0 && $0.word == changed }
    guard let finding, finding.expected == word, !finding.details.isEmpty, findings.count == 1 else {
      throw KernelFailure(
        details: ["\(place), expected one finding that says so, found \(findings.count):"]
          + findings.prefix(5).flatMap(TableLook.lines))
    }
    try look(mappings).seeEqual()
    return TableLook.lines(finding)
  }

  private func seeUnmapped() throws -> [String] {
    let look = try look([])
    try look.seeEqual()
    return [look.summary]
  }

  private func seeLeak(_ mapper: any Mapper) throws -> [String] {
    try machine.monitor.setRunning(true)
    let memory = try mapper.machine.allocate(byteCount: mapper.pageSize, pageSize: 4096)
    defer { mapper.machine.deallocate(memory, byteCount: mapper.pageSize) }
    guard let iova = mapper.room(mapper.pageSize, alignment: 2 << 20, from: 4 << 20) else {
      throw KernelSkip(.hardware, "there is no room for a page")
    }
    try mapper.map(iova: iova, address: memory, length: mapper.pageSize, read: true, write: true)
    try machine.monitor.setRunning(false)
    let found = Result { () throws -> TableLook in try look([]) }
    try machine.monitor.setRunning(true)
    _ = try mapper.unmap(iova: iova, length: mapper.pageSize)
    let comparison = try found.get().comparison
    guard let finding = comparison.findings.first, comparison.findingCount == 1, finding.kind == .extra,
      finding.iova == iova
    else {
      throw KernelFailure(
        details: ["one page is mapped at \(Numbers.hex(iova)); expected one finding that says so, found:"]
          + comparison.findings.flatMap(TableLook.lines))
    }
    return TableLook.lines(finding)
  }
}
