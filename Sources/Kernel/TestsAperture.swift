// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// The ends of what may be mapped.
enum ApertureTests {
  static func all(_ suite: MapperSuite) -> [KernelTest] {
    let cases: [(String, @Sendable (MapperBench) throws -> KernelOutcome)] = [
      ("ranges", ranges), ("first_page", firstPage), ("last_page", lastPage), ("beyond", beyond),
    ]
    // Memory in one piece, so that the interface makes one mapping of it and nothing is refused for its first byte.
    let across = suite.contextTest("aperture.across_the_end") { context in
      try? context.satisfy(.hugepages(size: 2 << 20, count: 1))
      return try MapperBench.run(suite.open(context)) { try acrossTheEnd($0) }
    }
    return cases.map { suite.test("aperture.\($0.0)", $0.1) } + [across]
  }

  /// What the interface says: ranges that are not empty, ascend and do not touch, and pages that there are.
  @Sendable static func ranges(_ bench: MapperBench) throws -> KernelOutcome {
    let ranges = bench.mapper.ranges
    guard !ranges.isEmpty else {
      throw KernelFailure("expected ranges of IOVAs that may be mapped, found none")
    }
    for (position, range) in ranges.enumerated() {
      guard range.first <= range.last else {
        throw KernelFailure("a range ends before it starts: \(bench.ranges)")
      }
      guard position == 0 || ranges[position - 1].last < range.first else {
        throw KernelFailure("ranges do not ascend: \(bench.ranges)")
      }
    }
    var details = ["ranges \(bench.ranges)"]
    if let sizes = bench.mapper.pageSizes {
      guard sizes != 0 else { throw KernelFailure("expected sizes of pages, found none") }
      details.append("page sizes \(Numbers.hex(sizes))")
    }
    return .pass(details: details)
  }

  @Sendable static func firstPage(_ bench: MapperBench) throws -> KernelOutcome {
    let address = try bench.pages(1)
    for range in bench.mapper.ranges { try bench.seeEmpty(aligned(range.first, bench), bench.page, address) }
    return .pass
  }

  @Sendable static func lastPage(_ bench: MapperBench) throws -> KernelOutcome {
    let address = try bench.pages(2)
    for range in bench.mapper.ranges {
      let last = self.last(of: range, bench)
      try bench.seeEmpty(last, bench.page, address)
      guard range.contains(last - bench.page, length: 2 * bench.page) else { continue }
      try bench.map(last - bench.page, address, 2 * bench.page)
      try bench.refusedMap(last, address, bench.page, \.overlap)
      try bench.unmap(last - bench.page, 2 * bench.page)
    }
    return .pass
  }

  /// A range that starts within and ends beyond, by a page and by much; nothing of it may stay.
  private static func acrossTheEnd(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.memory.large(2 << 20) ?? bench.pages(16)
    let ranges = bench.mapper.ranges.filter { $0.last != UInt64.max }
    guard !ranges.isEmpty else { return .skip(.hardware, detail: "all IOVAs may be mapped: \(bench.ranges)") }
    for range in ranges {
      let last = self.last(of: range, bench)
      for count in [2, 16] as [UInt64] { try bench.refusedMap(last, address, count * page, \.beyond) }
      try bench.seeEmpty(last, page, address)
    }
    return .pass
  }

  /// The pages right before and right after each range, and the one with the highest address of all.
  @Sendable static func beyond(_ bench: MapperBench) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(1)
    var places: [UInt64] = []
    for range in bench.mapper.ranges {
      if range.last != UInt64.max { places.append((range.last &+ 1 &+ (page &- 1)) & ~(page &- 1)) }
      if range.first >= page { places.append((range.first & ~(page &- 1)) &- page) }
    }
    // The highest page but one: iommufd reads the highest numbers as overflow. iommu_map() itself takes it where tables extend the
    // sign, for a domain's geometry has no words for two halves.
    if bench.mapper.ranges.last?.last != UInt64.max, bench.mapper.kind != .module {
      places.append(UInt64.max &- 2 &* page &+ 1)
    }
    guard !places.isEmpty else { return .skip(.hardware, detail: "all IOVAs may be mapped: \(bench.ranges)") }
    for place in places where !bench.mapper.ranges.contains(where: { $0.contains(place, length: page) }) {
      try bench.refusedMap(place, address, page, \.beyond)
      try bench.unmapNothing(place, page)
    }
    return .pass
  }

  private static func aligned(_ iova: UInt64, _ bench: MapperBench) -> UInt64 {
    (iova &+ (bench.page &- 1)) & ~(bench.page &- 1)
  }

  /// The last page that lies in a range as a whole.
  private static func last(of range: IOVARange, _ bench: MapperBench) -> UInt64 {
    (range.last &- (bench.page &- 1)) & ~(bench.page &- 1)
  }
}
