// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What a counter shows in the life of a page table: before it was made, when it was empty, with mappings, after they were
/// removed, and after it was closed.
struct AccountingLife {
  /// How many mappings, each under a last-level table of its own.
  static let count: UInt64 = 1024

  /// In pages of 4 KiB.
  var before = 0
  var empty = 0
  var mapped = 0
  var unmapped = 0
  var closed = 0
  var tolerance = 0
  /// The tables of the last level that the mappings need, and the most that all levels may take with them.
  var least = 0
  var most = 0

  /// Lets a page table live.
  ///
  /// - Throws: `KernelSkip` where the kernel does not have the counter.
  init(_ suite: MapperSuite, _ context: KernelContext, _ counter: AccountingCounter) throws {
    let counters = AccountingCounters(machine: context.machine)
    func read() throws -> Int {
      guard let pages = try counters.pages(counter) else {
        throw KernelSkip(.kernel, "\(counter.text): not there, or without the tables of IOMMUs")
      }
      return pages
    }
    tolerance = try counters.tolerance()
    before = try read()
    try MapperBench.run(suite.open(context)) { bench in
      empty = try read()
      let room = try AccountingRoom(bench)
      try bench.sweep(room.first, room.address, stride: room.stride, count: room.count, .maps)
      mapped = try read()
      try bench.unmap(room.first, room.count * room.stride, removes: room.count * bench.page)
      unmapped = try read()
      least = Int(room.count) * room.pagesPerTable
      // Tables above the last level: as many again for each 512, and one for each level that there can be.
      most = least + Int(room.count / 256 + 8) * room.pagesPerTable
    }
    closed = try read()
  }

  /// The line that all tests of it print.
  var text: String {
    "pages: \(before) before, \(empty - before) more when opened, \(mapped - before) with "
      + "\(least) tables needed, \(unmapped - before) after unmap, \(closed - before) after close; tolerance \(tolerance)"
  }
}

/// Where mappings of one page lie so that each needs a last-level table of its own.
struct AccountingRoom {
  let first: UInt64
  let stride: UInt64
  let count: UInt64
  /// Memory for all of them.
  let address: UInt64
  /// Pages of 4 KiB in a table.
  let pagesPerTable: Int

  init(_ bench: MapperBench) throws {
    // A table has the size of a page in the formats of today, and words of 8 bytes.
    stride = bench.page * (bench.page / 8)
    pagesPerTable = Int(bench.page / 4096)
    var count = AccountingLife.count
    while count > 16, bench.mapper.room(count * stride, alignment: stride) == nil { count /= 2 }
    self.count = count
    first = try bench.room(count * stride, alignment: stride)
    address = try bench.pages(1)
  }
}

extension MapperBench {
  /// What a sweep does.
  enum Sweep {
    /// Maps only.
    case maps
    /// Maps and unmaps, one after the other.
    case mapsAndUnmaps
  }

  /// Maps the page at `address` to `count` places by one call of the machine.
  @discardableResult
  func sweep(
    _ iova: UInt64, _ address: UInt64, stride: UInt64, count: UInt64, _ what: Sweep
  ) throws -> SweepResult {
    let steps = mapper.stressSteps(iova: iova, address: address, length: page, stride: stride)
    let result = try mapper.machine.sweep(what == .maps ? Array(steps.prefix(1)) : steps, count: count)
    guard let failure = result.failure else { return result }
    let place = Numbers.hex(iova &+ result.rounds &* stride)
    let call = failure.step == 0 ? "map" : "unmap"
    let found = failure.error == 0 ? "another number of bytes" : ErrorNumber.name(failure.error)
    throw KernelFailure("\(call) of \(Numbers.size(page)) at IOVA \(place): expected success, found \(found)")
  }
}
