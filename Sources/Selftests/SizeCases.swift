// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Which leaf sizes a map chooses.
enum SizeCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("best_size_length", if: \.hasLargeLeaves) { session in
      try forEachPair(session) { small, large, place in
        try session.map(place, to: large, large)
        try session.expectLeaf(at: place, size: large)
        try session.unmap(place, large, removes: large)
        // One small leaf less, and the large one no longer fits.
        try session.map(place, to: large, large - small)
        try session.expectLeaf(at: place + (large - small - 1), size: small)
        try session.unmap(place, large - small, removes: large - small)
      }
    },
    SemanticsCase("best_size_iova", if: \.hasLargeLeaves) { session in
      try forEachPair(session) { small, large, place in
        try session.map(place + small, to: large, large)
        try session.expectLeaf(at: place + small, size: small)
        try session.unmap(place + small, large, removes: large)
      }
    },
    SemanticsCase("best_size_pa", if: \.hasLargeLeaves) { session in
      try forEachPair(session) { small, large, place in
        try session.map(place, to: small, large)
        try session.expectLeaf(at: place, size: small)
        try session.unmap(place, large, removes: large)
      }
    },
    SemanticsCase("every_size") { session in
      for size in session.subject.plainSizes {
        let place = session.subject.place(size)
        try session.map(place, to: size, size)
        try session.expectLeaf(at: place, size: size)
        try session.expect(.phys(iova: place + (size - 1)), .physical(size + (size - 1)))
        try session.unmap(place, size, removes: size)
      }
    },
    SemanticsCase("grows_and_shrinks", if: \.hasLargeLeaves) { session in
      // Unaligned at both ends, so that sizes go up and down again within one map.
      let subject = session.subject
      let large = subject.plainSizes.last { $0 <= 1 << 30 } ?? subject.granule
      let place = subject.place(large * 4)
      let length = large + subject.granule * 2
      let start = place + large - subject.granule
      try session.map(start, to: start & (large * 4 - 1), length)
      try session.checkAll()
      try session.unmap(start, length, removes: length)
    },
    SemanticsCase("page_size_limits") { session in
      // A call for pages of one size uses no larger leaves.
      let granule = session.subject.granule
      let large = session.subject.plainSizes.first { $0 > granule } ?? granule
      let place = session.subject.place(large * 2)
      let count = min(large / granule * 2, 64)
      try session.expect(
        .mapPages(iova: place, pa: 0, pageSize: granule, count: count, protection: .usual),
        .okMapped(granule * count))
      try session.expectLeaf(at: place, size: granule)
      try session.expect(
        .unmapPages(iova: place, pageSize: granule, count: count), .unmapped(granule * count))
    },
    SemanticsCase("output_bits") { session in
      // Each bit of the output address alone, and all of them.
      let subject = session.subject
      let place = subject.place(subject.granule * 128)
      let mask = subject.outputMask & ~(subject.granule - 1)
      let addresses = (0..<64).map { Bits.bit($0) }.filter { mask & $0 != 0 } + [mask, 0]
      for (index, pa) in addresses.enumerated() {
        let iova = place + UInt64(index) * subject.granule
        try session.map(iova, to: pa, subject.granule)
        try session.expect(.phys(iova: iova + 1), .physical(pa + 1))
      }
    },
    SemanticsCase("output_zero") { session in
      // The output address 0 is not the same as none.
      let iova = session.subject.spans[0].lowerBound
      let granule = session.subject.granule
      try session.map(iova, to: 0, granule)
      try session.expect(.phys(iova: iova), .physical(0))
      try session.map(iova, to: 0, granule, fails: .eaddrinuse)
      try session.unmap(iova, granule, removes: granule)
      try session.expect(.phys(iova: iova), .physical(nil))
    },
    SemanticsCase("protections") { session in
      let granule = session.subject.granule
      for size in [granule, session.subject.plainSizes.first { $0 > granule } ?? granule] {
        let place = session.subject.place(size * 64)
        for bits in UInt32(0)..<64 {
          let iova = place + UInt64(bits) * size
          // The model knows which of them the format refuses.
          try session.perform(
            .map(iova: iova, pa: 0, length: size, protection: Protection(rawValue: bits)))
        }
        try session.checkAll()
        for bits in UInt64(0)..<64 { try session.perform(.unmap(iova: place + bits * size, length: size)) }
      }
    },
  ]

  /// Calls `body` with each leaf size, the next larger one, and a place for two of the latter; sizes of which a
  /// large leaf has very many are left out.
  private static func forEachPair(_ session: Session, _ body: (UInt64, UInt64, UInt64) throws -> Void) throws
  {
    let sizes = session.subject.plainSizes
    for (small, large) in zip(sizes, sizes.dropFirst()) {
      try body(small, large, session.subject.place(large))
    }
  }
}
