// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

extension SemanticsTests {
  /// One unmap over several mappings and the gaps between them removes all of them, and tells how many bytes that were.
  @Sendable static func unmapAcrossHoles(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(600)
    let iova = try bench.room(4096 * page)
    let pieces: [(first: UInt64, count: UInt64)] = [(1, 1), (3, 5), (100, 412), (1024, 7), (4090, 1)]
    for piece in pieces { try bench.map(iova + piece.first * page, address, piece.count * page) }
    try bench.unmap(iova, 4096 * page, removes: pieces.reduce(0) { $0 + $1.count } * page)
    try bench.unmapNothing(iova, 4096 * page)
    for piece in pieces { try bench.seeEmpty(iova + piece.first * page, min(piece.count, 8) * page, address) }
    return .pass
  }

  /// An unmap that would cut a mapping is refused, and the mapping stays whole.
  @Sendable static func unmapCuts(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(16)
    let start = try bench.room(64 * page)
    let iova = start + 16 * page
    try bench.map(iova, address, 16 * page)
    for (first, count) in [(16, 8), (24, 8), (20, 4), (16, 1), (31, 1), (0, 20), (28, 30)]
      as [(UInt64, UInt64)]
    {
      try bench.refusedUnmap(start + first * page, count * page, \.cut)
      try bench.seeTranslated(iova, address, 16 * page)
      try bench.refusedMap(iova, address, page, \.overlap)
      try bench.refusedMap(iova + 15 * page, address, page, \.overlap)
    }
    try bench.unmap(iova, 16 * page)
    try bench.seeEmpty(start, 64 * page, address)
    return .pass
  }

  @Sendable static func unmapNothing(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(1)
    let iova = try bench.room(1024 * page)
    try bench.unmapNothing(iova, page)
    try bench.unmapNothing(iova, 1024 * page)
    try bench.map(iova + 512 * page, address, page)
    try bench.unmapNothing(iova, 512 * page)
    try bench.unmapNothing(iova + 513 * page, 511 * page)
    try bench.unmap(iova + 512 * page, page)
    try bench.unmapNothing(iova + 512 * page, page)
    return .pass
  }

  @Sendable static func unmapAll(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(64)
    let iova = try bench.room(4096 * page)
    for position in [0, 100, 513, 4000] as [UInt64] {
      try bench.map(iova + position * page, address, 64 * page)
    }
    // Far away, in tables of their own.
    let far = bench.mapper.ranges.last.map { ($0.last - 4 * page) & ~(page - 1) }
    if let far { try bench.map(far, address, page) }
    guard let removed = try bench.mapper.unmapAll() else {
      return .skip(.kernel, detail: "\(bench.mapper.kind.rawValue) has no call that unmaps all")
    }
    let expected = (4 * 64 + (far == nil ? 0 : 1)) * page
    guard removed == expected else {
      throw KernelFailure("unmap of all: expected \(expected) bytes removed, found \(removed)")
    }
    guard try bench.mapper.unmapAll() == 0 else {
      throw KernelFailure("unmap of all, where nothing is mapped: expected 0 bytes removed")
    }
    try bench.seeEmpty(iova, 8 * page, address)
    if let far { try bench.seeEmpty(far, page, address) }
    return .pass
  }

  /// The same IOVAs with other memory, other sizes and other permissions, over tables that unmaps left behind.
  @Sendable static func remapAfterUnmap(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(1024)
    let iova = try bench.room(1024 * page)
    for round in 0..<4 as Range<UInt64> {
      let count: UInt64 = [1024, 1, 512, 1023][Int(round)]
      let source = address + round * page
      let length = min(count, 1024 - round) * page
      try bench.map(iova, source, length, read: round != 2, write: round != 1)
      try bench.seeTranslated(iova, source, length)
      try bench.refusedMap(iova, address, page, \.overlap)
      try bench.unmap(iova, length)
      try bench.unmapNothing(iova, length)
    }
    try bench.seeEmpty(iova, 4 * page, address)
    return .pass
  }

  /// Thousands of mappings of a page each, unmapped by one call.
  @Sendable static func many(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let count: UInt64 = 2000
    let address = try bench.pages(1)
    let iova = try bench.room(2 * count * page)
    try bench.sweep(iova, address, stride: 2 * page, count: count, .maps)
    for position in stride(from: 0, to: count, by: 97) {
      try bench.seeTranslated(iova + 2 * position * page, address, page)
      try bench.refusedMap(iova + 2 * position * page, address, page, \.overlap)
    }
    try bench.unmap(iova, 2 * count * page, removes: count * page)
    try bench.seeEmpty(iova, 4 * page, address)
    return .pass
  }

  /// What was mapped when the page table was closed is gone from the next one.
  static func closeUnmaps(_ suite: MapperSuite) -> KernelTest {
    suite.contextTest("semantics.close_unmaps") { context in
      let place = try MapperBench.run(suite.open(context)) { bench in
        let iova = try bench.room(64 * bench.page)
        try bench.map(iova, bench.pages(64), 64 * bench.page)
        return iova
      }
      return try MapperBench.run(suite.open(context)) { bench in
        try bench.unmapNothing(place, 64 * bench.page)
        try bench.seeEmpty(place, 64 * bench.page, bench.pages(1))
        return .pass
      }
    }
  }
}
