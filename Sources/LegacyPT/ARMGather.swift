// SPDX-License-Identifier: GPL-2.0-only
//
// How the drivers of Arm's IOMMUs gather leaves that an unmap removed (Linux include/linux/iommu.h,
// iommu_iotlb_gather_add_page(); drivers/iommu/arm/arm-smmu-v3).

import PageTable

extension LegacyPageTable {
  /// Gathers one page. What is gathered is synced first when the page is of another size or apart from it, for one
  /// invalidation covers one range of pages of one size.
  @inlinable @inline(__always)
  func gatherPage(iova: UInt64, size: UInt64, gather: inout LegacyGather) {
    if gather.pageSize != size {
      if gather.pageSize != 0 { synchronize(&gather) }
    } else if gather.isDisjoint(iova: iova, length: size) {
      synchronize(&gather)
    }
    gather.pageSize = size
    gather.add(iova: iova, length: size)
  }

  /// Gathers `count` pages; as Linux does, one after the other.
  @inlinable @inline(__always)
  func gatherPages(iova: UInt64, size: UInt64, count: Int, gather: inout LegacyGather) {
    var page = iova
    for _ in 0..<count {
      gatherPage(iova: page, size: size, gather: &gather)
      page &+= size
    }
  }
}
