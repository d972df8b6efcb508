// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// What a fake kernel does wrong.
enum FakeFault: String, CaseIterable, Sendable {
  case overlapAccepted, zeroLengthAccepted, misalignedAccepted, permissionlessAccepted, wrapAccepted
  case beyondAccepted, lastPageRefused, firstPageRefused, secondRangeForgotten, rangesTouch
  case unmapReturnsMore, unmapReturnsLess, mappingStays, unmapStopsAtHole, cutAccepted, cutRemoves
  case nothingReturnsBytes, unmapAllForgets, closeKeepsMappings, sameMemoryRefused, largeRefused
  case tableBlocksLeaf
  case closeLeaksTables, closeLeaksPage, countsHalf, countsTwice, unmapAllocates, nodesNotCounted
  case kilobytesNotCounted, tablesStay, sweepUnmapsLess
  case largeLeafLosesOffset, readOnlyWritten, staleTranslation, unmappedReached, dataMisplaced
  case secondPageForgotten, highBitsLost
  case entryWrongBit, entryWrongAddress, entryExtra, entryMissing, entryTableBit, entryStays
  case physicalWrong, copyFollowsSource, copyOverMapping, chosenOverlaps, rangesNotNarrowed
  case unknownFlagAccepted, destroyInUse
}

/// A page table of a fake kernel: what is mapped, and which tables that takes.
final class FakePageTable {
  /// One mapping.
  struct Area: Hashable {
    var iova: UInt64
    var address: UInt64
    var length: UInt64
    var read: Bool
    var write: Bool
    /// Whether it lies in a large page, so that it has leaves of 2 MiB.
    var isLarge = false

    var last: UInt64 { iova &+ (length &- 1) }
  }

  static let usual: [(UInt64, UInt64)] = [(0, 0xfedf_ffff), (0xfef0_0000, (1 << 48) - 1)]

  /// Ascending.
  private(set) var areas: [Area] = []
  private(set) var ranges: [(first: UInt64, last: UInt64)]
  private var tables: Set<UInt64> = []
  private let faults: Set<FakeFault>
  /// Whether empty tables go back at once. Linux keeps them.
  private let reclaims: Bool
  let page: UInt64

  init(faults: Set<FakeFault>, reclaims: Bool, ranges: [(UInt64, UInt64)] = usual, page: UInt64 = 4096) {
    self.faults = faults
    self.reclaims = reclaims
    self.ranges = ranges.map { (first: $0.0, last: $0.1) }
    self.page = page
  }

  /// How many tables there are, the top one included.
  var tableCount: Int { 1 + tables.count }

  // MARK: Map

  /// Maps; returns Linux's error number, 0 for none.
  func map(_ area: Area, overlapError: Int32 = EEXIST) -> Int32 {
    var area = area
    let misaligned = (area.iova | area.address | area.length) & (page - 1) != 0
    if area.length == 0 { return faults.contains(.zeroLengthAccepted) ? 0 : EINVAL }
    if !area.read, !area.write, !faults.contains(.permissionlessAccepted) { return EINVAL }
    if area.iova.addingReportingOverflow(area.length - 1).overflow {
      return faults.contains(.wrapAccepted) ? 0 : EINVAL
    }
    if misaligned {
      guard faults.contains(.misalignedAccepted) else { return EINVAL }
      area.length = (area.length + page - 1) & ~(page - 1)
      area.iova &= ~(page - 1)
    }
    if let number = refusal(of: area) { return number }
    let index = position(after: area.last)
    let overlapped = index > 0 && areas[index - 1].last >= area.iova
    if overlapped {
      if faults.contains(.overlapAccepted) { return 0 }
      return overlapError
    }
    if faults.contains(.tableBlocksLeaf), area.isLarge, tables.contains(area.iova >> 21) {
      return overlapError
    }
    areas.insert(area, at: index)
    addTables(of: area)
    return 0
  }

