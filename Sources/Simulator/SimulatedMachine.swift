// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A machine's table memory: one reserved mapping in which physical address `physicalBase + n` is the
/// byte at `arena + n`, with an allocator that knows every table.
///
/// All members may be used from any thread, but for those that say otherwise.
public final class SimulatedMachine: @unchecked Sendable {
  /// Address space reserved unless told otherwise: 256 GiB.
  public static let defaultReserve: UInt64 = 256 << 30
  /// Bytes that the physical base and the reserve are multiples of; the largest table's size.
  public static let alignment: UInt64 = 1 << 20
  /// Sizes of tables, log2 of bytes.
  public static let tableSizes = 6...20

  /// The first physical address of table memory, in bytes.
  public let physicalBase: UInt64
  /// How many bytes of table memory there can be; less than asked for where the host refused.
  public let reservedBytes: UInt64
  /// The host address of `physicalBase`.
  public let arena: UnsafeMutableRawPointer
  /// One element for each 4 KiB page from `physicalBase` on, for the page tables' own use.
  public let pageMetadata: UnsafeMutablePointer<TablePageMetadata>
  /// How many memory nodes the machine has; they are numbered from 0.
  public let nodeCount: Int
  /// Whether released tables are filled with `Poison.released`, and checked on reuse.
  public let poisonsReleasedTables: Bool

  let lock = SpinLock()
  /// The allocator's state; touched under `lock` only. A pointer, for class properties would be
  /// checked for exclusive access at each use.
  let state: UnsafeMutablePointer<AllocatorState>
  /// One record per 4 KiB page, under `lock`.
  let records: UnsafeMutablePointer<PageRecord>
  /// Live pages per node, under `lock`.
  let nodePages: UnsafeMutablePointer<Int>

  private let tables: ReservedMapping
  private let metadata: ReservedMapping
  private let bookkeeping: ReservedMapping

  /// Makes a machine without tables.
  ///
  /// - Parameters:
  ///   - physicalBase: the first physical address of table memory, a multiple of 1 MiB.
  ///   - reserve: the bytes of table memory there can be, rounded up to a multiple of 1 MiB, at most
  ///     1 TiB. Halved, down to 16 MiB, while the host refuses it.
  ///   - nodes: the number of memory nodes, 1 to 256.
  ///   - poison: whether released tables are filled with a pattern that is checked on reuse.
  /// - Throws: `MachineError` that says what is wrong with the request or why the host refuses.
  public init(
    physicalBase: UInt64 = 0x1_0000_0000, reserve: UInt64 = SimulatedMachine.defaultReserve,
    nodes: Int = 8, poison: Bool = true
  ) throws {
    let bytes = try Self.checked(physicalBase: physicalBase, reserve: reserve, nodes: nodes)
    tables = try Self.reserveTables(bytes)
    let pages = tables.byteCount / Self.pageBytes
    metadata = try ReservedMapping(
      byteCount: pages * MemoryLayout<TablePageMetadata>.stride, alignment: Self.pageBytes,
      purpose: "page metadata")
    bookkeeping = try ReservedMapping(
      byteCount: pages * MemoryLayout<PageRecord>.stride, alignment: Self.pageBytes,
      purpose: "the allocator's records")
    self.physicalBase = physicalBase
    reservedBytes = UInt64(tables.byteCount)
    arena = tables.start
    pageMetadata = metadata.start.bindMemory(to: TablePageMetadata.self, capacity: pages)
    records = bookkeeping.start.bindMemory(to: PageRecord.self, capacity: pages)
    nodeCount = nodes
    nodePages = .allocate(capacity: nodes)
    nodePages.initialize(repeating: 0, count: nodes)
    poisonsReleasedTables = poison
    state = .allocate(capacity: 1)
    state.initialize(to: AllocatorState(pageCount: UInt32(pages)))
  }

  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
    nodePages.deallocate()
  }

  private static func checked(physicalBase: UInt64, reserve: UInt64, nodes: Int) throws -> Int {
    guard (1...256).contains(nodes) else {
      throw MachineError("a machine has 1 to 256 memory nodes, not \(nodes)")
    }
    guard physicalBase % alignment == 0 else {
      throw MachineError("the physical base \(Numbers.hex(physicalBase)) is not a multiple of 1 MiB")
    }
    guard reserve > 0, reserve <= 1 << 40 else {
      throw MachineError("table memory has more than 0 and at most 1 TiB, not \(Numbers.size(reserve))")
    }
    let bytes = (reserve &+ alignment &- 1) & ~(alignment &- 1)
    guard !physicalBase.addingReportingOverflow(bytes &- 1).overflow else {
      throw MachineError(
        "\(Numbers.size(bytes)) from \(Numbers.hex(physicalBase)) on exceed 64-bit physical addresses")
    }
    return Int(bytes)
  }

  private static func reserveTables(_ wanted: Int) throws -> ReservedMapping {
    var bytes = wanted
    while true {
      do {
        let tables = try ReservedMapping(
          byteCount: bytes, alignment: blockPages * pageBytes, purpose: "table memory")
        askForLargePages(tables)
        return tables
      } catch {
        guard bytes / 2 >= 16 << 20 else { throw error }
        bytes = (bytes / 2) & ~(Int(alignment) - 1)
      }
    }
  }
}

