// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import ReferenceSpecs
import Testing

@testable import Walk

/// No bit of any word may change unseen, but for those that the hardware sets.
@Suite("each bit of each kind of word") struct FlippedBitTests {
  /// A format, and the bits that the hardware may set in its leaves and pointers.
  struct Example: Sendable, CustomTestStringConvertible {
    var text: String
    var leafBits: Set<Int> = []
    var tableBits: Set<Int> = []
    var testDescription: String { text }
  }

  static let examples = [
    Example(text: "vtdss:level=3", leafBits: [8, 9], tableBits: [8]),
    Example(text: "amdv1", leafBits: [5, 6], tableBits: [5]),
    Example(text: "x86_64", leafBits: [10], tableBits: [10]),
    Example(text: "riscv64:features=flush_range+detailed_gather+sign_extend+svnapot_64k"),
    Example(text: "armv8:contig=1"), Example(text: "armv8:stage=2,contig=1"),
  ]

  @Test("is seen when it changes", arguments: examples)
  func flip(example: Example) throws {
    let machine = TestMachine()
    // Eight pages whose addresses are odd, so that none becomes part of a group.
    let mappings = (0..<8 as Range<UInt64>).map {
      TestMachine.Mapping(0x10_1000 + $0 * 0x2000, 0x2000_3000 + $0 * 0x4000, 0x1000)
    }
    let root = try machine.build(example.text, mappings, flags: [.cache])
    let format = try SpecificationLibrary.embedded.format(FormatList.configuration(example.text))
    func compare() throws -> (TableScan, TableComparison) {
      let scan = try TableScanner.scan(root, format: format, memory: machine.memory)
      let comparer = TableComparer(
        scan: scan, device: "", runs: ExpectedRuns(mappings.map(\.expected)), allowed: [], limit: 10)
      return (scan, try #require(comparer.run([format])))
    }
    let (scan, clean) = try compare()
    #expect(clean.isEqual, "\(clean.findings)")
    let leaf = try #require(scan.leaves.dropFirst(2).first)
    let pointer = try #require(scan.tables.last?.pointer)
    for bit in 0..<64 {
      machine.flip(bit, at: leaf.physical)
      let (_, first) = try compare()
      machine.flip(bit, at: leaf.physical)
      #expect(first.isEqual == example.leafBits.contains(bit), "bit \(bit) of a leaf")
      if !first.isEqual {
        #expect(
          first.findings.contains {
            $0.physical == leaf.physical && $0.iova == leaf.iova && !$0.details.isEmpty
          })
      }
      machine.flip(bit, at: pointer.physical)
      let (_, second) = try compare()
      machine.flip(bit, at: pointer.physical)
      #expect(second.isEqual == example.tableBits.contains(bit), "bit \(bit) of a pointer")
    }
  }
}