  private func refusal(of area: Area) -> Int32? {
    let inside = ranges.contains { $0.first <= area.iova && area.last <= $0.last }
    if !inside, !faults.contains(.beyondAccepted) { return EINVAL }
    if faults.contains(.lastPageRefused), ranges.contains(where: { $0.last == area.last }) { return EINVAL }
    if faults.contains(.firstPageRefused), ranges.contains(where: { $0.first == area.iova }) { return EINVAL }
    if faults.contains(.secondRangeForgotten), ranges.count > 1, area.iova >= ranges[1].first {
      return EINVAL
    }
    if faults.contains(.sameMemoryRefused), areas.contains(where: { $0.address == area.address }) {
      return EINVAL
    }
    if faults.contains(.largeRefused), area.length >= 2 << 20 { return ENOMEM }
    return nil
  }

  private func addTables(of area: Area) {
    var block = area.iova >> 21
    while block <= area.last >> 21 {
      let isWhole = block << 21 >= area.iova && (block << 21) | 0x1f_ffff <= area.last
      let isAligned = (area.iova ^ area.address) & 0x1f_ffff == 0
      if !(area.isLarge && isWhole && isAligned) { tables.insert(block) }
      tables.insert(1 << 62 | block >> 9)
      tables.insert(2 << 62 | block >> 18)
      block += 1
    }
  }

  // MARK: Unmap

  /// How an interface answers unmaps.
  enum Manner {
    /// A cut is EINVAL, and nothing mapped is 0 bytes.
    case type1
    /// A cut is ENOENT, and nothing mapped, too.
    case iommufd
  }

  /// Unmaps; returns Linux's error number, 0 for none, and the bytes.
  func unmap(_ iova: UInt64, _ length: UInt64, _ manner: Manner) -> (error: Int32, bytes: UInt64) {
    if length == 0 { return faults.contains(.zeroLengthAccepted) ? (0, 0) : (EINVAL, 0) }
    let (last, isOver) = iova.addingReportingOverflow(length - 1)
    if isOver { return faults.contains(.wrapAccepted) ? (0, 0) : (EOVERFLOW, 0) }
    let end = position(after: last)
    var start = end
    while start > 0, areas[start - 1].last >= iova { start -= 1 }
    let hit = Array(areas[start..<end])
    let cut = hit.contains { $0.iova < iova || $0.last > last }
    if cut, !faults.contains(.cutAccepted) {
      if faults.contains(.cutRemoves) { areas.removeAll { hit.contains($0) } }
      return (manner == .type1 ? EINVAL : ENOENT, 0)
    }
    if hit.isEmpty {
      if faults.contains(.nothingReturnsBytes) { return (0, length) }
      return manner == .type1 ? (0, 0) : (ENOENT, 0)
    }
    return (0, remove(hit))
  }

  /// Removes mappings; returns the bytes that are told.
  func remove(_ hit: [Area]) -> UInt64 {
    var removed = hit
    if faults.contains(.unmapStopsAtHole) {
      let gap = hit.indices.dropLast().first { hit[$0].last &+ 1 != hit[$0 + 1].iova }
      if let gap { removed = Array(hit[...gap]) }
    }
    let bytes = removed.reduce(0) { $0 &+ $1.length }
    if !faults.contains(.mappingStays) {
      let gone = Set(removed)
      areas.removeAll { gone.contains($0) }
    }
    if reclaims { reclaim() }
    if faults.contains(.unmapAllocates) {
      for spare in 0..<1024 as Range<UInt64> { tables.insert(3 << 62 | spare) }
    }
    if faults.contains(.unmapReturnsMore) { return bytes + page }
    if faults.contains(.unmapReturnsLess) { return bytes - page }
    return bytes
  }

  private func reclaim() {
    tables = []
    for area in areas { addTables(of: area) }
  }

  // MARK: Look up

  /// The place of the first mapping that starts after an IOVA.
  private func position(after iova: UInt64) -> Int {
    var low = 0
    var high = areas.count
    while low < high {
      let middle = (low + high) / 2
      if areas[middle].iova <= iova { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Where an IOVA leads; nil for nowhere.
  func translate(_ iova: UInt64) -> (address: UInt64, write: Bool)? {
    var iova = iova
    if faults.contains(.highBitsLost) { iova &= 0xffff_ffff }
    let index = position(after: iova)
    guard index > 0, areas[index - 1].last >= iova else { return nil }
    let area = areas[index - 1]
    var offset = iova - area.iova
    if faults.contains(.largeLeafLosesOffset), area.isLarge { offset &= 0xf_ffff }
    return (area.address + offset, area.write)
  }
}