// MARK: - Accounts

extension SimulatedMachine {
  /// 4 KiB pages of table memory allocated now.
  public var livePages: Int { lock.withLock { state.pointee.livePages } }

  /// The largest number of `livePages` since the last `resetPeak`.
  public var peakPages: Int { lock.withLock { state.pointee.peakPages } }

  /// Tables allocated since the machine was made.
  public var totalAllocations: Int { lock.withLock { state.pointee.allocations } }

  /// 4 KiB pages of table memory allocated now on a node; 0 for a node that does not exist.
  public func livePages(node: Int) -> Int {
    guard (0..<nodeCount).contains(node) else { return 0 }
    return lock.withLock { nodePages[node] }
  }

  /// Starts a new measurement of `peakPages`.
  public func resetPeak() {
    lock.withLock { state.pointee.peakPages = state.pointee.livePages }
  }

  /// Misuses of table memory, oldest first; at most 1000 are kept.
  public var violations: [MachineViolation] { lock.withLock { state.pointee.violations } }

  /// Returns `violations` and forgets them.
  public func takeViolations() -> [MachineViolation] {
    lock.withLock {
      defer { state.pointee.violations = [] }
      return state.pointee.violations
    }
  }

  func report(_ violation: MachineViolation) {
    lock.withLock {
      if state.pointee.violations.count < 1000 { state.pointee.violations.append(violation) }
    }
  }
}

// MARK: - Reading

extension SimulatedMachine: PhysicalMemoryReader {
  /// The bytes of allocated tables, as the processor sees them; nil when any of them is in no table.
  public func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? {
    guard isTableMemory(physical, byteCount) else { return nil }
    return UnsafeRawBufferPointer(start: arena + Int(physical &- physicalBase), count: byteCount)
  }

  /// Whether all of `physical ..< physical + byteCount` is in allocated tables.
  public func isTableMemory(_ physical: UInt64, _ byteCount: Int) -> Bool {
    let offset = physical &- physicalBase
    guard byteCount > 0, physical >= physicalBase, offset < reservedBytes,
      UInt64(byteCount) <= reservedBytes - offset
    else { return false }
    let bytes = Int(offset)..<Int(offset) + byteCount
    let pages = bytes.lowerBound / Self.pageBytes...(bytes.upperBound - 1) / Self.pageBytes
    return lock.withLock {
      pages.allSatisfy { page in
        let start = page * Self.pageBytes
        let part = bytes.clamped(to: start..<start + Self.pageBytes)
        return records[page].holds(part.lowerBound - start..<part.upperBound - start)
      }
    }
  }
}
