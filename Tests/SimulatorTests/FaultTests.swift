// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@Suite struct FaultTests {
  private func outcome(_ memory: PlainMemory, sizes: [Int]) -> [Bool] {
    sizes.map { memory.allocateTable(sizeLog2: $0) != nil }
  }

  @Test func oneAllocationFails() throws {
    let memory = PlainMemory(machine: try smallMachine())
    _ = memory.allocateTable(sizeLog2: 12)
    memory.machine.failAllocation(number: 2)
    #expect(outcome(memory, sizes: [12, 12, 12, 12]) == [true, false, true, true])
    #expect(memory.livePages == 4)
  }

  @Test func allAllocationsAfterSomeFail() throws {
    let memory = PlainMemory(machine: try smallMachine())
    memory.machine.failAllocations(after: 1)
    #expect(outcome(memory, sizes: [12, 12, 6]) == [true, false, false])
    memory.machine.clearFaults()
    #expect(outcome(memory, sizes: [12]) == [true])
  }

  @Test func theBudgetIsInPages() throws {
    let memory = PlainMemory(machine: try smallMachine())
    #expect(memory.machine.allocationBudget == nil)
    memory.machine.allocationBudget = 4
    // 64 bytes take a page, 16 KiB would take four of the three left.
    #expect(outcome(memory, sizes: [6, 14, 13, 12, 12]) == [true, false, true, true, false])
    #expect(memory.machine.allocationBudget == 0)
    memory.machine.allocationBudget = nil
    #expect(outcome(memory, sizes: [14]) == [true])
  }

  @Test func smallTablesShareAPageOfTheBudget() throws {
    let memory = PlainMemory(machine: try smallMachine())
    // Paid for before there is a budget: room for three more of the size, and for none of another.
    #expect(memory.allocateTable(sizeLog2: 10) != nil)
    memory.machine.allocationBudget = 0
    #expect(outcome(memory, sizes: [11, 10, 10, 10, 10]) == [false, true, true, true, false])
    memory.machine.allocationBudget = 1
    #expect(outcome(memory, sizes: [10, 10, 10, 10, 10, 12]) == [true, true, true, true, false, false])
  }

  @Test func releasingGivesNoBudgetBack() throws {
    let memory = PlainMemory(machine: try smallMachine())
    memory.machine.allocationBudget = 1
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    memory.releaseTable(at: table, sizeLog2: 12)
    #expect(memory.allocateTable(sizeLog2: 12) == nil)
  }
}
