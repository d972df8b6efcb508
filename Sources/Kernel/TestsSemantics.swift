// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What maps and unmaps do, by the contract of each interface (docs/kernel-tests.md).
enum SemanticsTests {
  static func all(_ suite: MapperSuite) -> [KernelTest] {
    let cases: [(String, @Sendable (MapperBench) throws -> KernelOutcome)] = [
      ("sizes", sizes), ("permissions", permissions), ("overlap", overlap), ("zero_length", zeroLength),
      ("misaligned", misaligned), ("wrap_around", wrapAround), ("same_memory_twice", sameMemoryTwice),
      ("unmap_across_holes", unmapAcrossHoles), ("unmap_cuts", unmapCuts), ("unmap_nothing", unmapNothing),
      ("unmap_all", unmapAll), ("remap_after_unmap", remapAfterUnmap), ("many", many),
    ]
    return cases.map { suite.test("semantics.\($0.0)", $0.1) } + [closeUnmaps(suite)]
  }

  /// Runs of pages that begin and end in the middle of tables and cross their borders.
  @Sendable static func sizes(_ bench: MapperBench) throws -> KernelOutcome {
    let address = try bench.pages(1025)
    let iova = try bench.room(2048 * bench.page)
    for count in [1, 2, 3, 8, 15, 16, 64, 511, 512, 513, 1025] as [UInt64] {
      for shift in [0, 1, 500] as [UInt64] {
        let place = iova + shift * bench.page
        try bench.map(place, address, count * bench.page)
        try bench.seeTranslated(place, address, count * bench.page)
        try bench.unmap(place, count * bench.page)
      }
    }
    try bench.seeEmpty(iova, 8 * bench.page, address)
    return .pass
  }

  @Sendable static func permissions(_ bench: MapperBench) throws -> KernelOutcome {
    let address = try bench.pages(3)
    let iova = try bench.room(3 * bench.page)
    for (read, write) in [(true, false), (false, true), (true, true)] {
      try bench.map(iova, address, 3 * bench.page, read: read, write: write)
      try bench.seeTranslated(iova, address, 3 * bench.page)
      try bench.unmap(iova, 3 * bench.page)
    }
    try bench.refusedMap(iova, address, bench.page, read: false, write: false, \.noPermission)
    try bench.seeEmpty(iova, 3 * bench.page, address)
    return .pass
  }

  /// Each way in which a range can overlap a mapping; the mapping stays, and nothing else comes.
  @Sendable static func overlap(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(64)
    let start = try bench.room(64 * page)
    let iova = start + 16 * page
    try bench.map(iova, address, 16 * page)
    let other = address + 32 * page
    for (first, count) in [(16, 16), (16, 1), (31, 1), (20, 4), (15, 18), (15, 2), (31, 2), (0, 17), (0, 64)]
      as [(UInt64, UInt64)]
    {
      // `other` has 32 pages; the longest range may take in the mapped memory, too.
      let source = count > 32 ? address : other
      try bench.refusedMap(start + first * page, source, count * page, \.overlap)
    }
    try bench.seeTranslated(iova, address, 16 * page)
    try bench.map(start + 15 * page, other, page)
    try bench.map(start + 32 * page, other, page)
    try bench.unmap(start, 64 * page, removes: 18 * page)
    try bench.seeEmpty(start, 64 * page, address)
    return .pass
  }

  @Sendable static func zeroLength(_ bench: MapperBench) throws -> KernelOutcome {
    let address = try bench.pages(1)
    let iova = try bench.room(bench.page)
    try bench.refusedMap(iova, address, 0, \.zeroLength)
    try bench.refusedUnmap(iova, 0, \.zeroLength)
    try bench.map(iova, address, bench.page)
    try bench.refusedUnmap(iova, 0, \.zeroLength)
    try bench.unmap(iova, bench.page)
    return .pass
  }

  /// IOVA, memory or length that is no multiple of the page, by a byte and by half a page.
  @Sendable static func misaligned(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(4)
    let iova = try bench.room(4 * page)
    // The mock device has pages of half the processor's.
    let offsets = bench.mapper.kind == .mock ? [1, 8] : [1, 8, page / 2]
    for offset in offsets {
      try bench.refusedMap(iova + offset, address, page, \.misaligned)
      try bench.refusedMap(iova, address + offset, page, \.misaligned)
      try bench.refusedMap(iova, address, page + offset, \.misaligned)
      try bench.refusedMap(iova, address, page - offset, \.misaligned)
    }
    try bench.seeEmpty(iova, 4 * page, address)
    return .pass
  }

  @Sendable static func wrapAround(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(2)
    let iova = try bench.room(page)
    try bench.map(iova, address, page)
    let last = UInt64.max - page + 1
    for length in [2 * page, UInt64.max - page + 1] {
      try bench.refusedMap(last, address, length, \.wraps)
      try bench.refusedUnmap(last, length, \.wraps)
    }
    try bench.unmap(iova, page)
    return .pass
  }

  @Sendable static func sameMemoryTwice(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(8)
    let iova = try bench.room(32 * page)
    try bench.map(iova, address, 8 * page)
    try bench.map(iova + 16 * page, address, 8 * page, write: false)
    try bench.seeTranslated(iova, address, 8 * page)
    try bench.seeTranslated(iova + 16 * page, address, 8 * page)
    try bench.unmap(iova, 8 * page)
    try bench.seeTranslated(iova + 16 * page, address, 8 * page)
    try bench.unmap(iova + 16 * page, 8 * page)
    try bench.seeEmpty(iova, 32 * page, address)
    return .pass
  }
}
