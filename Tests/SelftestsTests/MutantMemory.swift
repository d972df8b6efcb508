// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Synchronization

/// What is wrong with how table memory is used.
enum MemoryFault: Hashable, Sendable, CaseIterable {
  /// Tables are never given back.
  case leaks
  /// Every third table is not given back.
  case leaksSome
  /// What a creation that fails gives back is not.
  case leaksUnused
  /// The IOTLB is invalidated only after tables were given back.
  case syncsLate
  /// The IOTLB is not invalidated.
  case neverSyncs
  /// Only the first byte of a range is invalidated.
  case syncsLittle
  /// Entries are cleared only after the IOTLB is invalidated.
  case syncsEarly
  /// An invalidation tells no levels.
  case hidesLevels
  /// An invalidation that releases tables covers a whole aligned gigabyte.
  case syncsMuch
  /// Caches are not written back.
  case neverFlushes
  /// New tables are not written back.
  case flushesEntriesOnly
}

/// A recording memory between whose users and itself something goes wrong.
final class MutantMemory: TableMemory, Sendable {
  static var recordsEvents: Bool { true }

  let recorder: RecordingMemory
  let fault: MemoryFault?
  private let state = Mutex(State())

  private struct State {
    var late: InvalidationRequest?
    var releases = 0
    /// Whether there was a root.
    var isUsed = false
    /// Cleared entries that no sync has passed yet.
    var cleared: [(physical: UInt64, count: Int, wordBytes: Int)] = []
  }

  init(_ recorder: RecordingMemory, _ fault: MemoryFault?) {
    self.recorder = recorder
    self.fault = fault
  }

  var physicalBase: UInt64 { recorder.physicalBase }
  var arena: UnsafeMutableRawPointer { recorder.arena }
  var pageMetadata: UnsafeMutablePointer<TablePageMetadata> { recorder.pageMetadata }

  func allocateTable(sizeLog2: Int) -> UInt64? {
    recorder.allocateTable(sizeLog2: sizeLog2)
  }

  func releaseTable(at physical: UInt64, sizeLog2: Int) {
    if fault == .leaks || fault == .leaksUnused && !state.withLock(\.isUsed) { return }
    if fault == .leaksSome,
      state.withLock({ state in
        state.releases += 1
        return state.releases % 3 == 0
      })
    {
      return
    }
    recorder.releaseTable(at: physical, sizeLog2: sizeLog2)
    if let late = state.withLock({ $0.late.take() }) { recorder.synchronizeIOTLB(late) }
  }

  func flushCache(at physical: UInt64, byteCount: Int) {
    if fault == .neverFlushes || fault == .flushesEntriesOnly && byteCount >= 4096 { return }
    recorder.flushCache(at: physical, byteCount: byteCount)
  }

  func recordEntryWrites(at physical: UInt64, count: Int, wordBytes: Int) {
    if fault == .syncsEarly, count > 0, isClear(physical) {
      return state.withLock { $0.cleared.append((physical, count, wordBytes)) }
    }
    recorder.recordEntryWrites(at: physical, count: count, wordBytes: wordBytes)
  }

  private func isClear(_ physical: UInt64) -> Bool {
    (arena + Int(physical - physicalBase)).load(as: UInt32.self) == 0
  }

  func recordTableInstall(_ child: UInt64, at entry: UInt64) {
    recorder.recordTableInstall(child, at: entry)
  }

  func synchronizeIOTLB(_ request: InvalidationRequest) {
    switch fault {
    case .neverSyncs: return
    case .syncsLittle:
      var little = request
      little.last = little.first
      recorder.synchronizeIOTLB(little)
    case .hidesLevels:
      recorder.synchronizeIOTLB(
        InvalidationRequest(first: request.first, last: request.last, released: request.released))
    case .syncsMuch where request.released > 0:
      var much = request
      much.first &= ~0x3fff_ffff
      much.last |= 0x3fff_ffff
      recorder.synchronizeIOTLB(much)
    case .syncsLate where request.released > 0: state.withLock { $0.late = request }
    default:
      recorder.synchronizeIOTLB(request)
      let cleared = state.withLock { state in
        defer { state.cleared = [] }
        return state.cleared
      }
      for write in cleared {
        recorder.recordEntryWrites(at: write.physical, count: write.count, wordBytes: write.wordBytes)
      }
    }
  }

  func changeTop(to physical: UInt64, level: Int) {
    state.withLock { $0.isUsed = true }
    recorder.changeTop(to: physical, level: level)
  }
}
