// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Simulator

@testable import Conformance
@testable import Selftests

/// What is wrong with the results of operations, or with what they do.
enum OperationFault: Hashable, Sendable {
  /// An unmap returns a page more than it removed.
  case unmapReturnsMore
  /// An unmap of several pages leaves the last one.
  case unmapsOneLess
  /// An unmap returns what was asked for.
  case unmapReturnsLength
  /// An unmap passes over holes.
  case unmapPassesHoles
  /// A map that fails keeps what it has mapped.
  case keepsWhatFailed
  /// A map takes what is in the way out of it.
  case mapsOverLeaves
  /// A map that runs out of memory says that all is well.
  case hidesNoMemory
  /// Errors of addresses come before those of permissions.
  case wrongPrecedence
  /// No map reaches the last page of the address space.
  case losesLastPage
  /// The output address 0 is none.
  case zeroIsNone
  /// A map of 0 bytes is a success.
  case emptyMapSucceeds
  /// Dirty bits are read, but not taken back.
  case clearsNothing
  /// Nothing translates the last byte of 64 bits.
  case lastByteIsNone
  /// A map takes its neighbour away.
  case forgetsNeighbour
}

/// What is wrong with a gather.
enum GatherFault: Hashable, Sendable {
  /// A sync does nothing.
  case neverSyncs
  /// A gathered operation replaces what was gathered before.
  case forgetsEarlier
  /// A sync invalidates, and keeps the tables.
  case releasesNothing
}

/// A target with one fault.
struct MutantFactory: TargetFactory {
  let name = "mutant"
  var capabilities = SimulatorFactory().capabilities
  var format: FormatFault?
  var memory: MemoryFault?
  var operation: OperationFault?
  var gather: GatherFault?
  /// The policy instead of the one that is asked for.
  var reclaim: Reclaim?

  func make(_ configuration: Configuration, _ options: TargetOptions) throws -> any PageTableUnderTest {
    var options = options
    options.reclaim = reclaim ?? options.reclaim
    let table = try FormatList.apply(
      MakeMutant(factory: self, configuration: configuration, options: options), to: configuration)
    return operation.map { FaultyTable(table, $0) } ?? table
  }

  func encoder(_ configuration: Configuration) throws -> GenericEncoder? {
    struct Make: FormatFunction {
      let fault: FormatFault?
      func callAsFunction<Format: PageTableFormat>(_ format: Format) -> GenericEncoder {
        fault.map { GenericEncoder(MutantFormat<Format, NoConstantFault>(format, $0)) }
          ?? GenericEncoder(format)
      }
    }
    return try FormatList.apply(Make(fault: format), to: configuration)
  }
}

private struct MakeMutant: FormatFunction {
  let factory: MutantFactory
  let configuration: Configuration
  let options: TargetOptions

  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> any SimulatedTarget {
    guard let fault = factory.format else {
      let table = try MutantTable(format, configuration, options, factory.memory)
      table.gatherFault = factory.gather
      return table
    }
    if fault == .halfTables {
      let mutant = MutantFormat<Format, HalfTables>(format, fault)
      return try MutantTable(mutant, configuration, options, factory.memory)
    }
    let mutant = MutantFormat<Format, NoConstantFault>(format, fault)
    let table = try MutantTable(mutant, configuration, options, factory.memory)
    table.reversesRoots = fault == .rootsReversed
    return table
  }
}

/// The generic implementation over a memory with a fault.
final class MutantTable<Format: PageTableFormat>: GatheringTarget, @unchecked Sendable {
  let configuration: Configuration
  let machine: SimulatedMachine
  let recorder: RecordingMemory
  let table: GenericPageTable<Format, MutantMemory>
  /// Whether the roots are told in the opposite order.
  var reversesRoots = false
  /// What gathered operations have left to a sync, and what is wrong with that.
  private var gather = Gather()
  var gatherFault: GatherFault?
  private let isRecorded: Bool
  private var notes: [OperationNote] = []

  init(_ format: Format, _ configuration: Configuration, _ options: TargetOptions, _ fault: MemoryFault?)
    throws
  {
    self.configuration = configuration
    machine = try SimulatedMachine(physicalBase: options.physicalBase, reserve: options.reserve)
    recorder = RecordingMemory(
      machine: machine, incoherent: format.geometry.features.contains(.dmaIncoherent),
      logLimit: options.isRecorded ? 1 << 18 : 0)
    let memory = MutantMemory(recorder, fault)
    table = try machine.lend(options.creationBudget) {
      try GenericPageTable(format, memory: memory, reclaim: options.reclaim, sharing: options.sharing)
    }
    isRecorded = options.isRecorded
    _ = recorder.takeNotes()
  }

  var root: TableRoot { table.root }
  var roots: [TableRoot] { reversesRoots ? table.roots.reversed() : table.roots }
  var memory: any PhysicalMemoryReader { recorder.walkerView }
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

