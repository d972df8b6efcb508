// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Simulator

/// How a page table in the simulator is made.
public struct SimulationOptions: Sendable {
  /// The first physical address of table memory. Where table pointers do not reach the usual one, the upper half of
  /// what they reach takes its place.
  public var physicalBase: UInt64 = Self.usualBase
  /// Bytes of table memory at most.
  public var reserve: UInt64 = 1 << 30
  /// What becomes of empty tables.
  public var reclaim: Reclaim = .never
  /// Whether several threads use the page table.
  public var sharing: Sharing = .exclusive
  /// How many 4 KiB pages of table memory there are while the page table is made, and no longer; nil is unlimited.
  public var creationBudget: Int?

  /// The usual `physicalBase`: 4 GiB.
  public static let usualBase: UInt64 = 0x1_0000_0000

  public init() {}

  public init(physicalBase: UInt64) { self.physicalBase = physicalBase }
}

/// A page table whose table memory is a simulated machine's.
public protocol MachineTarget: PageTableUnderTest {
  /// The machine.
  var machine: SimulatedMachine { get }
  /// Releases all tables; the hardware no longer walks them.
  func destroy()
}

/// A page table whose memory and IOMMU are simulated, with the log of what happened to it.
public protocol SimulatedTarget: MachineTarget {
  /// The domain's recorded view of the machine.
  var recorder: RecordingMemory { get }
}

/// The generic implementation of a format in a simulated machine.
public final class SimulatedPageTable<Format: PageTableFormat>: SimulatedTarget {
  public let configuration: Configuration
  public let machine: SimulatedMachine
  public let recorder: RecordingMemory
  /// The implementation.
  public let table: GenericPageTable<Format, RecordingMemory>
  private var notes: [OperationNote] = []
  /// What gathered operations have left to a sync.
  var gather = Gather()

  /// Makes an empty page table in a machine of its own.
  ///
  /// - Throws: `MachineError`, `LinuxErrno.enomem`, `CreationShortage`, or `ConfigurationError` when pointers cannot reach
  ///   the memory.
  public init(_ format: Format, _ configuration: Configuration, _ options: SimulationOptions) throws {
    self.configuration = configuration
    let options = options.withinReach(of: format)
    machine = try SimulatedMachine(
      physicalBase: options.physicalBase, reserve: try options.reachableReserve(format))
    recorder = RecordingMemory(
      machine: machine, incoherent: format.geometry.features.contains(.dmaIncoherent))
    let memory = recorder
    table = try machine.lend(options.creationBudget) {
      try GenericPageTable(format, memory: memory, reclaim: options.reclaim, sharing: options.sharing)
    }
    _ = recorder.takeNotes()
  }

  public var root: TableRoot { table.root }
  public var roots: [TableRoot] { table.roots }
  public var memory: any PhysicalMemoryReader { recorder.walkerView }
  public var processorMemory: any PhysicalMemoryReader { machine }
  public var tablePages: Int { recorder.livePages }
  public var keepsNotes: Bool { true }

  public func image() throws -> TableImage { try table.image(in: machine) }

  public func takeNotes() -> [OperationNote] {
    defer { notes = [] }
    return notes
  }

  public func destroy() {
    recorder.recordDetach()
    table.destroy()
  }

  public func perform(_ operation: Operation) -> OperationResult {
    recorder.beginOperation(operation)
    let result = table.run(operation, machine: machine)
    recorder.endOperation(result)
    let happened = recorder.takeNotes()
    // Reading dirty bits leaves the sync to its caller (iommufd): it is in the log, but no note of the operation.
    if case .dirty = operation { return result }
    notes += happened
    return result
  }
}

/// Makes a simulated page table of a configuration's format.
public struct MakeSimulated: FormatFunction {
  let configuration: Configuration
  let options: SimulationOptions

  public func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> any SimulatedTarget {
    try SimulatedPageTable(format, configuration, options)
  }
}

extension FormatList {
  /// Makes the generic implementation of a configuration in the simulator.
  ///
  /// - Throws: `ConfigurationError`, `MachineError` or `LinuxErrno.enomem`.
  public static func simulate(
    _ configuration: Configuration, _ options: SimulationOptions = SimulationOptions()
  ) throws -> any SimulatedTarget {
    try apply(MakeSimulated(configuration: configuration, options: options), to: configuration)
  }
}
