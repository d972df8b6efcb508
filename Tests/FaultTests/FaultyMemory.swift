// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Synchronization

/// What is wrong with the use of table memory and of the IOMMU.
struct MemoryFault: Sendable {
  /// The request that the IOMMU sees instead; nil when it sees none.
  var sync: (@Sendable (InvalidationRequest, PageTable.Operation?) -> InvalidationRequest?)?
  /// Entries are cleared only after the IOTLB is invalidated.
  var clearsLate = false
  /// The IOTLB is invalidated only after tables were given back.
  var syncsLate = false
  /// Words are written only after their cache lines were flushed.
  var writesLate = false
  /// Where is flushed instead; nil for nowhere. For the start and the byte count of a range.
  var flush: (@Sendable (_ at: UInt64, _ count: Int) -> (UInt64, Int)?)?
  /// Whether a table is kept that should be given back.
  var leaks: (@Sendable (Release) -> Bool)?
  /// What stands in the last word of each new table.
  var rubbish: UInt64?
  /// The level of the top that the hardware is told.
  var topLevel: (@Sendable (Int) -> Int)?

  /// A table that is given back.
  struct Release: Sendable {
    let operation: PageTable.Operation?
    /// Whether an allocation has failed in this operation.
    let isShort: Bool
    /// How many tables were given back in this operation before it.
    let number: Int
  }
}

/// A recording memory between whose users and itself something goes wrong.
final class FaultyMemory: TableMemory, Sendable {
  static var recordsEvents: Bool { true }

  private struct State {
    var operation: PageTable.Operation?
    var isShort = false
    var released = 0
    var syncHeld: InvalidationRequest?
    var writesHeld: [(at: UInt64, count: Int, wordBytes: Int)] = []
  }

  let recorder: RecordingMemory
  let fault: MemoryFault
  private let state = Mutex(State())

  init(_ recorder: RecordingMemory, _ fault: MemoryFault?) {
    self.recorder = recorder
    self.fault = fault ?? MemoryFault()
  }

  /// An operation begins.
  func begin(_ operation: PageTable.Operation) {
    state.withLock {
      $0.operation = operation
      $0.isShort = false
      $0.released = 0
    }
    recorder.beginOperation(operation)
  }

  func end(_ result: OperationResult) {
    writeHeld()
    if let held = state.withLock({ $0.syncHeld.take() }) { recorder.synchronizeIOTLB(held) }
    recorder.endOperation(result)
    state.withLock { $0.operation = nil }
  }

  private func writeHeld() {
    let held = state.withLock { state in
      defer { state.writesHeld = [] }
      return state.writesHeld
    }
    for write in held {
      recorder.recordEntryWrites(at: write.at, count: write.count, wordBytes: write.wordBytes)
    }
  }

  // MARK: TableMemory

  var physicalBase: UInt64 { recorder.physicalBase }
  var arena: UnsafeMutableRawPointer { recorder.arena }
  var pageMetadata: UnsafeMutablePointer<TablePageMetadata> { recorder.pageMetadata }

  func allocateTable(sizeLog2: Int) -> UInt64? {
    guard let table = recorder.allocateTable(sizeLog2: sizeLog2) else {
      state.withLock { $0.isShort = true }
      return nil
    }
    if let rubbish = fault.rubbish {
      let offset = Int(table &- physicalBase) + 1 << sizeLog2 - 8
      arena.storeBytes(of: rubbish, toByteOffset: offset, as: UInt64.self)
    }
    return table
  }

  func releaseTable(at physical: UInt64, sizeLog2: Int) {
    let release = state.withLock { state in
      defer { state.released += 1 }
      return MemoryFault.Release(operation: state.operation, isShort: state.isShort, number: state.released)
    }
    if fault.leaks?(release) == true { return }
    recorder.releaseTable(at: physical, sizeLog2: sizeLog2)
    if let held = state.withLock({ $0.syncHeld.take() }) { recorder.synchronizeIOTLB(held) }
  }

  func flushCache(at physical: UInt64, byteCount: Int) {
    guard let flush = fault.flush else {
      recorder.flushCache(at: physical, byteCount: byteCount)
      return writeHeld()
    }
    if let (at, count) = flush(physical, byteCount) { recorder.flushCache(at: at, byteCount: count) }
  }

  func recordEntryWrites(at physical: UInt64, count: Int, wordBytes: Int) {
    if fault.writesLate || fault.clearsLate && count > 0 && isClear(physical) {
      return state.withLock { $0.writesHeld.append((physical, count, wordBytes)) }
    }
    recorder.recordEntryWrites(at: physical, count: count, wordBytes: wordBytes)
  }

  private func isClear(_ physical: UInt64) -> Bool {
    (arena + Int(physical &- physicalBase)).load(as: UInt32.self) == 0
  }

  func recordTableInstall(_ child: UInt64, at entry: UInt64) {
    recorder.recordTableInstall(child, at: entry)
  }

  func synchronizeIOTLB(_ request: InvalidationRequest) {
    let operation = state.withLock { $0.operation }
    var seen: InvalidationRequest? = request
    if let sync = fault.sync { seen = sync(request, operation) }
    guard let seen else { return }
    if fault.syncsLate { return state.withLock { $0.syncHeld = seen } }
    recorder.synchronizeIOTLB(seen)
    if fault.clearsLate { writeHeld() }
  }

  func recordWarning() { recorder.recordWarning() }

  func changeTop(to physical: UInt64, level: Int) {
    recorder.changeTop(to: physical, level: fault.topLevel?(level) ?? level)
  }
}
