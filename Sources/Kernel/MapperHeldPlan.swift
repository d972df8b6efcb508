// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// What is mapped while the tables are looked at: pages at their own, runs of them, large leaves, pieces of large pages, all
/// permissions, the ends of the ranges, and gaps that an unmap has left.
struct HeldPlan {
  /// One call that maps.
  struct Item: Hashable, Sendable {
    var iova: UInt64
    var address: UInt64
    var length: UInt64
    var read = true
    var write = true
  }

  /// In the order in which they are mapped.
  private(set) var items: [Item] = []
  /// Those that are unmapped again before anybody looks.
  private(set) var removed: Set<UInt64> = []

  private let memory: MapperMemory
  private let ranges: [IOVARange]
  /// The ranges without their first and last pages, of which all but the ends is made.
  private let inside: [IOVARange]
  private var cursor: UInt64 = 0
  private let page = PhysicalAddresses.pageSize

  /// Makes the plan, and has memory for it.
  ///
  /// - Parameter scattered: how many pages lie alone, each under a last-level table of its own.
  init(_ mapper: any Mapper, _ memory: MapperMemory, scattered: Int) throws(MachineError) {
    self.memory = memory
    ranges = mapper.ranges.filter { $0.last &- $0.first > 2 << 20 }
    inside = ranges.map { IOVARange(first: $0.first &+ (64 << 10), last: $0.last &- (64 << 10)) }
    try addRuns()
    try addLargePages()
    try addScattered(scattered)
    try addEnds()
  }

  /// A free range of IOVAs; nil when there is no room.
  private mutating func take(_ length: UInt64, alignment: UInt64) -> UInt64? {
    guard let iova = inside.room(length, alignment: alignment, from: cursor) else { return nil }
    cursor = iova &+ length &+ page
    return iova
  }

  private mutating func add(_ length: UInt64, of address: UInt64, alignment: UInt64, _ access: Int = 0) {
    guard let iova = take(length, alignment: alignment) else { return }
    append(iova, address, length, access)
  }

  /// Access 0 is reading and writing, 1 reading only, 2 writing only.
  private mutating func append(_ iova: UInt64, _ address: UInt64, _ length: UInt64, _ access: Int = 0) {
    items.append(Item(iova: iova, address: address, length: length, read: access != 2, write: access != 1))
  }

  /// Runs of base pages, one of them longer than a table, and gaps in the middle of others.
  private mutating func addRuns() throws(MachineError) {
    let buffer = try memory.pages(1024 + 3 * 64)
    add(1024 * page, of: buffer, alignment: 2 << 20)
    add(33 * page, of: buffer, alignment: page, 1)
    add(65 * page, of: buffer + 100 * page, alignment: page, 2)
    let gaps = buffer + 1024 * page
    if let iova = take(3 * 64 * page, alignment: page) {
      for position in 0..<UInt64(3) {
        append(iova + position * 64 * page, gaps + position * 64 * page, 64 * page)
      }
      removed.insert(iova + 64 * page)
    }
    // A whole table of pages, unmapped again: the table stays, or does not.
    if let iova = take(2 << 20, alignment: 2 << 20) {
      append(iova, buffer, 512 * page)
      removed.insert(iova)
    }
  }

  /// Pages of hugetlbfs as a whole, and aligned pieces of one: 4 KiB to 1 MiB, where a format has leaves between its levels.
  private mutating func addLargePages() throws(MachineError) {
    if let large = try memory.large(2 << 20) {
      add(2 << 20, of: large, alignment: 2 << 20)
      add(2 << 20, of: large, alignment: 2 << 20, 1)
      add((2 << 20) - page, of: large + page, alignment: page)
      for shift in UInt64(13)...20 {
        let size = UInt64(1) << shift
        add(size, of: large + size % (2 << 20), alignment: size, Int(shift % 3))
        // The same memory, where the IOVA is aligned to no more than a page.
        if let iova = take(size + page, alignment: size) { append(iova + page, large, size) }
      }
    }
    if let huge = try memory.large(1 << 30) {
      add(1 << 30, of: huge, alignment: 1 << 30)
      add(512 << 20, of: huge + (512 << 20), alignment: 512 << 20, 1)
      add(34 << 20, of: huge + (2 << 20), alignment: 2 << 20)
    }
  }

  /// Pages alone, backwards in memory, so that neighbours in one are none in the other.
  private mutating func addScattered(_ wanted: Int) throws(MachineError) {
    let stride: UInt64 = 2 << 20
    let widest = inside.map { ($0.last &- $0.first) / (2 * stride) }.max() ?? 0
    let count = min(UInt64(max(0, wanted)), widest)
    guard count > 0, let start = take(count * stride, alignment: stride) else { return }
    let buffer = try memory.pages(count)
    for position in 0..<count {
      let iova = start + position * stride + (position * 37 % 512) * page
      append(iova, buffer + (count - 1 - position) * page, page, Int(position % 3))
    }
  }

  /// The first and the last page of each range. The last of all 64 bits is left out: see docs/kernel-tests.md.
  private mutating func addEnds() throws(MachineError) {
    let buffer = try memory.pages(2)
    for (position, range) in ranges.enumerated() {
      append(range.first, buffer, page, position % 3)
      let end = range.last == UInt64.max ? range.last &- page : range.last
      append((end &+ 1 &- page) & ~(page &- 1), buffer + page, page, position % 3)
    }
  }
}
