// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

extension DMATests {
  /// The device reads by a read-only mapping, and what it writes there does not arrive.
  @Sendable static func readOnly(_ dma: DMABench) throws -> KernelOutcome {
    let bench = dma.bench
    let address = try bench.pages(2)
    let other = address + bench.page
    let iova = try room(dma, 2 * bench.page, alignment: bench.page)
    try bench.map(iova, address, bench.page, write: false)
    try bench.map(iova + bench.page, other, bench.page)
    try dma.store(1, at: address)
    try dma.device.read(iova, count: DMABench.count)
    try dma.device.write(iova + bench.page, count: DMABench.count)
    try dma.expect(1, at: other, "what the device read by a read-only mapping")
    try dma.store(2, at: address)
    try dma.device.write(iova, count: DMABench.count)
    try dma.expect(2, at: address, "read-only memory after the device wrote there")
    try bench.unmap(iova, 2 * bench.page)
    return .pass
  }

  /// After an unmap the device neither reads the memory nor writes it, and what was cached of the mapping is gone.
  @Sendable static func unmapped(_ dma: DMABench) throws -> KernelOutcome {
    let bench = dma.bench
    let address = try bench.pages(2)
    let other = address + bench.page
    let iova = try room(dma, 2 * bench.page, alignment: bench.page)
    let elsewhere = iova + bench.page
    try bench.map(iova, address, bench.page)
    try bench.map(elsewhere, other, bench.page)
    // The IOMMU has now seen the mapping.
    try dma.roundTrip(iova, address, seed: 1)
    try bench.unmap(iova, bench.page)
    try dma.store(2, at: address)
    try dma.device.write(iova, count: DMABench.count)
    try dma.expect(2, at: address, "memory that was unmapped, after the device wrote there")
    try dma.store(3, at: address)
    try dma.device.read(iova, count: DMABench.count)
    try dma.device.write(elsewhere, count: DMABench.count)
    guard try bench.mapper.machine.load(other, byteCount: DMABench.count) != DMABench.pattern(3) else {
      throw KernelFailure("the device read memory that was unmapped")
    }
    try bench.unmap(elsewhere, bench.page)
    return .pass
  }

  /// An IOVA that leads to other memory than before: the device reaches the new one only.
  @Sendable static func moved(_ dma: DMABench) throws -> KernelOutcome {
    let bench = dma.bench
    let address = try bench.pages(2)
    let other = address + bench.page
    let iova = try room(dma, bench.page, alignment: bench.page)
    try bench.map(iova, address, bench.page)
    try dma.roundTrip(iova, address, seed: 1)
    try bench.unmap(iova, bench.page)
    try bench.map(iova, other, bench.page)
    try dma.store(2, at: address)
    try dma.roundTrip(iova, other, seed: 3)
    try dma.expect(2, at: address, "the memory that an IOVA led to before")
    try bench.unmap(iova, bench.page)
    return .pass
  }
}
