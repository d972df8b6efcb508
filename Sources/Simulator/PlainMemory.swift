// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

/// Table memory of one domain that records nothing but counts: for benchmarks and stress.
public final class PlainMemory: TableMemory, @unchecked Sendable {
  @inlinable public static var recordsEvents: Bool { false }

  /// The machine that the tables live in.
  public let machine: SimulatedMachine
  /// The domain's number, for whoever tells domains apart.
  public let domain: Int
  /// The node that tables are allocated on.
  public let node: Int
  public let physicalBase: UInt64
  public let arena: UnsafeMutableRawPointer
  public let pageMetadata: UnsafeMutablePointer<TablePageMetadata>

  @usableFromInline let syncs = Atomic<Int>(0)
  private let tables: DomainTables

  /// Makes the memory of a domain; `node` is one of the machine's.
  public init(machine: SimulatedMachine, domain: Int = 0, node: Int = 0) {
    tables = DomainTables(machine: machine, node: node)
    self.machine = machine
    self.domain = domain
    self.node = node
    physicalBase = machine.physicalBase
    arena = machine.arena
    pageMetadata = machine.pageMetadata
  }

  /// 4 KiB pages of table memory that the domain has now.
  public var livePages: Int { tables.livePages }

  /// IOTLB syncs so far; exact while one thread at a time uses the domain, else a lower bound.
  public var syncCount: Int { syncs.load(ordering: .relaxed) }

  /// The memory as a walker sees it.
  public var walkerView: any PhysicalMemoryReader { machine }

  public func allocateTable(sizeLog2: Int) -> UInt64? {
    var violation: MachineViolation?
    return tables.allocate(sizeLog2: sizeLog2, violation: &violation)
  }

  public func releaseTable(at physical: UInt64, sizeLog2: Int) {
    _ = tables.release(physical, sizeLog2: sizeLog2)
  }

  @inlinable @inline(__always)
  public func flushCache(at physical: UInt64, byteCount: Int) {}

  @inlinable @inline(__always)
  public func recordEntryWrites(at physical: UInt64, count: Int, wordBytes: Int) {}

  @inlinable @inline(__always)
  public func recordTableInstall(_ child: UInt64, at entry: UInt64) {}

  @inlinable @inline(__always)
  public func synchronizeIOTLB(_ request: InvalidationRequest) {
    // A load and a store cost a nanosecond, a locked addition five.
    syncs.store(syncs.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  @inlinable @inline(__always)
  public func changeTop(to physical: UInt64, level: Int) {}
}
