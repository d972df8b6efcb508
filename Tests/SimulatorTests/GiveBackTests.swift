// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import PageTable
import Simulator
import Testing

@Suite struct GiveBackTests {
  @Test func emptyPagesGoAndContentStays() throws {
    let memory = PlainMemory(machine: try smallMachine(reserve: 64 << 20))
    let tables = (0..<1000).compactMap { _ in memory.allocateTable(sizeLog2: 12) }
    for table in tables { memory.words(table)[511] = table }
    for (index, table) in tables.enumerated() where index % 10 != 3 { memory.words(table)[511] = 0 }
    #expect(memory.machine.pagesSinceGiveBack == 1000)
    #expect(memory.machine.giveBackEmptyPages() == 900)
    #expect(memory.machine.pagesSinceGiveBack == 0)
    for (index, table) in tables.enumerated() {
      #expect(memory.words(table)[511] == (index % 10 == 3 ? table : 0))
    }
  }

  @Test func olderPagesAreLookedAtInTurn() throws {
    let memory = PlainMemory(machine: try smallMachine(reserve: 256 << 20))
    let tables = (0..<10_240).compactMap { _ in memory.allocateTable(sizeLog2: 12) }
    for table in tables { memory.words(table)[0] = 1 }
    #expect(memory.machine.giveBackEmptyPages() == 0)
    for table in tables { memory.words(table)[0] = 0 }
    let given = (0..<3).map { _ in memory.machine.giveBackEmptyPages() }
    #expect(given == [4096, 4096, 2048])
  }

  /// Beyond the first pages, the host may hold tables in large pages; those being filled are left alone.
  @Test func fewFullTablesKeepNoLargePage() throws {
    let memory = PlainMemory(machine: try smallMachine(reserve: 256 << 20))
    var tables: [UInt64] = []
    var given = 0
    for _ in 0..<20_000 {
      let table = try #require(memory.allocateTable(sizeLog2: 12))
      memory.words(table)[9] = table
      if tables.count % 512 > 2 { memory.words(table)[9] = 0 }
      tables.append(table)
      if memory.machine.pagesSinceGiveBack >= SimulatedMachine.giveBackInterval {
        given += memory.machine.giveBackEmptyPages()
      }
    }
    #expect(memory.machine.pagesSinceGiveBack < SimulatedMachine.giveBackInterval + 512)
    let looked = 20_000 - memory.machine.pagesSinceGiveBack
    #expect(given == looked - (looked + 511) / 512 * 3)
    #expect(residentPages(memory) == 20_000 - given)
    for (index, table) in tables.enumerated() {
      #expect(memory.words(table)[9] == (index % 512 > 2 ? 0 : table))
    }
  }

  /// A block that is half empty or less is not copied, and loses its empty pages none the less.
  @Test func emptyPagesGoFromMostlyFullMemory() throws {
    let memory = PlainMemory(machine: try smallMachine(reserve: 64 << 20))
    let tables = (0..<8192).compactMap { _ in memory.allocateTable(sizeLog2: 12) }
    for (index, table) in tables.enumerated() {
      memory.words(table)[0] = 5
      if index % 4 == 1 { memory.words(table)[0] = 0 }
    }
    #expect(memory.machine.giveBackEmptyPages() == 2048)
    #expect(tables.enumerated().allSatisfy { memory.words($1)[0] == ($0 % 4 == 1 ? 0 : 5) })
  }

  /// 4 KiB pages of the arena that occupy host memory, of the first 20 000.
  private func residentPages(_ memory: PlainMemory) -> Int {
    var resident = [UInt8](repeating: 0, count: 20_000)
    #expect(mincore(memory.arena, 20_000 * 4096, &resident) == 0)
    return resident.reduce(0) { $0 + Int($1 & 1) }
  }

  @Test func poisonIsNotGivenBack() throws {
    let memory = PlainMemory(machine: try smallMachine())
    let tables = (0..<10).compactMap { _ in memory.allocateTable(sizeLog2: 12) }
    for table in tables { memory.words(table)[0] = 1 }
    memory.words(tables[5])[0] = 0
    memory.releaseTable(at: tables[4], sizeLog2: 12)
    #expect(memory.machine.giveBackEmptyPages() == 1)
    #expect(memory.machine.verifyReleasedTables().isEmpty)
  }
}
