// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// Walks from an IOMMU's registers to the tables of its devices, and compares those with what should be in them.
///
/// Not for use by several threads at once.
public final class IOMMUWalker {
  public let registers: RegisterValues
  public let memory: any MachineMemory
  /// The bit of addresses that marks encrypted memory on AMD machines (SME); 0 for none.
  public let encryptionBit: Int
  private let specifications: SpecificationLibrary
  private var formats: [Configuration: ReferenceFormat] = [:]

  public init(
    registers: RegisterValues, memory: any MachineMemory, specifications: SpecificationLibrary,
    encryptionBit: Int = 0
  ) {
    self.registers = registers
    self.memory = memory
    self.specifications = specifications
    self.encryptionBit = encryptionBit
  }

  /// Reads the IOMMU's structures and finds the tables of all devices.
  ///
  /// - Throws: what reading the memory throws. What is wrong with the structures is a finding.
  public func devices() throws -> IOMMUState {
    let reader = StructureReader(registers, memory)
    switch registers.kind {
    case .intel: try IntelWalk(reader).run()
    case .amd: try AMDWalk(reader: reader, encryptionBit: encryptionBit).run()
    case .smmuv3: try SMMUv3Walk(reader).run()
    case .riscv: try RISCVWalk(reader).run()
    }
    for index in reader.state.devices.indices { checkFormats(index, &reader.state) }
    return reader.state
  }

  /// Leaves a device unwalked whose tables have no format of the kit, or do not start where such tables start.
  private func checkFormats(_ index: Int, _ state: inout IOMMUState) {
    guard case .translated = state.devices[index].mode, let root = state.devices[index].root else { return }
    let formats = state.devices[index].formats
    let usable = formats.compactMap { try? reference($0) }
    state.devices[index].formats = usable.map(\.configuration)
    let wanted = usable.first?.rootLevel
    guard wanted != root.level else { return }
    let name = formats.first.map { "\($0)" } ?? "no format"
    let why =
      wanted.map { "tables of \(name) start at level \($0), the structures say \(root.level)" }
      ?? "the kit has no tables of \(name)"
    state.devices[index].mode = .notWalked(why)
    let structure = state.devices[index].structures.last
    state.findings.append(
      Finding(
        .structure, device: state.devices[index].name, physical: structure?.physical, why,
        details: structure.map { [$0.description] + $0.explanation } ?? []))
  }

  /// Scans the tables of a device; nil when its DMA is not translated.
  ///
  /// - Throws: `SpecError` when a format has no specification, and what reading the memory throws.
  public func scan(_ device: DeviceTables) throws -> TableScan? {
    guard case .translated = device.mode, let root = device.root, let format = device.formats.first else {
      return nil
    }
    return try TableScanner.scan(
      root, format: reference(format), memory: memory, rights: device.rights, device: device.name)
  }

  /// Compares scanned tables with what should be in them.
  ///
  /// - Parameters:
  ///   - expected: the mappings that the device should have.
  ///   - allowed: where there may be others.
  ///   - limit: how many findings are kept; all are counted.
  public func compare(
    _ scan: TableScan, of device: DeviceTables, with expected: [ExpectedMapping],
    allowed: [AllowedRegion] = [],
    limit: Int = 100
  ) throws -> TableComparison {
    let comparer = TableComparer(
      scan: scan, device: device.name, runs: ExpectedRuns(expected), allowed: allowed, limit: limit)
    guard let result = comparer.run(try device.formats.map(reference)) else {
      throw WalkInputError("\(device.name) has no tables to compare")
    }
    return result
  }

  /// The reference of a device's format.
  public func reference(_ configuration: Configuration) throws -> ReferenceFormat {
    if let format = formats[configuration] { return format }
    let format = try specifications.format(configuration)
    formats[configuration] = format
    return format
  }
}
