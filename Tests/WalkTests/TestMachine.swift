// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import ReferenceSpecs
import Simulator
import Testing

@testable import Walk

/// Memory of a machine with tables that the generic implementation built, and structures that a test writes by hand.
final class TestMachine {
  let memory = SparseMemory()

  static let tableBase: UInt64 = 0x1_0000_0000

  /// A mapping of a test.
  struct Mapping {
    var iova: UInt64
    var pa: UInt64
    var length: UInt64
    var protection: Protection = [.read, .write]

    init(_ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection = [.read, .write]) {
      (self.iova, self.pa, self.length, self.protection) = (iova, pa, length, protection)
    }

    var expected: ExpectedMapping {
      ExpectedMapping(
        iova: iova, physical: pa, length: length, read: protection.contains(.read),
        write: protection.contains(.write))
    }
  }

  /// What most tests map: 4K pages, one 2M and one 1G leaf where the format has them, a page to read only.
  static let usual = [
    Mapping(0x10_0000, 0x2000_0000, 0x3000), Mapping(0x40_0000, 0x4020_0000, 2 << 20),
    Mapping(0x4000_0000, 0x8000_0000, 1 << 30), Mapping(0x8765_4000, 0x1234_5000, 0x1000, .read),
  ]

  /// Builds the tables of a configuration with some mappings at `base`, and returns their root.
  func build(
    _ configuration: String, _ mappings: [Mapping] = TestMachine.usual, flags: Protection = [],
    base: UInt64 = TestMachine.tableBase
  ) throws -> TableRoot {
    var options = SimulationOptions(physicalBase: base)
    options.reserve = 1 << 20
    let table = try FormatList.simulate(try FormatList.configuration(configuration), options)
    for mapping in mappings {
      let result = table.perform(
        .map(
          iova: mapping.iova, pa: mapping.pa, length: mapping.length,
          protection: mapping.protection.union(flags)))
      #expect(result == .ok)
    }
    let machine = table.machine
    for page in 0..<256 as Range<UInt64> where machine.isTableMemory(base + page * 4096, 64) {
      let bytes = UnsafeRawBufferPointer(start: machine.arena + Int(page * 4096), count: 4096)
      memory.write(Array(bytes), at: base + page * 4096)
    }
    return table.root
  }

  func write(_ words: [UInt64], at physical: UInt64) {
    for (index, word) in words.enumerated() { memory.write(word: word, at: physical + UInt64(index * 8)) }
  }

  /// A page of zeros.
  func clear(_ physical: UInt64, pages: Int = 1) {
    for page in 0..<pages {
      memory.write(Array(repeating: 0, count: 4096), at: physical + UInt64(page * 4096))
    }
  }

  func word(_ physical: UInt64) -> UInt64 { memory.words(at: physical) }

  func flip(_ bit: Int, at physical: UInt64) {
    memory.write(word: word(physical) ^ Bits.bit(bit), at: physical)
  }

  func walker(_ registers: RegisterValues, encryptionBit: Int = 0) -> IOMMUWalker {
    IOMMUWalker(
      registers: registers, memory: memory, specifications: SpecificationLibrary.embedded,
      encryptionBit: encryptionBit)
  }
}

extension SparseMemory {
  /// The word at an address; 0 outside of memory.
  func words(at physical: UInt64) -> UInt64 { (try? words(at: physical, count: 1))??.first ?? 0 }
}

extension IOMMUWalker {
  /// The only device, its scan and its comparison.
  func only(
    _ expected: [TestMachine.Mapping], allowed: [AllowedRegion] = []
  ) throws -> (device: DeviceTables, scan: TableScan, comparison: TableComparison) {
    let state = try devices()
    let device = try #require(state.devices.first)
    #expect(state.devices.count == 1)
    let scan = try #require(try self.scan(device))
    return (device, scan, try compare(scan, of: device, with: expected.map(\.expected), allowed: allowed))
  }
}
