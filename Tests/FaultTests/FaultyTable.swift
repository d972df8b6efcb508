// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import LegacyPT
import PageTable
import Reference
import Simulator

@testable import Conformance

/// A page table, generic or a driver's own, over memory with a fault.
enum FaultyBase {
  static func generic(
    _ configuration: Configuration, _ options: SimulationOptions, _ memory: MemoryFault?,
    _ format: FormatFault?
  ) throws -> any SimulatedTarget {
    struct Make: FormatFunction {
      let configuration: Configuration
      let options: SimulationOptions
      let memory: MemoryFault?
      let fault: FormatFault?

      func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> any SimulatedTarget {
        guard let fault else { return try GenericBase(format, configuration, options, memory) }
        return try GenericBase(FaultyFormat(format, fault), configuration, options, memory)
      }
    }
    return try FormatList.apply(
      Make(configuration: configuration, options: options, memory: memory, fault: format),
      to: configuration)
  }

  static func legacy(
    _ configuration: Configuration, _ options: SimulationOptions, _ fault: MemoryFault?
  ) throws -> any SimulatedTarget {
    struct Wrap: LegacyFunction {
      let configuration: Configuration
      let memory: FaultyMemory

      func callAsFunction<Table: LegacyPageTable>(_ table: Table) -> any SimulatedTarget {
        LegacyBase(table, configuration, memory)
      }
    }
    let memory = try memory(
      options.physicalBase, options.reserve, isIncoherent: configuration.text("coherent") == "0", fault)
    return try LegacyList.apply(
      Wrap(configuration: configuration, memory: memory), to: configuration, memory: memory)
  }

  fileprivate static func memory(
    _ base: UInt64, _ reserve: UInt64, isIncoherent: Bool, _ fault: MemoryFault?
  ) throws -> FaultyMemory {
    let machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
    return FaultyMemory(
      RecordingMemory(machine: machine, incoherent: isIncoherent, logLimit: 1 << 18), fault)
  }
}

private final class GenericBase<Format: PageTableFormat>: SimulatedTarget, @unchecked Sendable {
  let configuration: Configuration
  let table: GenericPageTable<Format, FaultyMemory>
  private var notes: [OperationNote] = []

  init(
    _ format: Format, _ configuration: Configuration, _ options: SimulationOptions, _ fault: MemoryFault?
  ) throws {
    self.configuration = configuration
    let options = options.withinReach(of: format)
    let memory = try FaultyBase.memory(
      options.physicalBase, options.reserve, isIncoherent: format.geometry.features.contains(.dmaIncoherent),
      fault)
    table = try GenericPageTable(
      format, memory: memory, reclaim: options.reclaim, sharing: options.sharing)
    _ = recorder.takeNotes()
  }

  var recorder: RecordingMemory { table.memory.recorder }
  var machine: SimulatedMachine { recorder.machine }
  var root: TableRoot { table.root }
  var roots: [TableRoot] { table.roots }
  var memory: any PhysicalMemoryReader { recorder.walkerView }
  var processorMemory: any PhysicalMemoryReader { machine }
  var tablePages: Int { recorder.livePages }
  var keepsNotes: Bool { true }
  func image() throws -> TableImage { try table.image(in: machine) }

  func takeNotes() -> [OperationNote] {
    defer { notes = [] }
    return notes
  }

  func destroy() {
    recorder.recordDetach()
    table.destroy()
  }

  func perform(_ operation: PageTable.Operation) -> OperationResult {
    table.memory.begin(operation)
    let result = table.run(operation, machine: machine)
    table.memory.end(result)
    let happened = recorder.takeNotes()
    // As `SimulatedPageTable`: the sync of a dirty read is its caller's.
    if case .dirty = operation { return result }
    notes += happened
    return result
  }
}

private final class LegacyBase<Table: LegacyPageTable>: SimulatedTarget, @unchecked Sendable {
  let configuration: Configuration
  let table: Table
  let faulty: FaultyMemory
  private var notes: [OperationNote] = []

  init(_ table: Table, _ configuration: Configuration, _ memory: FaultyMemory) {
    self.configuration = configuration
    self.table = table
    faulty = memory
    _ = recorder.takeNotes()
  }

  var recorder: RecordingMemory { faulty.recorder }
  var machine: SimulatedMachine { recorder.machine }
  var root: TableRoot { roots.first ?? TableRoot(physical: 0, level: 0) }
  var roots: [TableRoot] { table.roots }
  var memory: any PhysicalMemoryReader { recorder.walkerView }
  var processorMemory: any PhysicalMemoryReader { machine }
  var tablePages: Int { recorder.livePages }
  var keepsNotes: Bool { true }
  func image() throws -> TableImage { try table.image(in: machine) }

  func takeNotes() -> [OperationNote] {
    defer { notes = [] }
    return notes
  }

  func destroy() {
    recorder.recordDetach()
    table.destroy()
  }

  func perform(_ operation: PageTable.Operation) -> OperationResult {
    faulty.begin(operation)
    let result = table.run(operation) { machine.allocationBudget = $0 }
    faulty.end(result)
    notes += recorder.takeNotes()
    return result
  }
}
