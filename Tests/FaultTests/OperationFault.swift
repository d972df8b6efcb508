// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Simulator

/// What is wrong with what operations do, return and leave in the tables.
struct OperationFault: Sendable {
  /// Runs an operation on the sound page table below, and makes the mistake.
  var perform: @Sendable (FaultyTable, PageTable.Operation) -> OperationResult = { $0.base.perform($1) }
  /// The roots that the hardware is given, from the sound ones and from those at first.
  var roots: (@Sendable (_ now: [TableRoot], _ first: [TableRoot]) -> [TableRoot])?

  /// Maps go wrong; the rest is as it should be.
  static func map(
    _ body: @escaping @Sendable (FaultyTable, MapArguments) -> OperationResult?
  ) -> OperationFault {
    OperationFault { table, operation in
      guard let arguments = MapArguments(operation) else { return table.base.perform(operation) }
      return body(table, arguments) ?? table.base.perform(operation)
    }
  }

  /// Unmaps go wrong; the rest is as it should be.
  static func unmap(
    _ body: @escaping @Sendable (_ table: FaultyTable, _ iova: UInt64, _ length: UInt64) -> OperationResult?
  ) -> OperationFault {
    OperationFault { table, operation in
      guard case .unmap(let iova, let length) = operation, length > 0, length &- 1 <= ~iova else {
        return table.base.perform(operation)
      }
      return body(table, iova, length) ?? table.base.perform(operation)
    }
  }

  /// All operations see other addresses than they should.
  static func aliases(_ change: @escaping @Sendable (UInt64) -> UInt64) -> OperationFault {
    OperationFault { table, operation in table.base.perform(operation.moved(change)) }
  }
}

/// What a map is called with. A range that is empty or wraps is none.
struct MapArguments {
  let operation: PageTable.Operation
  let iova: UInt64
  let pa: UInt64
  let length: UInt64
  let protection: Protection

  init?(_ operation: PageTable.Operation) {
    switch operation {
    case .map(let iova, let pa, let length, let protection),
      .mapRange(let iova, let pa, let length, let protection):
      (self.iova, self.pa, self.length, self.protection) = (iova, pa, length, protection)
    default: return nil
    }
    self.operation = operation
    guard length > 0, length &- 1 <= ~iova else { return nil }
  }

  var last: UInt64 { iova &+ (length - 1) }
}

extension PageTable.Operation {
  /// The operation at another IOVA.
  func moved(_ change: (UInt64) -> UInt64) -> PageTable.Operation {
    switch self {
    case .map(let iova, let pa, let length, let protection):
      .map(iova: change(iova), pa: pa, length: length, protection: protection)
    case .mapRange(let iova, let pa, let length, let protection):
      .mapRange(iova: change(iova), pa: pa, length: length, protection: protection)
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      .mapPages(iova: change(iova), pa: pa, pageSize: pageSize, count: count, protection: protection)
    case .unmap(let iova, let length): .unmap(iova: change(iova), length: length)
    case .unmapPages(let iova, let pageSize, let count):
      .unmapPages(iova: change(iova), pageSize: pageSize, count: count)
    case .phys(let iova): .phys(iova: change(iova))
    case .setDirty(let iova): .setDirty(iova: change(iova))
    case .dirty(let iova, let length, let clear): .dirty(iova: change(iova), length: length, clear: clear)
    case .allocationBudget: self
    }
  }
}

/// A page table whose operations have a fault.
final class FaultyTable: SimulatedTarget, @unchecked Sendable {
  let base: any SimulatedTarget
  let reference: ReferenceFormat
  private let fault: OperationFault
  private let firstRoots: [TableRoot]
  /// What a fault wants to remember.
  var marks: Set<UInt64> = []

  init(_ base: any SimulatedTarget, _ fault: OperationFault, _ reference: ReferenceFormat) {
    self.base = base
    self.fault = fault
    self.reference = reference
    firstRoots = base.roots
  }

  var configuration: Configuration { base.configuration }
  var machine: SimulatedMachine { base.machine }
  var recorder: RecordingMemory { base.recorder }
  var root: TableRoot { roots.first ?? base.root }
  var roots: [TableRoot] { fault.roots?(base.roots, firstRoots) ?? base.roots }
  var memory: any PhysicalMemoryReader { base.memory }
  var processorMemory: any PhysicalMemoryReader { base.processorMemory }
  var tablePages: Int { base.tablePages }
  var keepsNotes: Bool { base.keepsNotes }
  func image() throws -> TableImage { try base.image() }
  func takeNotes() -> [OperationNote] { base.takeNotes() }
  func destroy() { base.destroy() }
  func perform(_ operation: PageTable.Operation) -> OperationResult { fault.perform(self, operation) }

  // MARK: Words

  /// The smallest leaf, in bytes.
  var granule: UInt64 { 1 << UInt64(reference.shift(level: 0) ?? 12) }

  /// The words that the hardware reads to translate an IOVA, from the root on.
  func path(to iova: UInt64) -> [WalkStep] {
    let roots = base.roots
    let memory = base.processorMemory
    switch reference.walk(iova: iova, roots: roots, memory: memory, access: .read) {
    case .success(let found): return found.path
    case .failure(let fault): return fault.path
    }
  }

  /// The leaf that maps an IOVA; nil for none.
  func leaf(at iova: UInt64) -> Translation? {
    let memory = base.processorMemory
    for access in [DeviceAccess.read, .write] {
      let walk = reference.walk(
        iova: iova, roots: base.roots, memory: memory, access: access)
      if case .success(let found) = walk { return found }
    }
    return nil
  }

  /// The physical addresses of the words of the leaf that maps an IOVA, the first first.
  func words(of leaf: Translation) -> [UInt64] {
    guard let step = leaf.path.last, let shift = reference.shift(level: step.level) else { return [] }
    let count = max(1, leaf.leafSize >> UInt64(shift))
    let bytes = UInt64(reference.wordBytes)
    let first = step.physical &- UInt64(step.index) % count * bytes
    return (0..<count).map { first &+ $0 * bytes }
  }

  func word(at place: UInt64) -> UInt64 {
    let source = machine.arena + Int(place &- machine.physicalBase)
    return reference.wordBytes == 8 ? source.load(as: UInt64.self) : UInt64(source.load(as: UInt32.self))
  }

  /// Writes a word as an implementation does, to memory and through the cache.
  func write(_ word: UInt64, at place: UInt64) {
    let bytes = reference.wordBytes
    let target = machine.arena + Int(place &- machine.physicalBase)
    if bytes == 8 {
      target.storeBytes(of: word, as: UInt64.self)
    } else {
      target.storeBytes(of: UInt32(truncatingIfNeeded: word), as: UInt32.self)
    }
    recorder.recordEntryWrites(at: place, count: 1, wordBytes: bytes)
    recorder.flushCache(at: place, byteCount: bytes)
  }
}
