// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What the counters show in the life of a page table: before it was made, when it was empty, with mappings, after they were
/// removed, and after it was closed.
struct AccountingLife: Sendable {
  /// How many mappings, each under a last-level table of its own.
  static let count: UInt64 = 1024

  /// A time of that life.
  enum Time: Int, CaseIterable, Sendable {
    case before, empty, mapped, unmapped, closed
  }

  /// In pages of 4 KiB.
  private var readings: [AccountingCounter: [Int]] = [:]
  private(set) var tolerance: Int
  /// The pages of last-level tables that the mappings need, and the most that all levels may take with them.
  private(set) var least = 0
  private(set) var most = 0

  /// Lets a page table live.
  init(_ suite: MapperSuite, _ context: KernelContext) throws {
    let counters = AccountingCounters(machine: context.machine)
    tolerance = try counters.tolerance()
    try read(counters)
    try MapperBench.run(suite.open(context)) { bench in
      try read(counters)
      let room = try AccountingRoom(bench)
      try bench.sweep(room.first, room.address, stride: room.stride, count: room.count, .maps)
      try read(counters)
      try bench.unmap(room.first, room.count * room.stride, removes: room.count * bench.page)
      try read(counters)
      least = Int(room.count) * room.pagesPerTable
      // Tables above the last level: as many again for each 512, and one for each level that there can be.
      most = least + Int(room.count / 256 + 8) * room.pagesPerTable
    }
    try read(counters)
  }

  private mutating func read(_ counters: AccountingCounters) throws {
    for counter in AccountingCounter.allCases {
      if let pages = try counters.pages(counter) { readings[counter, default: []].append(pages) }
    }
  }

  /// What one counter showed.
  ///
  /// - Throws: `KernelSkip` where the kernel does not have it.
  func of(_ counter: AccountingCounter) throws -> AccountingReadings {
    guard let pages = readings[counter], pages.count == Time.allCases.count else {
      throw KernelSkip(.kernel, "\(counter.text): not there, or without the tables of IOMMUs")
    }
    return AccountingReadings(pages: pages, tolerance: tolerance, least: least, most: most)
  }
}

/// What one counter showed in that life.
struct AccountingReadings {
  /// One for each time.
  fileprivate let pages: [Int]
  let tolerance: Int
  let least: Int
  let most: Int

  subscript(time: AccountingLife.Time) -> Int { pages[time.rawValue] }

  /// The line that all tests of it print.
  var text: String {
    let start = self[.before]
    return "pages: \(start) before, \(self[.empty] - start) more when opened, \(self[.mapped] - start) with "
      + "\(least) of tables needed, \(self[.unmapped] - start) after unmap, \(self[.closed] - start) after close; "
      + "tolerance \(tolerance)"
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