  func perform(gathered operation: Operation, isQueued: Bool) -> OperationResult {
    if gatherFault == .forgetsEarlier { gather = Gather() }
    recorder.beginOperation(operation.gathered)
    let result = table.run(gathered: operation, &gather) ?? .none
    recorder.endOperation(result)
    return result
  }

  func synchronizeGather() {
    switch gatherFault {
    case .neverSyncs: gather = Gather()
    case .releasesNothing:
      recorder.synchronizeIOTLB(
        InvalidationRequest(first: 0, last: .max, leafLevels: 0, tableLevels: 0, released: 0))
      gather = Gather()
    default: table.synchronize(&gather)
    }
  }

  func perform(_ operation: Operation) -> OperationResult {
    guard isRecorded else { return table.run(operation, machine: machine) }
    recorder.beginOperation(operation)
    let result = table.run(operation, machine: machine)
    recorder.endOperation(result)
    notes += recorder.takeNotes()
    return result
  }
}

/// A page table whose operations have a fault.
final class FaultyTable: SimulatedTarget, @unchecked Sendable {
  private let base: any SimulatedTarget
  private let fault: OperationFault

  init(_ base: any SimulatedTarget, _ fault: OperationFault) {
    self.base = base
    self.fault = fault
  }

  var configuration: Configuration { base.configuration }
  var machine: SimulatedMachine { base.machine }
  var recorder: RecordingMemory { base.recorder }
  var root: TableRoot { base.root }
  var roots: [TableRoot] { base.roots }
  var memory: any PhysicalMemoryReader { base.memory }
  var tablePages: Int { base.tablePages }
  var keepsNotes: Bool { base.keepsNotes }
  func image() throws -> TableImage { try base.image() }
  func takeNotes() -> [OperationNote] { base.takeNotes() }
  func destroy() { base.destroy() }

  private var granule: UInt64 {
    (try? FormatShape(configuration)).map { 1 << UInt64($0.sizes.trailingZeroBitCount) } ?? 4096
  }

  func perform(_ operation: Operation) -> OperationResult {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      return map(operation, iova, pa, length, protection)
    case .unmap(let iova, let length): return unmap(operation, iova, length)
    case .phys(.max) where fault == .lastByteIsNone: return .physical(nil)
    case .phys where fault == .zeroIsNone:
      let result = base.perform(operation)
      return result == .physical(0) ? .physical(nil) : result
    case .dirty(let iova, let length, _) where fault == .clearsNothing:
      return base.perform(.dirty(iova: iova, length: length, clear: false))
    default: return base.perform(operation)
    }
  }

  private func map(
    _ operation: Operation, _ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection
  ) -> OperationResult {
    switch fault {
    case .keepsWhatFailed:
      let result = base.perform(.mapRange(iova: iova, pa: pa, length: length, protection: protection))
      if case .failedMapped(let errno, _) = result { return .failed(errno) }
      return .ok
    case .mapsOverLeaves:
      var result = base.perform(operation)
      if result == .failed(.eaddrinuse) || result == .failed(.eexist), length > 0 {
        _ = base.perform(.unmap(iova: iova, length: length))
        result = base.perform(operation)
      }
      return result
    case .hidesNoMemory:
      let result = base.perform(operation)
      return result == .failed(.enomem) ? .ok : result
    case .wrongPrecedence where (iova | pa) & (granule - 1) != 0: return .failed(.enxio)
    case .losesLastPage where iova &+ length == 0 || (iova &+ length).nonzeroBitCount == 1 && iova >> 30 != 0:
      return .failed(.erange)
    case .emptyMapSucceeds where length == 0: return .ok
    case .forgetsNeighbour:
      _ = base.perform(.unmap(iova: iova &- granule, length: granule))
      return base.perform(operation)
    default: return base.perform(operation)
    }
  }

  private func unmap(_ operation: Operation, _ iova: UInt64, _ length: UInt64) -> OperationResult {
    switch fault {
    case .unmapsOneLess where length > granule:
      guard case .unmapped(let bytes) = base.perform(.unmap(iova: iova, length: length - granule)) else {
        return .unmapped(0)
      }
      return .unmapped(bytes == length - granule ? length : bytes)
    case .unmapPassesHoles:
      var total: UInt64 = 0
      var offset: UInt64 = 0
      while offset < length, offset < granule * 4096 {
        guard case .unmapped(let bytes) = base.perform(.unmap(iova: iova &+ offset, length: length - offset))
        else { break }
        total += bytes
        offset += max(bytes, granule)
      }
      return .unmapped(total)
    default:
      let result = base.perform(operation)
      guard case .unmapped(let bytes) = result, bytes > 0 else { return result }
      if fault == .unmapReturnsMore { return .unmapped(bytes + granule) }
      return fault == .unmapReturnsLength ? .unmapped(length) : result
    }
  }
}
