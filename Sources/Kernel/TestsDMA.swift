// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What a device reaches through the page table. Only data counts, not what the kernel logs of faults: several drivers log none.
enum DMATests {
  static func all(_ suite: MapperSuite) -> [KernelTest] {
    let cases: [(String, [KernelNeed], @Sendable (DMABench) throws -> KernelOutcome)] = [
      ("4k", [], { try leaf($0, 4096) }),
      ("2m", [.hugepages(size: 2 << 20, count: 1)], { try leaf($0, 2 << 20) }),
      ("1g", [.hugepages(size: 1 << 30, count: 1)], { try leaf($0, 1 << 30) }),
      ("64k_piece", [.hugepages(size: 2 << 20, count: 1)], piece),
      ("high_iova", [], highIOVA), ("across_pages", [], acrossPages), ("read_only", [], readOnly),
      ("unmapped", [], unmapped), ("moved", [], moved),
    ]
    return cases.map { name, needs, body in
      suite.contextTest("dma.\(name)", needs: needs) { context in
        try MapperBench.run(suite.open(context)) { bench in
          let device = try EduDevice(suite.openDevice(context, bench.mapper))
          defer { device.close() }
          return try body(DMABench(bench, device))
        }
      }
    }
  }

  /// Data through one leaf: at its start and at its end, which must not meet; the rest of the memory stays as it was.
  static func leaf(_ dma: DMABench, _ size: UInt64) throws -> KernelOutcome {
    let bench = dma.bench
    let count = UInt64(DMABench.count)
    guard let address = size == 4096 ? try bench.pages(1) : try bench.memory.large(size) else {
      return .skip(.hugepages, detail: "no page of \(Numbers.size(size)) could be had")
    }
    let iova = try room(dma, max(size, bench.page), alignment: max(size, bench.page))
    let offsets = [0, size - count]
    for (position, offset) in offsets.enumerated() {
      try dma.store(100 + UInt64(position), at: address + offset)
    }
    try bench.map(iova, address, max(size, bench.page))
    for (position, offset) in offsets.enumerated() {
      try dma.roundTrip(iova + offset, address + offset, seed: UInt64(position))
      for (other, place) in offsets.enumerated() {
        let seed = other <= position ? UInt64(other) : 100 + UInt64(other)
        try dma.expect(seed, at: address + place, "memory at offset \(Numbers.hex(place)) of the leaf")
      }
    }
    try bench.unmap(iova, max(size, bench.page))
    return .pass
  }

  /// 64 KiB of a large page: one leaf, contiguous entries, or 16 of 4 KiB.
  @Sendable static func piece(_ dma: DMABench) throws -> KernelOutcome {
    let size: UInt64 = 64 << 10
    guard let large = try dma.bench.memory.large(2 << 20) else {
      return .skip(.hugepages, detail: "no page of 2M could be had")
    }
    let address = large + 3 * size
    let iova = try room(dma, size, alignment: size)
    try dma.bench.map(iova, address, size)
    // Each copy takes the device 100 ms: the first and the last page, and two that a wrong number of like entries would confuse.
    let places: [UInt64] = [0, 1, 8, 15]
    for position in places {
      try dma.roundTrip(iova + position * 4096, address + position * 4096, seed: position)
    }
    for position in places {
      try dma.expect(position, at: address + position * 4096, "page \(position) of 64K")
    }
    try dma.bench.unmap(iova, size)
    return .pass
  }

  @Sendable static func highIOVA(_ dma: DMABench) throws -> KernelOutcome {
    let bench = dma.bench
    let address = try bench.pages(1)
    guard let last = bench.mapper.ranges.last?.last, last >= 1 << 32 else {
      return .skip(.hardware, detail: "no IOVAs above 32 bits may be mapped: \(bench.ranges)")
    }
    try dma.needReach(last)
    // Below the middle, above it, and the last page but one.
    for place in [1 << 32, last / 2 + 1, last &- 3 &* bench.page] {
      guard let iova = bench.mapper.room(bench.page, alignment: bench.page, from: place) else { continue }
      try bench.map(iova, address, bench.page)
      try dma.roundTrip(iova, address, seed: place)
      try bench.unmap(iova, bench.page)
    }
    return .pass
  }

  /// One copy over the border of two pages that are not neighbours in memory.
  @Sendable static func acrossPages(_ dma: DMABench) throws -> KernelOutcome {
    let bench = dma.bench
    let page = bench.page
    let half = DMABench.count / 2
    let memory = try bench.pages(3)
    let iova = try room(dma, 2 * page, alignment: page)
    try bench.map(iova, memory + 2 * page, page)
    try bench.map(iova + page, memory, page)
    let data = DMABench.pattern(7)
    let machine = bench.mapper.machine
    let places = [memory + 3 * page - UInt64(half), memory]
    try machine.store(Array(data[..<half]), at: places[0])
    try machine.store(Array(data[half...]), at: places[1])
    try dma.device.read(iova + page - UInt64(half), count: data.count)
    for place in places { try machine.store([UInt8](repeating: 0x5a, count: half), at: place) }
    try dma.device.write(iova + page - UInt64(half), count: data.count)
    for (position, place) in places.enumerated() {
      let wanted = Array(position == 0 ? data[..<half] : data[half...])
      guard try machine.load(place, byteCount: half) == wanted else {
        throw KernelFailure("part \(position + 1) of a copy over the border of two pages did not arrive")
      }
    }
    try bench.unmap(iova, 2 * page)
    return .pass
  }

  /// Room that the device reaches.
  static func room(_ dma: DMABench, _ size: UInt64, alignment: UInt64) throws -> UInt64 {
    let first = dma.bench.mapper.ranges.first?.first ?? 0
    let start = alignment > 2 << 20 ? first : first &+ (2 << 20)
    guard let iova = dma.bench.mapper.room(size, alignment: alignment, from: start) else {
      throw KernelSkip(.hardware, "there is no room for \(Numbers.size(size)) of IOVAs: \(dma.bench.ranges)")
    }
    // A leaf that starts within the reach of any device may end beyond it.
    try dma.needReach(iova &+ size &- 1)
    return iova
  }
}
