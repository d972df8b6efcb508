// SPDX-License-Identifier: GPL-2.0-only
//
// What every driver's code is called from: the outer loops of Linux drivers/iommu/iommu.c (iommu_map, iommu_unmap and
// the choice of page sizes, iommu_pgsize). They are the same in all eras that the kit models.

import PageTable

extension LegacyPageTable {
  /// Maps as iommu_map(): in calls of one page size each; what a failed call leaves is rolled back.
  @inlinable
  public func map(iova: UInt64, pa: UInt64, length: UInt64, protection: Protection) -> LinuxErrno? {
    let outcome = mapRange(iova: iova, pa: pa, length: length, protection: protection)
    if outcome.errno != nil, outcome.mapped > 0 { _ = unmap(iova: iova, length: outcome.mapped) }
    return outcome.errno
  }

  /// As `map`, but what was mapped before a failure stays.
  @inlinable
  public func mapRange(iova: UInt64, pa: UInt64, length: UInt64, protection: Protection) -> MapOutcome {
    let smallest: UInt64 = pageSizes & (0 &- pageSizes)
    guard smallest != 0 else { return MapOutcome(.enodev, mapped: 0) }
    if (iova | pa | length) & (smallest &- 1) != 0 { return MapOutcome(.einval, mapped: 0) }
    var mapped: UInt64 = 0
    while mapped < length {
      let (size, count) = pageSize(iova: iova &+ mapped, pa: pa &+ mapped, length: length &- mapped)
      let outcome = mapPages(
        iova: iova &+ mapped, pa: pa &+ mapped, pageSize: size, count: count, protection: protection)
      mapped &+= outcome.mapped
      if outcome.errno != nil { return MapOutcome(outcome.errno, mapped: mapped) }
      // A driver that maps nothing and reports no failure would keep Linux in this loop for ever.
      if outcome.mapped == 0 { return MapOutcome(.einval, mapped: mapped) }
    }
    synchronizeMap(iova: iova, length: length)
    return MapOutcome(nil, mapped: mapped)
  }

  /// Unmaps as iommu_unmap(), with its IOTLB sync; returns the bytes unmapped.
  @inlinable
  public func unmap(iova: UInt64, length: UInt64) -> UInt64 {
    var gather = LegacyGather()
    let unmapped = unmapFast(iova: iova, length: length, gather: &gather)
    synchronize(&gather)
    return unmapped
  }

  /// Unmaps as iommu_unmap_fast(): the sync is the caller's.
  @inlinable
  public func unmapFast(iova: UInt64, length: UInt64, gather: inout LegacyGather) -> UInt64 {
    let smallest: UInt64 = pageSizes & (0 &- pageSizes)
    guard smallest != 0, (iova | length) & (smallest &- 1) == 0 else { return 0 }
    var unmapped: UInt64 = 0
    while unmapped < length {
      let (size, count) = pageSize(iova: iova &+ unmapped, pa: iova &+ unmapped, length: length &- unmapped)
      let done = unmapPages(iova: iova &+ unmapped, pageSize: size, count: count, gather: &gather)
      if done == 0 { break }
      unmapped &+= done
    }
    return unmapped
  }

  /// The largest page size for a range that is aligned to the smallest one, and how many such pages to ask for: up
  /// to where the next larger size fits, if it can (Linux: iommu_pgsize).
  @inlinable @inline(__always)
  func pageSize(iova: UInt64, pa: UInt64, length: UInt64) -> (size: UInt64, count: UInt64) {
    let merged = iova | pa
    var fitting = pageSizes & (~0 &>> UInt64(truncatingIfNeeded: length.leadingZeroBitCount))
    if merged != 0 { fitting &= ~0 &>> UInt64(truncatingIfNeeded: 63 &- merged.trailingZeroBitCount) }
    let sizeLog2 = UInt64(truncatingIfNeeded: 63 &- fitting.leadingZeroBitCount)
    let size: UInt64 = 1 &<< sizeLog2
    let larger = pageSizes & ~(size | (size &- 1))
    if larger != 0 {
      let next = larger & (0 &- larger)
      let offset = next &- (iova & (next &- 1))
      // Both addresses must reach the next size's alignment together, and the range must hold a page of it then.
      if (iova ^ pa) & (next &- 1) == 0, length >= next, offset <= length &- next {
        return (size, offset &>> sizeLog2)
      }
    }
    return (size, length &>> sizeLog2)
  }
}

extension LegacyPageTable {
  /// Runs one operation and returns its result; `allocbudget` is `setBudget`'s.
  public func run(_ operation: Operation, setBudget: (Int?) -> Void) -> OperationResult {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      return map(iova: iova, pa: pa, length: length, protection: protection).map { .failed($0) } ?? .ok
    case .mapRange(let iova, let pa, let length, let protection):
      return result(mapRange(iova: iova, pa: pa, length: length, protection: protection))
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      return result(
        mapPages(iova: iova, pa: pa, pageSize: pageSize, count: count, protection: protection))
    case .unmap(let iova, let length): return .unmapped(unmap(iova: iova, length: length))
    case .unmapPages(let iova, let pageSize, let count):
      var gather = LegacyGather()
      let unmapped = unmapPages(iova: iova, pageSize: pageSize, count: count, gather: &gather)
      synchronize(&gather)
      return .unmapped(unmapped)
    case .phys(let iova): return .physical(translate(iova))
    case .setDirty(let iova): return setDirty(iova).map { .failed($0) } ?? .ok
    case .dirty(let iova, let length, let clear):
      var gather = LegacyGather()
      do throws(LinuxErrno) {
        let ranges = try readDirty(iova: iova, length: length, clear: clear, gather: &gather)
        synchronize(&gather)
        return .dirty(ranges)
      } catch {
        return .failed(error)
      }
    case .allocationBudget(let pages):
      setBudget(pages)
      return .none
    }
  }

  private func result(_ outcome: MapOutcome) -> OperationResult {
    outcome.errno.map { .failedMapped($0, outcome.mapped) } ?? .okMapped(outcome.mapped)
  }
}
