// SPDX-License-Identifier: GPL-2.0-only

import LegacyPT
import PageTable
import Simulator

/// A page table of a driver's own code.
public protocol LegacyTarget: SimulatedTarget {
  /// The page sizes that the driver offers, a bitmap of bytes; 0 where it does not say.
  var pageSizes: UInt64 { get }
  /// Whether it is the kit's model, which ends in an error where Linux would write outside of its tables.
  var isModel: Bool { get }
}

/// The legacy code of a format in a simulated machine.
public final class SimulatedLegacyTable<Table: LegacyPageTable>: LegacyTarget {
  public let configuration: Configuration
  public let machine: SimulatedMachine
  public let recorder: RecordingMemory
  /// The implementation.
  public let table: Table
  private var warned = false

  init(_ table: Table, _ configuration: Configuration, _ recorder: RecordingMemory) {
    self.configuration = configuration
    self.recorder = recorder
    self.table = table
    machine = recorder.machine
    _ = recorder.takeNotes()
  }

  public var pageSizes: UInt64 { table.pageSizes }
  public var isModel: Bool { true }
  public var root: TableRoot { roots.first ?? TableRoot(physical: 0, level: 0) }
  public var roots: [TableRoot] { table.roots }
  public var memory: any PhysicalMemoryReader { recorder.walkerView }
  public var processorMemory: any PhysicalMemoryReader { machine }
  public var tablePages: Int { recorder.livePages }
  public var keepsNotes: Bool { true }

  public func image() throws -> TableImage { try table.image(in: machine) }

  /// That the code warned, once; when it synchronises the IOTLB is in the recorder's log alone.
  public func takeNotes() -> [OperationNote] {
    defer { warned = false }
    return warned ? [.warn] : []
  }

  public func destroy() {
    recorder.recordDetach()
    table.destroy()
  }

  public func perform(_ operation: Operation) -> OperationResult {
    recorder.beginOperation(operation)
    let result = table.run(operation) { machine.allocationBudget = $0 }
    recorder.endOperation(result)
    if recorder.takeNotes().contains(.warn) { warned = true }
    return result
  }
}

extension LegacyList {
  /// Makes the legacy implementation of a configuration, in the words of legacy code, in the simulator.
  ///
  /// - Throws: `ConfigurationError`, `MachineError` or `LinuxErrno.enomem`.
  public static func simulate(
    _ configuration: Configuration, _ options: SimulationOptions = SimulationOptions()
  ) throws -> any SimulatedTarget {
    struct Wrap: LegacyFunction {
      let configuration: Configuration
      let recorder: RecordingMemory

      func callAsFunction<Table: LegacyPageTable>(_ table: Table) -> any SimulatedTarget {
        SimulatedLegacyTable(table, configuration, recorder)
      }
    }
    let machine = try SimulatedMachine(physicalBase: options.physicalBase, reserve: options.reserve)
    let recorder = RecordingMemory(machine: machine, incoherent: configuration.text("coherent") == "0")
    return try apply(
      Wrap(configuration: configuration, recorder: recorder), to: configuration, memory: recorder)
  }
}
