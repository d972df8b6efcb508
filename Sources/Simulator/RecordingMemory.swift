// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import PageTable
import Synchronization

/// Table memory of one domain that records in one ordered log what happens to it, for `EventChecker`,
/// and on request models a walker that does not snoop.
public final class RecordingMemory: TableMemory, @unchecked Sendable {
  @inlinable public static var recordsEvents: Bool { true }

  /// The machine that the tables live in.
  public let machine: SimulatedMachine
  /// The domain's number, for whoever tells domains apart.
  public let domain: Int
  /// The node that tables are allocated on.
  public let node: Int
  public let physicalBase: UInt64
  public let arena: UnsafeMutableRawPointer
  public let pageMetadata: UnsafeMutablePointer<TablePageMetadata>

  private let shadow: ShadowMemory?
  private let tables: DomainTables
  private let lock = SpinLock()
  private var log = EventLog()
  private let logLimit: Int

  /// Makes the memory of a domain.
  ///
  /// - Parameters:
  ///   - node: one of the machine's nodes.
  ///   - incoherent: whether the walker sees only what `flushCache` wrote back.
  ///   - logLimit: how many events the log holds; what comes later is counted only.
  public init(
    machine: SimulatedMachine, domain: Int = 0, node: Int = 0, incoherent: Bool = false,
    logLimit: Int = 1 << 22
  ) {
    tables = DomainTables(machine: machine, node: node)
    shadow = incoherent ? ShadowMemory(of: machine) : nil
    self.machine = machine
    self.domain = domain
    self.node = node
    self.logLimit = logLimit
    physicalBase = machine.physicalBase
    arena = machine.arena
    pageMetadata = machine.pageMetadata
  }

  /// 4 KiB pages of table memory that the domain has now.
  public var livePages: Int { tables.livePages }

  /// Whether the walker sees only what was flushed.
  public var isIncoherent: Bool { shadow != nil }

  /// The memory as the walker sees it.
  public var walkerView: any PhysicalMemoryReader { shadow ?? machine }

  // MARK: Log

  /// The log, oldest event first.
  public var events: [MemoryEvent] { lock.withLock { log.complete } }

  /// Returns the log and starts a new one.
  public func takeEvents() -> [MemoryEvent] {
    lock.withLock {
      defer { log.forgetEvents() }
      return log.complete
    }
  }

  /// The syncs and top changes since the last call, oldest first.
  public func takeNotes() -> [OperationNote] {
    lock.withLock {
      defer { log.notes = [] }
      return log.notes
    }
  }

  /// IOTLB syncs so far.
  public var syncCount: Int { lock.withLock { log.syncs } }

  /// Marks the start of an operation of the calling thread.
  public func beginOperation(_ operation: Operation) {
    lock.withLock {
      log.begun += 1
      log.running[pthread_self()] = (log.begun, operation)
      append(.begin(id: log.begun, operation))
    }
  }

  /// Marks the end of the calling thread's operation.
  public func endOperation(_ result: OperationResult) {
    lock.withLock {
      append(.end(id: log.running.removeValue(forKey: pthread_self())?.id ?? 0, result))
    }
  }

  /// Marks that the hardware walks the tables no more: what is released later needs no sync.
  public func recordDetach() {
    lock.withLock { append(.detach) }
  }

  /// Called with the lock taken.
  private func append(_ event: MemoryEvent) {
    if log.events.count < logLimit { log.events.append(event) } else { log.lost += 1 }
  }

  // MARK: TableMemory

  public func allocateTable(sizeLog2: Int) -> UInt64? {
    var violation: MachineViolation?
    let table = tables.allocate(sizeLog2: sizeLog2, violation: &violation)
    lock.withLock {
      if let violation { append(.misuse(violation)) }
      guard let table else { return append(.allocationFailed(sizeLog2: sizeLog2)) }
      append(.allocate(table, sizeLog2: sizeLog2))
      shadow?.makeStale(table, byteCount: 1 << sizeLog2)
    }
    return table
  }

  public func releaseTable(at physical: UInt64, sizeLog2: Int) {
    // Logged first: once it is released, another thread may allocate it.
    lock.withLock { append(.release(physical, sizeLog2: sizeLog2)) }
    if let violation = tables.release(physical, sizeLog2: sizeLog2) {
      lock.withLock { append(.misuse(violation)) }
    }
  }

  public func flushCache(at physical: UInt64, byteCount: Int) {
    lock.withLock {
      append(.cacheFlush(at: physical, byteCount: byteCount))
      shadow?.flush(physical, byteCount: byteCount)
    }
  }

  public func recordEntryWrites(at physical: UInt64, count: Int, wordBytes: Int) {
    guard count > 0, wordBytes == 4 || wordBytes == 8 else { return }
    lock.withLock {
      log.wordBytes = wordBytes
      // One event for each run of values that grow by the same step.
      var start = 0
      while start < count {
        let value = word(at: physical, index: start)
        var length = 1
        var step: UInt64 = 0
        if start + 1 < count {
          let mask = Bits.lowMask(wordBytes * 8)
          step = (word(at: physical, index: start + 1) &- value) & mask
          while start + length < count,
            word(at: physical, index: start + length) == (value &+ UInt64(length) &* step) & mask
          {
            length += 1
          }
        }
        let at = physical &+ UInt64(start * wordBytes)
        append(
          .entryWrites(
            at: at, count: length, value: value, step: length > 1 ? step : 0, wordBytes: wordBytes))
        start += length
      }
      if log.running[pthread_self()]?.operation.writesNeedNoFlush == true {
        shadow?.flush(physical, byteCount: count * wordBytes)
      }
    }
  }

  public func recordTableInstall(_ child: UInt64, at entry: UInt64) {
    lock.withLock {
      append(.tableInstall(child: child, entry: entry, value: word(at: entry, index: 0)))
    }
  }

  public func synchronizeIOTLB(_ request: InvalidationRequest) {
    lock.withLock {
      append(.sync(request))
      log.syncs += 1
      log.notes.append(.sync(first: request.first, last: request.last, released: request.released))
    }
  }

  public func recordWarning() {
    lock.withLock { log.notes.append(.warn) }
  }

  public func changeTop(to physical: UInt64, level: Int) {
    lock.withLock {
      append(.topChange(physical, level: level))
      log.notes.append(.top(level: level))
    }
  }

  /// An entry as the processor sees it now, of the size of those last written; 0 outside of table memory. Called with
  /// the lock taken.
  private func word(at physical: UInt64, index: Int) -> UInt64 {
    let bytes = UInt64(log.wordBytes)
    let offset = physical &- physicalBase &+ UInt64(index) &* bytes
    guard offset % bytes == 0, offset < machine.reservedBytes else { return 0 }
    let place = arena + Int(offset)
    guard bytes == 4 else {
      return place.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
    }
    return UInt64(place.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .relaxed))
  }
}

/// The log of a recording memory.
private struct EventLog {
  var events: [MemoryEvent] = []
  /// Events that found the log full.
  var lost = 0
  var notes: [OperationNote] = []
  var syncs = 0
  /// Bytes of the domain's entries, as the last write tells.
  var wordBytes = 8
  /// Operations begun so far; the number is the operation's id.
  var begun = 0
  /// The operations in flight, by thread.
  var running: [pthread_t: (id: Int, operation: Operation)] = [:]

  var complete: [MemoryEvent] { lost == 0 ? events : events + [.lost(lost)] }

  mutating func forgetEvents() {
    events = []
    lost = 0
  }
}
