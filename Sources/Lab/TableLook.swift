// SPDX-License-Identifier: GPL-2.0-only

import Kernel
import PageTable
import ReferenceSpecs
import Walk

/// A walk from an IOMMU's registers to the tables of one device, and what was found there.
struct TableLook {
  let device: DeviceTables
  let scan: TableScan
  let comparison: TableComparison
  /// What is wrong, but for mappings that may be written only and can be read as well.
  private(set) var findings: [Finding] = []
  /// Those: the kernel let a device read what it may not.
  private(set) var readable: [Finding] = []

  /// Walks, and compares every word.
  ///
  /// - Throws: `KernelFailure` where the structures above the tables are wrong, or the device has no tables.
  init(_ registers: RegisterValues, _ memory: any MachineMemory, device name: String, expected: [HeldMapping])
    throws
  {
    let walker = IOMMUWalker(registers: registers, memory: memory, specifications: .embedded)
    let state = try walker.devices()
    guard state.findings.isEmpty else {
      throw KernelFailure(details: state.findings.prefix(10).flatMap(Self.lines))
    }
    guard let id = DeviceTables.id(name) else { throw KernelFailure("'\(name)' is no PCI address") }
    let found = state.tables(of: id)
    let translated = found.filter { $0.mode == .translated }
    guard let device = translated.first, translated.count == 1, let scan = try walker.scan(device) else {
      let modes = found.map { "\($0.name): \($0.mode)" }
      throw KernelFailure(
        details: ["expected one table of \(name), found \(translated.count)"] + modes + state.facts)
    }
    self.device = device
    self.scan = scan
    comparison = try walker.compare(
      scan, of: device,
      with: expected.map {
        ExpectedMapping(
          iova: $0.iova, physical: $0.physicalAddress, length: $0.length, read: $0.read, write: $0.write,
          flags: Self.flags)
      }, limit: 1 << 20)
    let starts = scan.leaves.map(\.iova)
    for finding in comparison.findings {
      let leaf = starts.firstIndex { $0 == finding.iova }.map { scan.leaves[$0] }
      if let leaf, Self.isReadable(finding, leaf, expected) {
        readable.append(finding)
      } else {
        findings.append(finding)
      }
    }
  }

  /// What mappings have beside permissions: VFIO and the kit's module ask for coherent memory and for nothing else.
  private static let flags: Protection = .cache

  /// Whether a finding says no more than that a mapping for writes only permits reads.
  private static func isReadable(_ finding: Finding, _ leaf: ScannedLeaf, _ expected: [HeldMapping]) -> Bool {
    guard let word = finding.word, let golden = finding.expected, (word ^ golden).nonzeroBitCount == 1 else {
      return false
    }
    let mapping = expected.last { $0.iova <= leaf.iova }
    guard let mapping, leaf.iova - mapping.iova < mapping.length else { return false }
    return !mapping.read && mapping.write && leaf.protection.isSuperset(of: [.read, .write])
  }

  /// What was compared.
  var summary: String {
    "\(comparison.format): \(comparison.pageCount) pages in \(comparison.leafCount) leaves, \(comparison.wordCount) words "
      + "of \(comparison.tableCount) tables"
  }

  /// - Throws: `KernelFailure` with what is different.
  func seeEqual() throws {
    try Self.seeNone(findings, summary)
  }

  static func seeNone(_ findings: [Finding], _ summary: String) throws {
    guard findings.isEmpty else {
      throw KernelFailure(
        details: [summary, "\(findings.count) findings"] + findings.prefix(5).flatMap(Self.lines))
    }
  }

  /// A finding and its details.
  static func lines(_ finding: Finding) -> [String] {
    [finding.description] + finding.details.map { "  \($0)" }
  }
}
