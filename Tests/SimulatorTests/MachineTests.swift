// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

/// 16 MiB of table memory, so that tests can exhaust it.
func smallMachine(
  base: UInt64 = 0x1_0000_0000, reserve: UInt64 = 16 << 20, nodes: Int = 2, poison: Bool = true
) throws -> SimulatedMachine {
  try SimulatedMachine(physicalBase: base, reserve: reserve, nodes: nodes, poison: poison)
}

extension TableMemory {
  /// The words of a table at `physical`.
  func words(_ physical: UInt64) -> UnsafeMutablePointer<UInt64> {
    (arena + Int(physical - physicalBase)).assumingMemoryBound(to: UInt64.self)
  }
}

@Suite struct MachineTests {
  @Test func tablesOfEverySizeAreZeroedAlignedAndApart() throws {
    let memory = PlainMemory(machine: try smallMachine())
    var taken: [Range<UInt64>] = []
    for sizeLog2 in [6, 20, 12, 11, 13, 16, 6, 19, 12] {
      let table = try #require(memory.allocateTable(sizeLog2: sizeLog2))
      let bytes = UInt64(1) << UInt64(sizeLog2)
      #expect(table % bytes == 0)
      // A small table has its page to itself.
      let range = (table & ~4095)..<(table & ~4095) + max(4096, bytes)
      #expect(!taken.contains { $0.overlaps(range) })
      taken.append(range)
      #expect((0..<Int(bytes / 8)).allSatisfy { memory.words(table)[$0] == 0 })
    }
    #expect(memory.livePages == 1 + 256 + 1 + 1 + 2 + 16 + 1 + 128 + 1)
  }

