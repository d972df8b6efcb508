// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import GenericPT

/// A small generator whose sequence depends on its seed alone (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

/// The bit tricks of page-size choice beside loops that say the same slowly.
@Suite struct PageSizeTests {
  private static let bitmaps: [UInt64] = [
    0x4020_1000, 0x4021_1000, 0xfff7_ffff_f000, 0x1000, 0x2004000, 0x8000_0000_0000_0800,
  ]

  private func slowBest(_ sizes: UInt64, _ iova: UInt64, _ last: UInt64, _ address: UInt64) -> Int? {
    (0..<64).last { bit in
      let size = UInt64(1) << UInt64(bit)
      guard sizes & size != 0, (iova | address) & (size - 1) == 0 else { return false }
      return last - iova >= size - 1
    }
  }

  private func range(_ generator: inout SeededGenerator) -> (iova: UInt64, last: UInt64, address: UInt64) {
    let shift = UInt64.random(in: 0...63, using: &generator)
    let iova = generator.next() << shift
    let length = (generator.next() >> UInt64.random(in: 0...63, using: &generator)) | 1
    let room = ~iova
    return (iova, iova + min(max(length, 1), max(room, 1)) - (room == 0 ? 1 : 0), generator.next() << shift)
  }

  @Test(arguments: bitmaps)
  func bestSizeIsTheLargestThatFits(_ sizes: UInt64) {
    var generator = SeededGenerator(state: 0x5eed)
    for _ in 0..<20_000 {
      let (iova, last, address) = range(&generator)
      guard last > iova else { continue }
      let fast = PageSize.best(sizes: sizes, iova: iova, last: last, address: address)
      #expect(fast == slowBest(sizes, iova, last, address), "iova \(iova) last \(last) address \(address)")
    }
  }

  @Test(arguments: bitmaps)
  func countStopsWhereALargerSizeStartsToFit(_ sizes: UInt64) {
    var generator = SeededGenerator(state: 0xc0)
    for _ in 0..<2_000 {
      let granule = sizes & ~(sizes - 1)
      let iova = (generator.next() >> 20) & ~(granule - 1)
      let address = (generator.next() & 1 == 0 ? iova : generator.next() >> 20) & ~(granule - 1)
      let leaves = UInt64.random(in: 1...3000, using: &generator)
      let last = iova + leaves * granule - 1
      guard let size = PageSize.best(sizes: sizes, iova: iova, last: last, address: address) else { continue }
      let count = PageSize.count(sizes: sizes, iova: iova, last: last, address: address, sizeLog2: size)
      let bytes = UInt64(1) << UInt64(size)
      #expect(count > 0 && count * bytes - 1 <= last - iova)
      // At every further leaf of the run, a larger size may fit by length but starts nowhere before the run's end.
      for step in 1..<max(count, 1) {
        let here = iova + step * bytes
        let larger = sizes & ~(bytes << 1 &- 1)
        let next = larger & ~(larger &- 1)
        if larger != 0 { #expect((here | (address + step * bytes)) & (next - 1) != 0) }
      }
    }
  }

  @Test func wholeAddressSpaceHasALength() {
    #expect(PageSize.best(sizes: 1 << 63, iova: 0, last: ~0, address: 0) == 63)
    #expect(PageSize.count(sizes: 1 << 63, iova: 0, last: ~0, address: 0, sizeLog2: 63) == 2)
  }
}
