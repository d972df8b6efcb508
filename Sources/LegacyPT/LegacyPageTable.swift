// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// One page table as a driver's own code keeps it, called as the IOMMU core calls the driver (Linux: struct
/// iommu_domain_ops, struct io_pgtable_ops).
public protocol LegacyPageTable: AnyObject {
  associatedtype Memory: TableMemory

  /// The memory that the tables live in.
  var memory: Memory { get }
  /// The page sizes that the driver offers, a bitmap of bytes (Linux: pgsize_bitmap).
  var pageSizes: UInt64 { get }
  /// All roots, in the order of the IOVA bits that choose among them.
  var roots: [TableRoot] { get }

  /// One map_pages call: `count` pages of `pageSize` bytes.
  func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome

  /// One unmap_pages call; returns the bytes unmapped. What needs an invalidation later goes into the gather.
  func unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64, gather: inout LegacyGather) -> UInt64

  /// The driver's iotlb_sync: invalidates what is gathered, then releases the gathered tables.
  func synchronize(_ gather: inout LegacyGather)

  /// The driver's iotlb_sync_map, after a map; most drivers need nothing there.
  func synchronizeMap(iova: UInt64, length: UInt64)

  /// The output address that an IOVA translates to, or nil (Linux: iova_to_phys).
  func translate(_ iova: UInt64) -> UInt64?

  /// What the hardware does to the word that maps an IOVA when a device writes; EOPNOTSUPP where the format has no
  /// dirty state, ENOENT where nothing is mapped, ERANGE outside of the address space.
  func setDirty(_ iova: UInt64) -> LinuxErrno?

  /// The dirty leaves of a range in ascending order (Linux: read_and_clear_dirty).
  ///
  /// - Throws: EOPNOTSUPP where the driver has no dirty tracking, and what else the driver returns.
  func readDirty(
    iova: UInt64, length: UInt64, clear: Bool, gather: inout LegacyGather
  ) throws(LinuxErrno) -> [DirtyRange]

  /// The table image as this driver's own macros read it.
  ///
  /// - Throws: `DanglingPointerError` when a pointer leads outside of `reader`'s memory.
  func image(in reader: some PhysicalMemoryReader) throws -> TableImage

  /// Releases every table. The hardware must no longer walk them; the page table is unusable afterwards.
  func destroy()
}

extension LegacyPageTable {
  @inlinable public func synchronizeMap(iova: UInt64, length: UInt64) {}
  @inlinable public func setDirty(_ iova: UInt64) -> LinuxErrno? { .eopnotsupp }

  @inlinable
  public func readDirty(
    iova: UInt64, length: UInt64, clear: Bool, gather: inout LegacyGather
  ) throws(LinuxErrno) -> [DirtyRange] { throw .eopnotsupp }
}

/// What unmaps gather until the IOTLB sync (Linux: struct iommu_iotlb_gather).
@frozen
public struct LegacyGather {
  /// A table that is released after the sync.
  @frozen
  public struct Table {
    /// Its physical address.
    public var physical: UInt64
    /// Its size in bytes, log2.
    public var sizeLog2: Int

    @inlinable
    public init(physical: UInt64, sizeLog2: Int) {
      self.physical = physical
      self.sizeLog2 = sizeLog2
    }
  }

  /// The first and the last IOVA gathered; empty when `first` is above `last`.
  public var first: UInt64 = ~0
  public var last: UInt64 = 0
  /// The size of the pages gathered, in bytes; 0 before the first (Linux: pgsize).
  public var pageSize: UInt64 = 0
  /// Tables to release after the sync.
  public var tables: [Table] = []

  @inlinable
  public init() {}

  /// Whether nothing is gathered.
  @inlinable public var isEmpty: Bool { first > last && tables.isEmpty }

  /// Adds a range (Linux: iommu_iotlb_gather_add_range).
  @inlinable
  public mutating func add(iova: UInt64, length: UInt64) {
    first = min(first, iova)
    last = max(last, iova &+ length &- 1)
  }

  /// Whether a range neither overlaps nor touches what is gathered (Linux: iommu_iotlb_gather_is_disjoint).
  @inlinable
  public func isDisjoint(iova: UInt64, length: UInt64) -> Bool {
    last != 0 && (last &+ 1 < iova || iova &+ length < first)
  }
}

/// A family of formats that one driver's code serves.
public protocol LegacyFamily: Sendable {
  /// The keys of the configuration text of each format, the era among them: which Linux version's code is modelled.
  static var schemas: [ConfigurationSchema] { get }
  /// The configurations that tests run over, as full text.
  static var testConfigurations: [String] { get }
  /// Whether the family serves a configuration; one format can have several drivers.
  static func accepts(_ configuration: Configuration) -> Bool
  /// Makes an empty page table and calls `function` with it; to be `@inlinable`, so that `function` is specialised.
  ///
  /// - Throws: `ConfigurationError` with the errno of Linux's refusal, `LinuxErrno.enomem`, and what `function` throws.
  static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output
}

extension LegacyFamily {
  public static func accepts(_ configuration: Configuration) -> Bool {
    schemas.contains { $0.format == configuration.format }
  }
}

/// Something to do with a page table of a family.
public protocol LegacyFunction {
  associatedtype Output
  func callAsFunction<Table: LegacyPageTable>(_ table: Table) throws -> Output
}