  @Test func countsArePerDomainPerNodeAndInPages() throws {
    let machine = try smallMachine()
    let first = PlainMemory(machine: machine, domain: 1, node: 0)
    let second = PlainMemory(machine: machine, domain: 2, node: 1)
    let small = try #require(first.allocateTable(sizeLog2: 6))
    let large = try #require(second.allocateTable(sizeLog2: 14))
    #expect([first.livePages, second.livePages] == [1, 4])
    #expect(
      [machine.livePages(node: 0), machine.livePages(node: 1), machine.livePages(node: 9)] == [1, 4, 0])
    second.releaseTable(at: large, sizeLog2: 14)
    first.releaseTable(at: small, sizeLog2: 6)
    #expect([machine.livePages, machine.peakPages, machine.totalAllocations] == [0, 5, 2])
    #expect(machine.livePages(node: 1) == 0 && first.livePages == 0)
    machine.resetPeak()
    #expect(machine.peakPages == 0)
    #expect(machine.violations.isEmpty)
  }

  @Test func reusedMemoryIsZeroedWhateverWasLeftInIt() throws {
    for poison in [true, false] {
      let memory = PlainMemory(machine: try smallMachine(poison: poison))
      let table = try #require(memory.allocateTable(sizeLog2: 12))
      memory.words(table)[7] = 7
      memory.releaseTable(at: table, sizeLog2: 12)
      #expect(memory.words(table)[7] == (poison ? Poison.released : 7))
      #expect(memory.allocateTable(sizeLog2: 12) == table)
      #expect((0..<512).allSatisfy { memory.words(table)[$0] == 0 })
      #expect(memory.machine.violations.isEmpty)
    }
  }

  @Test func aWriteAfterReleaseIsSeenOnReuse() throws {
    let memory = PlainMemory(machine: try smallMachine())
    let table = try #require(memory.allocateTable(sizeLog2: 13))
    memory.releaseTable(at: table, sizeLog2: 13)
    memory.words(table)[1023] = 5
    let expected = MachineViolation(kind: .useAfterFree, physical: table + 8184, value: 5)
    #expect(memory.machine.verifyReleasedTables() == [expected])
    #expect(memory.machine.takeViolations() == [expected])
    #expect(memory.allocateTable(sizeLog2: 13) == table)
    #expect(memory.machine.violations == [expected])
  }

  @Test func wrongReleasesAreRecordedAndChangeNothing() throws {
    let memory = PlainMemory(machine: try smallMachine())
    let table = try #require(memory.allocateTable(sizeLog2: 13))
    let other = try #require(memory.allocateTable(sizeLog2: 12))
    memory.releaseTable(at: other, sizeLog2: 12)
    let wrong: [(UInt64, Int, MachineViolation.Kind)] = [
      (other, 12, .doubleFree), (table, 12, .sizeMismatch), (table + 4096, 12, .unknownFree),
      (table + 8, 13, .unknownFree), (table + 0x80_0000, 12, .unknownFree), (0, 12, .unknownFree),
      (.max, 12, .unknownFree), (table, 99, .sizeMismatch), (table, -1, .sizeMismatch),
    ]
    for (physical, sizeLog2, kind) in wrong {
      memory.releaseTable(at: physical, sizeLog2: sizeLog2)
      #expect(memory.machine.takeViolations().map(\.kind) == [kind], "\(kind) at \(physical)")
    }
    #expect(memory.livePages == 2)
    memory.releaseTable(at: table, sizeLog2: 13)
    #expect(memory.livePages == 0 && memory.machine.violations.isEmpty)
  }

  @Test func aWriteBehindASmallTableIsSeenOnRelease() throws {
    let memory = PlainMemory(machine: try smallMachine())
    let table = try #require(memory.allocateTable(sizeLog2: 6))
    memory.words(table)[8] = 3
    memory.releaseTable(at: table, sizeLog2: 6)
    #expect(
      memory.machine.violations == [MachineViolation(kind: .overrun, physical: table + 64, value: 3)])
  }

  @Test(arguments: [-1, 0, 5, 21, 64]) func sizesThatDoNotExistAreRefused(sizeLog2: Int) throws {
    let memory = PlainMemory(machine: try smallMachine())
    #expect(memory.allocateTable(sizeLog2: sizeLog2) == nil)
    #expect(memory.machine.violations.map(\.kind) == [.invalidSize])
  }

  @Test func theReserveEndsWithoutATrap() throws {
    let memory = PlainMemory(machine: try smallMachine(reserve: 1 << 20))
    let tables = (0..<256).compactMap { _ in memory.allocateTable(sizeLog2: 12) }
    #expect(tables.count == 256)
    #expect(memory.allocateTable(sizeLog2: 12) == nil)
    memory.releaseTable(at: tables[9], sizeLog2: 12)
    #expect(memory.allocateTable(sizeLog2: 13) == nil)
    #expect(memory.allocateTable(sizeLog2: 12) == tables[9])
  }

  @Test func whatAlignmentSkipsIsUsedLater() throws {
    let memory = PlainMemory(machine: try smallMachine(reserve: 1 << 20))
    let sizes = [12, 19, 18, 17, 16, 15, 14, 13, 12]
    let tables = sizes.compactMap { memory.allocateTable(sizeLog2: $0) }
    #expect(tables.count == sizes.count && memory.livePages == 256)
    #expect(memory.allocateTable(sizeLog2: 12) == nil)
  }

  /// Physical bases from 0 to the last that 16 MiB fit behind, with the limits of two formats between.
  static let bases: [UInt64] = [
    0, 0x10_0000, 0x7_ffff_ff00_0000, 0xf_ffff_ff00_0000, 0xffff_ffff_ff00_0000,
  ]

  @Test(arguments: bases)
  func physicalAddressesStartAtTheBase(base: UInt64) throws {
    let machine = try smallMachine(base: base)
    let memory = PlainMemory(machine: machine)
    var last: UInt64 = 0
    while let table = memory.allocateTable(sizeLog2: 20) {
      last = table
      memory.words(table)[0] = table
      let bytes = try #require(memory.walkerView.bytes(at: table, count: 1 << 20))
      #expect(bytes.load(as: UInt64.self) == table)
    }
    #expect(last == base &+ (15 << 20))
    #expect(machine.bytes(at: last, count: (1 << 20) + 1) == nil)
    memory.releaseTable(at: last, sizeLog2: 20)
    #expect(machine.violations.isEmpty)
  }

  @Test func readsOutsideOfTablesFindNothing() throws {
    let machine = try smallMachine()
    let memory = PlainMemory(machine: machine)
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    #expect(machine.bytes(at: table, count: 4096) != nil)
    for (physical, count) in [
      (table, 4097), (table, 0), (table, -8), (table - 1, 8), (table + 4096, 8), (0, 8), (UInt64.max, 8),
      (table + (16 << 20) - 8, 16),
    ] {
      #expect(machine.bytes(at: physical, count: count) == nil)
    }
    memory.releaseTable(at: table, sizeLog2: 12)
    #expect(machine.bytes(at: table, count: 8) == nil)
  }

  @Test func badRequestsAreErrors() {
    #expect(throws: MachineError.self) { try smallMachine(base: 4096) }
    #expect(throws: MachineError.self) { try smallMachine(reserve: 0) }
    #expect(throws: MachineError.self) { try smallMachine(reserve: .max) }
    #expect(throws: MachineError.self) { try smallMachine(base: UInt64.max - (1 << 20) + 1) }
    #expect(throws: MachineError.self) { try smallMachine(nodes: 0) }
    #expect(throws: MachineError.self) { try smallMachine(nodes: 257) }
  }

  @Test func metadataIsOnePerPageAndSurvivesReuse() throws {
    let memory = PlainMemory(machine: try smallMachine())
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    let page = Int((table - memory.physicalBase) / 4096)
    #expect(memory.pageMetadata[page] == TablePageMetadata())
    memory.pageMetadata[page].entries = 3
    memory.releaseTable(at: table, sizeLog2: 12)
    #expect(memory.allocateTable(sizeLog2: 12) == table)
    #expect(memory.pageMetadata[page].entries == 3)
  }

  @Test func threadsGetTablesOfTheirOwn() async throws {
    let machine = try smallMachine(reserve: 64 << 20)
    let kept = await withTaskGroup(of: [UInt64].self) { group in
      for worker in 0..<4 {
        group.addTask {
          let memory = PlainMemory(machine: machine, node: worker % 2)
          var kept: [UInt64] = []
          for round in 0..<2000 {
            guard let table = memory.allocateTable(sizeLog2: 12 + round % 3) else { continue }
            memory.words(table)[0] = UInt64(worker)
            if round % 7 == 0 {
              kept.append(table)
            } else {
              memory.releaseTable(at: table, sizeLog2: 12 + round % 3)
            }
          }
          return kept.filter { memory.words($0)[0] == UInt64(worker) }
        }
      }
      return await group.reduce(into: []) { $0 += $1 }
    }
    #expect(kept.count == 4 * 286 && Set(kept).count == kept.count)
    #expect(machine.totalAllocations == 8000 && machine.violations.isEmpty)
  }
}
