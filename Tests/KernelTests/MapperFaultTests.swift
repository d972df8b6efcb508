// SPDX-License-Identifier: GPL-2.0-only

import Machine
import TAP
import Testing

@testable import Kernel

/// Each fault of a kernel, and the tests that see it.
@Suite("Faults that the mapping tests see")
struct MapperFaultTests {
  static let catches: [(FakeFault, [String])] = [
    (.overlapAccepted, ["vfio.semantics.overlap", "iommufd.semantics.overlap", "module.semantics.overlap"]),
    (.zeroLengthAccepted, ["vfio.semantics.zero_length", "iommufd.semantics.zero_length"]),
    (.misalignedAccepted, ["vfio.semantics.misaligned", "mock.semantics.misaligned"]),
    (.permissionlessAccepted, ["vfio.semantics.permissions", "module.semantics.permissions"]),
    (.wrapAccepted, ["vfio.semantics.wrap_around", "iommufd.semantics.wrap_around"]),
    (.beyondAccepted, ["vfio.aperture.beyond", "vfio.aperture.across_the_end", "mock.aperture.beyond"]),
    (
      .lastPageRefused,
      ["vfio.aperture.last_page", "iommufd.aperture.last_page", "module.aperture.last_page"]
    ),
    (.firstPageRefused, ["vfio.aperture.first_page"]),
    (.secondRangeForgotten, ["vfio.aperture.first_page", "vfio.aperture.last_page"]),
    (.rangesTouch, ["vfio.aperture.ranges"]),
    (.unmapReturnsMore, ["vfio.semantics.sizes", "module.semantics.sizes", "vfio.leaves.2m"]),
    (.unmapReturnsLess, ["vfio.semantics.unmap_across_holes", "iommufd.leaves.1g"]),
    (.mappingStays, ["vfio.semantics.remap_after_unmap", "module.semantics.sizes"]),
    (.unmapStopsAtHole, ["vfio.semantics.unmap_across_holes", "vfio.semantics.many"]),
    (.cutAccepted, ["vfio.semantics.unmap_cuts", "iommufd.semantics.unmap_cuts"]),
    (.cutRemoves, ["vfio.semantics.unmap_cuts", "module.semantics.unmap_cuts"]),
    (.nothingReturnsBytes, ["vfio.semantics.unmap_nothing", "iommufd.semantics.unmap_nothing"]),
    (.unmapAllForgets, ["vfio.semantics.unmap_all", "iommufd.semantics.unmap_all"]),
    (.closeKeepsMappings, ["vfio.semantics.close_unmaps", "module.semantics.close_unmaps"]),
    (.sameMemoryRefused, ["vfio.semantics.same_memory_twice"]),
    (.largeRefused, ["vfio.leaves.2m", "vfio.leaves.1g"]),
    (.tableBlocksLeaf, ["vfio.leaves.2m_over_table"]),
    (.closeLeaksTables, ["vfio.accounting.vmstat.returns", "vfio.accounting.meminfo.returns"]),
    (.closeLeaksPage, ["vfio.accounting.no_drift", "module.accounting.no_drift"]),
    (.countsHalf, ["vfio.accounting.vmstat.grows", "iommufd.accounting.meminfo.grows"]),
    (.countsTwice, ["vfio.accounting.vmstat.grows", "vfio.accounting.nodes.grows"]),
    (.unmapAllocates, ["vfio.accounting.vmstat.falls_back"]),
    (.nodesNotCounted, ["vfio.accounting.nodes.grows"]),
    (.kilobytesNotCounted, ["vfio.accounting.meminfo.grows"]),
    (.tablesStay, ["vfio.iova_stress.bounded"]),
    (.sweepUnmapsLess, ["vfio.iova_stress.run", "module.iova_stress.run"]),
    (.largeLeafLosesOffset, ["vfio.dma.2m", "vfio.dma.1g", "module.dma.2m", "module.leaves.2m"]),
    (.readOnlyWritten, ["vfio.dma.read_only", "iommufd.dma.read_only", "module.dma.read_only"]),
    (.staleTranslation, ["vfio.dma.moved"]),
    (.unmappedReached, ["vfio.dma.unmapped", "module.dma.unmapped"]),
    (.dataMisplaced, ["vfio.dma.4k", "vfio.dma.64k_piece"]),
    (.secondPageForgotten, ["vfio.dma.across_pages"]),
    (.highBitsLost, ["vfio.dma.high_iova"]),
    (.entryWrongBit, ["vfio.debugfs.entries", "iommufd.debugfs.entries"]),
    (.entryWrongAddress, ["vfio.debugfs.entries"]),
    (.entryExtra, ["vfio.debugfs.entries"]),
    (.entryMissing, ["vfio.debugfs.entries"]),
    (.entryTableBit, ["vfio.debugfs.entries"]),
    (.entryStays, ["vfio.debugfs.entries"]),
    (.physicalWrong, ["module.semantics.sizes", "mock.semantics.sizes", "module.leaves.2m"]),
    (.copyFollowsSource, ["iommufd.ioas.copy", "mock.ioas.copy"]),
    (.copyOverMapping, ["iommufd.ioas.copy_errors"]),
    (.chosenOverlaps, ["iommufd.ioas.chosen_iova"]),
    (.rangesNotNarrowed, ["iommufd.ioas.unattached_ranges"]),
    (.unknownFlagAccepted, ["iommufd.ioas.unknown_flags"]),
    (.destroyInUse, ["iommufd.ioas.destroy_in_use"]),
  ]

  @Test("Every fault has a test that sees it")
  func complete() {
    #expect(Set(Self.catches.map(\.0)) == Set(FakeFault.allCases))
  }

  @Test("A fault fails its tests, and they leave nothing behind", arguments: catches)
  func seen(fault: FakeFault, tests: [String]) throws {
    for test in tests {
      let machine = FakeMappingMachine([fault])
      let result = try MapperRuns.result("kernel.\(test)", on: machine)
      #expect(result.outcome == .fail, "\(test): \(result.details)")
      #expect(!result.details.isEmpty, "\(test)")
      #expect(machine.open.isEmpty && machine.memory.pieces.isEmpty && machine.tables.isEmpty, "\(test)")
    }
  }

  @Test("A failure says the call, what was expected and what was found")
  func texts() throws {
    #expect(
      try MapperRuns.result("kernel.vfio.semantics.overlap", .overlapAccepted).details == [
        "map of 64K at IOVA 0x210000: expected EEXIST, found success"
      ])
    #expect(
      try MapperRuns.result("kernel.vfio.aperture.last_page", .lastPageRefused).details == [
        "map of 4K at IOVA 0xfedff000: expected success, found EINVAL (VFIO_IOMMU_MAP_DMA: Invalid argument)"
      ])
    let entry = try MapperRuns.result("kernel.vfio.debugfs.entries", .entryWrongBit).details
    #expect(entry.count > 2)
    #expect(
      entry.contains { $0.hasPrefix("IOVA 0x") && $0.contains("expected 0x") && $0.contains("found 0x") })
  }
}
