// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator

@testable import LegacyPT

/// One page table of the Arm families in a machine of its own, whose every operation is logged.
final class ARMSubject<Table: LegacyPageTable> where Table.Memory == RecordingMemory {
  let table: Table
  var memory: RecordingMemory { table.memory }
  var machine: SimulatedMachine { memory.machine }
  private var log: [MemoryEvent] = []

  init(
    _ text: String, base: UInt64 = 0x8000_0000, reserve: UInt64 = 16 << 20,
    _ make: (Configuration, RecordingMemory) throws -> Table
  ) throws {
    let configuration = try LegacyList.configuration(text)
    let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
    let memory = RecordingMemory(machine: machine, incoherent: configuration.number("coherent") == 0)
    table = try make(configuration, memory)
    _ = memory.takeNotes()
  }

  @discardableResult
  func run(_ operation: Operation) -> OperationResult {
    memory.beginOperation(operation)
    let result = table.run(operation) { machine.allocationBudget = $0 }
    memory.endOperation(result)
    return result
  }

  func map(
    _ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection = [.read, .write]
  ) -> OperationResult {
    run(.map(iova: iova, pa: pa, length: length, protection: protection))
  }

  func unmap(_ iova: UInt64, _ length: UInt64) -> OperationResult {
    run(.unmap(iova: iova, length: length))
  }

  /// The notes since the last call.
  var notes: [OperationNote] { memory.takeNotes() }

  /// All events so far.
  var events: [MemoryEvent] {
    log += memory.takeEvents()
    return log
  }

  /// The rules that the events break, without those that `isLost`.
  func broken(without isLost: (MemoryEvent) -> Bool = { _ in false }) -> [EventRule] {
    EventChecker.check(events.filter { !isLost($0) }, incoherent: memory.isIncoherent).map(\.rule)
  }

  /// What is left, and what was wrong, after all tables are released.
  func destroyed() -> (pages: Int, broken: [EventRule], misuse: [MachineViolation]) {
    memory.recordDetach()
    table.destroy()
    return (memory.livePages, broken(), machine.violations + machine.verifyReleasedTables())
  }
}

extension MemoryEvent {
  var isFlush: Bool { if case .cacheFlush = self { true } else { false } }
  var isSync: Bool { if case .sync = self { true } else { false } }
}
