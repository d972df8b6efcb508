// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Simulator

/// How a page table in the simulator is made.
public struct SimulationOptions: Sendable {
  /// The first physical address of table memory.
  public var physicalBase: UInt64 = 0x1_0000_0000
  /// Bytes of table memory at most.
  public var reserve: UInt64 = 1 << 30
  /// What becomes of empty tables.
  public var reclaim: Reclaim = .never
  /// Whether several threads use the page table.
  public var sharing: Sharing = .exclusive

  public init() {}

  public init(physicalBase: UInt64) { self.physicalBase = physicalBase }
}

/// A page table whose memory and IOMMU are simulated, with the log of what happened to it.
public protocol SimulatedTarget: PageTableUnderTest {
  /// The machine.
  var machine: SimulatedMachine { get }
  /// The domain's recorded view of it.
  var recorder: RecordingMemory { get }
  /// Releases all tables; the hardware no longer walks them.
  func destroy()
}

/// The generic implementation of a format in a simulated machine.
public final class SimulatedPageTable<Format: PageTableFormat>: SimulatedTarget {
  public let configuration: Configuration
  public let machine: SimulatedMachine
  public let recorder: RecordingMemory
  /// The implementation.
  public let table: GenericPageTable<Format, RecordingMemory>
  private var notes: [OperationNote] = []

  /// Makes an empty page table in a machine of its own.
  ///
  /// - Throws: `MachineError`, or `LinuxErrno.enomem`.
  public init(_ format: Format, _ configuration: Configuration, _ options: SimulationOptions) throws {
    self.configuration = configuration
    machine = try SimulatedMachine(physicalBase: options.physicalBase, reserve: options.reserve)
    recorder = RecordingMemory(
      machine: machine, incoherent: format.geometry.features.contains(.dmaIncoherent))
    table = try GenericPageTable(format, memory: recorder, reclaim: options.reclaim, sharing: options.sharing)
    _ = recorder.takeNotes()
  }

  public var root: TableRoot { table.root }
  public var memory: any PhysicalMemoryReader { recorder.walkerView }
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
    let result = run(operation)
    recorder.endOperation(result)
    let happened = recorder.takeNotes()
    // Reading dirty bits leaves the sync to its caller (iommufd): it is in the log, but no note of the operation.
    if case .dirty = operation { return result }
    notes += happened
    return result
  }

  private func run(_ operation: Operation) -> OperationResult {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      return table.map(iova: iova, pa: pa, length: length, protection: protection).map { .failed($0) } ?? .ok
    case .mapRange(let iova, let pa, let length, let protection):
      return Self.result(table.mapRange(iova: iova, pa: pa, length: length, protection: protection))
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      guard !overflow else { return .failedMapped(.eoverflow, 0) }
      let sizes = pageSize == 0 ? 0 : Bits.lowMask(64 - pageSize.leadingZeroBitCount)
      return Self.result(
        table.mapRange(iova: iova, pa: pa, length: length, protection: protection, sizes: sizes))
    case .unmap(let iova, let length):
      return .unmapped(table.unmap(iova: iova, length: length))
    case .unmapPages(let iova, let pageSize, let count):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      return .unmapped(overflow ? 0 : table.unmap(iova: iova, length: length))
    case .phys(let iova): return .physical(table.translate(iova))
    case .setDirty(let iova): return table.setDirty(iova).map { .failed($0) } ?? .ok
    case .dirty(let iova, let length, let clear): return readDirty(iova, length, clear: clear)
    case .allocationBudget(let pages):
      machine.allocationBudget = pages
      return .none
    }
  }

  private static func result(_ outcome: MapOutcome) -> OperationResult {
    outcome.errno.map { .failedMapped($0, outcome.mapped) } ?? .okMapped(outcome.mapped)
  }

  private func readDirty(_ iova: UInt64, _ length: UInt64, clear: Bool) -> OperationResult {
    var gather = Gather()
    do throws(LinuxErrno) {
      let ranges = try table.readDirty(iova: iova, length: length, clear: clear, gather: &gather)
      table.synchronize(&gather)
      return .dirty(ranges)
    } catch {
      return .failed(error)
    }
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
