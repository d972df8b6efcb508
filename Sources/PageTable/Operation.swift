// SPDX-License-Identifier: GPL-2.0-only

/// One operation on a page table, as golden files, command lines and generators write it.
/// All addresses and lengths are in bytes.
public enum Operation: Hashable, Sendable {
  /// As iommu_map(): all or nothing.
  case map(iova: UInt64, pa: UInt64, length: UInt64, protection: Protection)
  /// As `map`, without roll back on failure.
  case mapRange(iova: UInt64, pa: UInt64, length: UInt64, protection: Protection)
  /// One map_pages call of io-pgtable; elsewhere a map with leaf sizes limited to `pageSize`.
  case mapPages(iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection)
  /// As iommu_unmap().
  case unmap(iova: UInt64, length: UInt64)
  /// One unmap_pages call of io-pgtable.
  case unmapPages(iova: UInt64, pageSize: UInt64, count: UInt64)
  /// The output address that an IOVA translates to.
  case phys(iova: UInt64)
  /// The device writes: sets the dirty bit in the one word that maps the IOVA.
  case setDirty(iova: UInt64)
  /// Reads the dirty leaves of a range, and clears them unless told to keep them.
  case dirty(iova: UInt64, length: UInt64, clear: Bool)
  /// How many 4 KiB pages of table memory may still be allocated; nil is unlimited.
  case allocationBudget(pages: Int?)
}

/// What an operation returned.
public enum OperationResult: Hashable, Sendable {
  /// Success of an operation that returns no number.
  case ok
  /// Success of `mapRange` or `mapPages`, with the bytes mapped.
  case okMapped(UInt64)
  /// Failure of an operation that returns no number.
  case failed(LinuxErrno)
  /// Failure of `mapRange` or `mapPages`, with the bytes that stay mapped.
  case failedMapped(LinuxErrno, UInt64)
  /// The bytes an unmap removed.
  case unmapped(UInt64)
  /// The output address, or nil for none.
  case physical(UInt64?)
  /// The dirty leaves of a range, in ascending order.
  case dirty([DirtyRange])
  /// The operation has no result (`allocbudget`).
  case none
}

/// A stretch of IOVA whose leaf is dirty; both in bytes.
public struct DirtyRange: Hashable, Sendable {
  public var iova: UInt64
  public var length: UInt64

  public init(iova: UInt64, length: UInt64) {
    self.iova = iova
    self.length = length
  }
}

/// What else happened during an operation, in the order of happening.
public enum OperationNote: Hashable, Sendable {
  /// One IOTLB sync that covers `first` to `last` (inclusive), which then released
  /// `released` tables.
  case sync(first: UInt64, last: UInt64, released: Int)
  /// The top grew; the new top is at `level`.
  case top(level: Int)
  /// Linux printed a warning.
  case warn
}
