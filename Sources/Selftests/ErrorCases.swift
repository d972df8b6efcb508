// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// What is refused, and which error comes first.
enum ErrorCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("zero_length") { session in
      let place = session.subject.place(session.subject.granule * 64)
      try session.map(place, to: 0, 0, fails: .einval)
      try session.expect(
        .mapRange(iova: place, pa: 0, length: 0, protection: .usual), .failedMapped(.einval, 0))
      try session.map(place, to: 0, session.subject.granule)
      try session.unmap(place, 0, removes: 0)
    },
    SemanticsCase("wraps") { session in
      let granule = session.subject.granule
      try session.map(0 &- granule, to: 0, granule * 2, fails: .eoverflow)
      try session.unmap(0 &- granule, granule * 2, removes: 0)
      try session.map(granule, to: 0, 0 &- granule &+ 1, fails: .eoverflow)
    },
    SemanticsCase("no_permission") { session in
      let place = session.subject.place(session.subject.granule * 64)
      let granule = session.subject.granule
      for protection in [[], .cache, [.noexec, .mmio], .priv] as [Protection] {
        try session.map(place, to: 0, granule, protection, fails: .einval)
        try session.expect(
          .mapRange(iova: place, pa: 0, length: granule, protection: protection), .failedMapped(.einval, 0))
      }
    },
    SemanticsCase("unaligned") { session in
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      for (iova, pa, length) in [
        (place + granule / 2, 0, granule), (place, granule / 2, granule), (place, 0, granule / 2),
        (place, 0, granule + granule / 2), (place, 0, 1), (place + 1, 1, granule),
        (place, 0, granule * 2 + 1),
      ] {
        try session.map(iova, to: pa, length, fails: .enxio)
      }
    },
    SemanticsCase("part_of_a_page", isGuarded: false) { session in
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      for length in [granule / 2, granule + granule / 2, granule * 2 + 1] {
        try session.map(place, to: 0, length, fails: .enxio)
      }
    },
    SemanticsCase("output_out_of_range") { session in
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      for bit in session.subject.shape.geometry.outputBits..<64 {
        try session.map(place, to: Bits.bit(bit), granule, fails: .erange)
      }
    },
    SemanticsCase("precedence") { session in
      let subject = session.subject
      let granule = subject.granule
      let place = subject.place(granule * 64)
      let wraps = 0 &- granule
      let wide = subject.shape.geometry.outputBits < 64 ? Bits.bit(subject.shape.geometry.outputBits) : 0
      try session.map(place, to: 0, granule)
      // Permission before all else.
      try session.map(place + 1, to: wide, 0, [], fails: .einval)
      try session.map(wraps, to: 0, granule * 2, [], fails: .einval)
      // Then the output address.
      if wide != 0 {
        try session.map(place, to: wide, 0, fails: .erange)
        try session.map(wraps, to: wide, granule * 2, fails: .erange)
        try session.map(place + 1, to: wide, granule, fails: .erange)
      }
      // The length, and whether it wraps, before alignment.
      try session.map(place + 1, to: 0, 0, fails: .einval)
      try session.map(wraps + 1, to: 1, granule * 2, fails: .eoverflow)
      // Alignment before the range, and both before what is mapped.
      try session.map(place, to: 1, granule, fails: .enxio)
      guard let outside = outside(subject) else { return }
      try session.map(outside + granule / 2, to: 0, granule, fails: .enxio)
      try session.map(outside, to: 0, granule, fails: .erange)
    },
    SemanticsCase("busy_after_range") { session in
      // A range that starts on a leaf and leaves the address space is out of range, not busy.
      let subject = session.subject
      let span = subject.spans[subject.spans.count - 1]
      guard span.upperBound != .max, !subject.shape.isSignExtended else { return }
      let last = span.upperBound - (subject.granule - 1)
      try session.map(last, to: 0, subject.granule)
      try session.map(last, to: 0, subject.granule * 2, fails: .erange)
    },
    SemanticsCase("errors_allocate_nothing") { session in
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      let pages = session.table.tablePages
      try session.map(place, to: 0, 0, fails: .einval)
      try session.map(place + 1, to: 0, granule, fails: .enxio)
      try session.map(place, to: 0, granule, [], fails: .einval)
      try session.expectPages(pages, "after maps that are refused")
    },
  ]

  /// An address of no span, if there is one.
  private static func outside(_ subject: Subject) -> UInt64? {
    let first = subject.spans[0]
    if first.lowerBound > 0 { return 0 }
    return first.upperBound == .max ? nil : first.upperBound + 1
  }
}
