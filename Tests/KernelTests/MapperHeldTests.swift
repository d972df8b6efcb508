// SPDX-License-Identifier: GPL-2.0-only

import Machine
import Testing

@testable import Kernel

@Suite("Held mappings, and what interfaces tell")
struct MapperHeldTests {
  private func hold(
    _ machine: FakeMappingMachine, held: ([HeldMapping], FakePageTable) throws -> Void = { _, _ in },
    empty: (FakePageTable) throws -> Void = { _ in }
  ) throws {
    let mapper = try VFIOMapper(machine: machine, group: "7")
    defer { mapper.close() }
    let table = try #require(machine.tables.last)
    try HeldMappings.hold(with: mapper, scattered: 64) {
      try held($0, table)
    } empty: { _ in
      try empty(table)
    }
  }

  @Test("The list is exactly what is mapped, by physical addresses")
  func exact() throws {
    let machine = FakeMappingMachine()
    var calls: [String] = []
    try hold(machine) { mappings, table in
      calls.append("held")
      #expect(zip(mappings, mappings.dropFirst()).allSatisfy { $0.iova + $0.length <= $1.iova })
      let bytes = mappings.reduce(0) { $0 + $1.length }
      #expect(bytes == table.areas.reduce(0) { $0 + $1.length })
      for mapping in mappings {
        for offset in stride(from: 0, to: min(mapping.length, 1 << 20), by: 4096) {
          let address = try #require(table.translate(mapping.iova + offset)).address
          #expect(machine.memory.physical(address) == mapping.physicalAddress + offset)
        }
        let area = try #require(table.areas.last { $0.iova <= mapping.iova })
        #expect((area.read, area.write) == (mapping.read, mapping.write))
      }
    } empty: { table in
      calls.append("empty")
      #expect(table.areas.isEmpty)
    }
    #expect(calls == ["held", "empty"])
    #expect(machine.isTidy)
  }

  @Test("The set has all sizes, permissions and ends, and gaps")
  func variety() throws {
    let machine = FakeMappingMachine()
    machine.largestPage = 1 << 30
    try hold(machine) { mappings, table in
      for size in [4096, 16384, 64 << 10, 2 << 20, 1 << 30] as [UInt64] {
        #expect(
          mappings.contains { $0.length >= size && $0.iova % size == 0 && $0.physicalAddress % size == 0 })
      }
      let access = Set(mappings.map { "\($0.read)\($0.write)" })
      #expect(access == ["truetrue", "truefalse", "falsetrue"])
      for range in table.ranges {
        #expect(mappings.contains { $0.iova == range.first })
        #expect(mappings.contains { $0.iova + $0.length - 1 == range.last })
      }
      #expect(mappings.count > 300)
    }
  }

  @Test("Mappings go when the one who looks fails, and when the set cannot be mapped")
  func failures() throws {
    let machine = FakeMappingMachine()
    var table: FakePageTable?
    #expect(throws: KernelFailure.self) {
      try hold(machine) { _, found in
        table = found
        throw KernelFailure("a difference")
      }
    }
    #expect(table?.areas.isEmpty == true)
    #expect(machine.isTidy)
    for fault in [FakeFault.largeRefused, .lastPageRefused, .unmapReturnsLess] {
      let machine = FakeMappingMachine([fault])
      #expect(throws: HeldMappingsError.self) { try hold(machine) }
      #expect(machine.isTidy)
    }
  }

  @Test("Without page numbers the set is not held")
  func permission() {
    let machine = FakeMappingMachine()
    machine.showsPageNumbers = false
    #expect(throws: KernelSkip(.root, "/proc/self/pagemap shows no page numbers")) { try hold(machine) }
    #expect(machine.isTidy)
  }

  @Test("Runs are as long as memory is contiguous")
  func runs() {
    let item = HeldPlan.Item(iova: 0x10000, address: 0, length: 0x5000, write: false)
    let runs = HeldMappings.runs(of: [0x8000, 0x9000, 0x4000, 0x5000, 0x5000][...], item)
    #expect(runs.map(\.iova) == [0x10000, 0x12000, 0x14000])
    #expect(runs.map(\.length) == [0x2000, 0x2000, 0x1000])
    #expect(runs.allSatisfy { $0.read && !$0.write })
  }

  @Test("A container's capabilities are read whatever they hold")
  func capabilities() {
    var bytes = [UInt8](repeating: 0, count: 160)
    bytes.set(3, at: 4, 4)
    bytes.set(0x1000, at: 8, 8)
    bytes.set(24, at: 16, 4)
    // Three capabilities that point on, the last one back to the first.
    for (offset, id, next) in [(24, 2, 56), (56, 3, 72), (72, 1, 24)] as [(Int, UInt64, UInt64)] {
      bytes.set(id, at: offset, 2)
      bytes.set(next, at: offset + 4, 4)
    }
    bytes.set(0x1000, at: 40, 8)
    bytes.set(65535, at: 64, 4)
    bytes.set(1000, at: 80, 4)
    bytes.set(0xfff, at: 96, 8)
    let information = VFIOInformation(bytes)
    #expect(information.pageSizes == 0x1000)
    #expect(information.dirtyPageSizes == 0x1000)
    #expect(information.mappingsLeft == 65535)
    // A count beyond the end of the structure is cut.
    #expect(information.ranges.count == 4)
    #expect(information.ranges.first == IOVARange(first: 0, last: 0xfff))
    #expect(VFIOInformation([]).ranges.isEmpty)
    #expect(VFIOInformation([UInt8](repeating: 0xff, count: 40)).ranges.isEmpty)
  }
}
