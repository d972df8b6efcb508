// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The ends of the address space, which are exact.
enum BoundaryCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("first_and_last_page") { session in
      let granule = session.subject.granule
      for span in session.subject.spans {
        for iova in [span.lowerBound, span.upperBound - (granule - 1)] {
          try session.map(iova, to: granule, granule)
          try session.expect(.phys(iova: iova + (granule - 1)), .physical(granule * 2 - 1))
          if session.subject.tracksDirty {
            try session.expect(.setDirty(iova: iova), .ok)
            try session.expect(
              .dirty(iova: iova, length: granule, clear: true),
              .dirty([DirtyRange(iova: iova, length: granule)]))
          }
          try session.unmap(iova, granule, removes: granule)
        }
      }
    },
    SemanticsCase("last_byte", if: \.reachesLastByte) { session in
      // The byte behind it has the address 0.
      let granule = session.subject.granule
      for span in session.subject.spans where span.upperBound == .max {
        try session.checkLookup(.max)
        try session.map(span.upperBound - (granule - 1), to: granule, granule)
        try session.checkLookup(.max)
        try session.unmap(span.upperBound - (granule - 1), granule, removes: granule)
        try session.checkLookup(.max)
      }
    },
    SemanticsCase("last_leaves") { session in
      // A leaf of each size at the very end.
      for span in session.subject.spans {
        for size in session.subject.plainSizes {
          let iova = span.upperBound - (size - 1)
          try session.map(iova, to: 0, size)
          try session.expectLeaf(at: span.upperBound, size: size)
          try session.unmap(iova, size, removes: size)
        }
      }
    },
    SemanticsCase("run_up_to_the_end") { session in
      let granule = session.subject.granule
      for span in session.subject.spans {
        let iova = span.upperBound - (granule * 5 - 1)
        try session.map(iova, to: granule * 2, granule * 5)
        try session.unmap(iova + granule, granule * 4, removes: granule * 4)
        try session.unmap(iova, granule, removes: granule)
      }
    },
    SemanticsCase("past_the_end") { session in
      // One page further is out of range, and so is a range that reaches there.
      let granule = session.subject.granule
      for span in session.subject.spans where span.upperBound != .max {
        let beyond = span.upperBound + 1
        try session.map(beyond, to: 0, granule, fails: .erange)
        try session.unmap(beyond, granule, removes: 0)
        guard !session.subject.shape.isSignExtended else { continue }
        try session.map(beyond - granule, to: 0, granule * 2, fails: .erange)
        try session.map(beyond - granule, to: 0, granule)
        try session.unmap(beyond - granule, granule * 2, removes: 0)
        try session.unmap(beyond - granule, granule, removes: granule)
      }
    },
    SemanticsCase("before_the_start") { session in
      // Where all addresses have their upper bits set, others are out of range.
      let granule = session.subject.granule
      for span in session.subject.spans where span.lowerBound != 0 && session.subject.spans.count == 1 {
        try session.map(span.lowerBound - granule, to: 0, granule, fails: .erange)
        try session.map(span.lowerBound - granule, to: 0, granule * 2, fails: .erange)
        try session.map(0, to: 0, granule, fails: .erange)
        try session.unmap(0, granule, removes: 0)
      }
    },
    SemanticsCase("far_beyond") { session in
      // Each single bit above the address space.
      let span = session.subject.spans[0]
      guard span.lowerBound == 0, span.upperBound != .max else { return }
      let granule = session.subject.granule
      let width = 64 - span.upperBound.leadingZeroBitCount
      try session.map(0, to: 0, granule)
      for bit in width..<64 {
        try session.map(Bits.bit(bit), to: 0, granule, fails: .erange)
        try session.unmap(Bits.bit(bit), granule, removes: 0)
      }
    },
    SemanticsCase("halves_are_apart", if: \.isSignExtended) { session in
      // The same low bits in both halves lead to different places.
      let granule = session.subject.granule
      guard session.subject.spans.count == 2 else { return }
      let lower = session.subject.spans[0].lowerBound
      let upper = session.subject.spans[1].lowerBound
      for offset in [0, granule * 3, (session.subject.spans[0].upperBound - (granule - 1))] {
        try session.map(lower + offset, to: granule, granule)
        try session.expect(.phys(iova: upper + offset), .physical(nil))
        try session.map(upper + offset, to: granule * 2, granule)
        try session.expect(.phys(iova: lower + offset), .physical(granule))
        try session.unmap(lower + offset, granule, removes: granule)
        try session.expect(.phys(iova: upper + offset), .physical(granule * 2))
      }
    },
    SemanticsCase(known: "across_the_middle", if: \.isSignExtended) { session in
      // Linux 7.3 pt_check_range() looks at the sign bit of the first address only, and at the bits above it of
      // the last one: a range that leaves the lower half is accepted there.
      try session.requireGeneric("callers of drivers keep to one half")
      let granule = session.subject.granule
      let last = session.subject.spans[0].upperBound
      let operation = Operation.map(
        iova: last - (granule - 1), pa: 0, length: granule * 2, protection: .usual)
      let result = session.table.perform(operation)
      _ = session.table.perform(.unmap(iova: last - (granule - 1), length: granule * 2))
      switch result {
      case .failed(.erange): return .pass
      case .ok: return .xfail(detail: "\(operation): ok, as Linux 7.3 has it; its last page is not canonical")
      default: throw session.failure("\(operation): expected ERANGE, found \(result.text)")
      }
    },
  ]
}
