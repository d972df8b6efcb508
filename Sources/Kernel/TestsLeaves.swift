// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// Large pages of memory, for which page tables have large leaves.
enum LeafTests {
  static func all(_ suite: MapperSuite) -> [KernelTest] {
    let sizes: [(String, UInt64)] = [("2m", 2 << 20), ("1g", 1 << 30)]
    return [suite.test("leaves.4k", smallest)]
      + sizes.flatMap { name, size in
        [
          suite.test("leaves.\(name)", needs: [.hugepages(size: size, count: 1)]) { try whole($0, size) },
          suite.test("leaves.\(name)_pieces", needs: [.hugepages(size: size, count: 1)]) {
            try pieces($0, size)
          },
          suite.test("leaves.\(name)_over_table", needs: [.hugepages(size: size, count: 1)]) {
            try overTable($0, size)
          },
        ]
      }
  }

  @Sendable static func smallest(_ bench: MapperBench) throws -> KernelOutcome {
    let address = try bench.pages(3)
    let iova = try bench.room(3 * bench.page)
    for position in [0, 2, 1] as [UInt64] {
      try bench.map(iova + position * bench.page, address + position * bench.page, bench.page)
    }
    try bench.seeTranslated(iova, address, 3 * bench.page)
    for position in [1, 0, 2] as [UInt64] { try bench.unmap(iova + position * bench.page, bench.page) }
    return .pass
  }

  /// A large page as a whole, aligned and not aligned alike, and with read-only access.
  private static func whole(_ bench: MapperBench, _ size: UInt64) throws -> KernelOutcome {
    let address = try large(bench, size)
    let iova = try bench.room(2 * size, alignment: size)
    // To pin a page of 1 GiB takes a second in an emulated machine: leaves of 2 MiB stand for all others that could map it.
    for shift in size > 2 << 20 ? [0, 2 << 20] : [0, bench.page, size / 2] {
      try bench.map(iova + shift, address, size)
      try bench.seeTranslated(iova + shift, address, bench.page)
      try bench.seeTranslated(iova + shift + size - bench.page, address + size - bench.page, bench.page)
      try bench.unmap(iova + shift, size)
    }
    try bench.map(iova, address, size, write: false)
    try bench.refusedMap(iova + size - bench.page, address, bench.page, \.overlap)
    try bench.refusedUnmap(iova, size / 2, \.cut)
    try bench.unmap(iova, size)
    try bench.seeEmpty(iova, 2 * bench.page, address)
    return .pass
  }

  /// Aligned pieces of a large page, of each power of two: the sizes between levels, too.
  private static func pieces(_ bench: MapperBench, _ size: UInt64) throws -> KernelOutcome {
    let address = try large(bench, size)
    let iova = try bench.room(size, alignment: size)
    var piece = bench.page
    while piece < size {
      try bench.map(iova + piece, address + piece, piece)
      try bench.seeTranslated(iova + piece, address + piece, bench.page)
      try bench.seeTranslated(iova + 2 * piece - bench.page, address + 2 * piece - bench.page, bench.page)
      piece *= 2
    }
    try bench.unmap(iova, size, removes: size - bench.page)
    try bench.seeEmpty(iova, 4 * bench.page, address)
    return .pass
  }

  /// A large leaf where a table of small ones was, and small ones where the large leaf was.
  private static func overTable(_ bench: MapperBench, _ size: UInt64) throws -> KernelOutcome {
    let page = bench.page
    let address = try large(bench, size)
    let small = try bench.pages(2)
    let iova = try bench.room(size, alignment: size)
    for _ in 0..<(size > 2 << 20 ? 1 : 2) {
      try bench.map(iova + page, small, page)
      try bench.map(iova + size - page, small + page, page)
      try bench.refusedMap(iova, address, size, \.overlap)
      try bench.unmap(iova, size, removes: 2 * page)
      try bench.map(iova, address, size)
      try bench.seeTranslated(iova + size - page, address + size - page, page)
      try bench.unmap(iova, size)
    }
    try bench.seeEmpty(iova, 2 * page, small)
    return .pass
  }

  private static func large(_ bench: MapperBench, _ size: UInt64) throws -> UInt64 {
    guard let address = try bench.memory.large(size) else {
      throw KernelSkip(.hugepages, "no page of \(Numbers.size(size)) could be had")
    }
    return address
  }
}
