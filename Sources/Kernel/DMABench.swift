// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// A page table and the device behind it.
struct DMABench {
  /// Bytes of each copy.
  static let count = 1024

  let bench: MapperBench
  let device: EduDevice
  private var machine: any Machine { bench.mapper.machine }

  init(_ bench: MapperBench, _ device: EduDevice) {
    self.bench = bench
    self.device = device
  }

  /// Bytes that differ from those of other seeds.
  static func pattern(_ seed: UInt64, count: Int = Self.count) -> [UInt8] {
    var state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  func store(_ seed: UInt64, at address: UInt64) throws {
    try machine.store(Self.pattern(seed), at: address)
  }

  /// Sees that memory holds a pattern.
  func expect(_ seed: UInt64, at address: UInt64, _ what: @autoclosure () -> String) throws {
    let found = try machine.load(address, byteCount: Self.count)
    let wanted = Self.pattern(seed)
    guard found != wanted else { return }
    let position = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
    throw KernelFailure("\(what()): the data differs from byte \(position) on")
  }

  /// Moves a pattern through `iova` both ways: the device reads it there, and writes it back there after the memory was
  /// overwritten. `address` is the memory that must have taken part, and what lies around it must not.
  func roundTrip(_ iova: UInt64, _ address: UInt64, seed: UInt64) throws {
    try store(seed, at: address)
    try device.read(iova, count: Self.count)
    try store(~seed, at: address)
    try expect(~seed, at: address, "memory that the device reads by IOVA \(Numbers.hex(iova))")
    try device.write(iova, count: Self.count)
    try expect(seed, at: address, "memory that the device writes by IOVA \(Numbers.hex(iova))")
  }

  /// Sees that the device reaches IOVAs up to `last`; QEMU's default is 28 bits, and higher ones wrap around.
  func needReach(_ last: UInt64) throws {
    let wrap: UInt64 = 1 << 28
    guard last >= wrap, let low = bench.mapper.room(bench.page, alignment: bench.page, from: 1 << 16),
      low &+ bench.page <= wrap,
      let high = bench.mapper.room(bench.page, alignment: 1 << 28, from: wrap), high & (wrap - 1) <= low
    else { return }
    let place = high &+ low
    let memory = try bench.pages(2)
    try bench.map(low, memory, bench.page)
    try bench.map(place, memory + bench.page, bench.page)
    try store(1, at: memory)
    try store(2, at: memory + bench.page)
    try device.read(place, count: Self.count)
    try store(3, at: memory)
    try device.write(low, count: Self.count)
    let found = try machine.load(memory, byteCount: Self.count)
    try bench.unmap(low, bench.page)
    try bench.unmap(place, bench.page)
    guard found == Self.pattern(1) || found == Self.pattern(2) else {
      throw KernelFailure(
        "nothing that the device writes arrives: neither high nor low IOVAs lead to the memory")
    }
    let reached = found == Self.pattern(2)
    guard reached else {
      throw KernelSkip(
        .hardware,
        "the device reaches 28 bits of IOVA only: QEMU needs -device edu,dma_mask=0xffffffffffffffff")
    }
  }
}
