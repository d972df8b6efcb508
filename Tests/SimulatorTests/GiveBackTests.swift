// SPDX-License-Identifier: GPL-2.0-only

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
    let tables = (0..<10_000).compactMap { _ in memory.allocateTable(sizeLog2: 12) }
    for table in tables { memory.words(table)[0] = 1 }
    #expect(memory.machine.giveBackEmptyPages() == 0)
    for table in tables { memory.words(table)[0] = 0 }
    let given = (0..<3).map { _ in memory.machine.giveBackEmptyPages() }
    #expect(given.allSatisfy { $0 <= 4096 } && given.reduce(0, +) == 10_000)
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
