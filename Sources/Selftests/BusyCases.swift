// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Maps over what is mapped already, and what is left of a map that fails.
enum BusyCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("busy_same") { session in
      for size in session.subject.plainSizes {
        let place = session.subject.place(size)
        try session.map(place, to: 0, size)
        try session.map(place, to: 0, size, fails: .eaddrinuse)
        try session.unmap(place, size, removes: size)
      }
    },
    SemanticsCase("busy_small_in_large", if: \.hasLargeLeaves) { session in
      let granule = session.subject.granule
      for large in session.subject.plainSizes.dropFirst() {
        let place = session.subject.place(large)
        try session.map(place, to: 0, large)
        for offset in [0, granule, large - granule] {
          try session.map(place + offset, to: 0, granule, fails: .eaddrinuse)
        }
        try session.unmap(place, large, removes: large)
      }
    },
    SemanticsCase("busy_large_over_small", if: \.hasLargeLeaves) { session in
      let granule = session.subject.granule
      for large in session.subject.plainSizes.dropFirst() {
        let place = session.subject.place(large)
        for offset in [0, granule, large - granule] {
          try session.map(place + offset, to: granule, granule)
          try session.map(place, to: 0, large, fails: .eaddrinuse)
          try session.unmap(place + offset, granule, removes: granule)
        }
      }
    },
    SemanticsCase("busy_midway_rolls_back") { session in
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      try session.map(place + granule * 5, to: granule, granule)
      // Output addresses that no leaf but the smallest fits, here and below.
      try session.map(place, to: granule, granule * 8, fails: .eaddrinuse)
      try session.expect(.phys(iova: place), .physical(nil))
      // Without roll back, what was mapped before stays.
      try session.expect(
        .mapRange(iova: place, pa: granule, length: granule * 8, protection: .usual),
        .failedMapped(.eaddrinuse, granule * 5))
      try session.expect(.phys(iova: place + granule * 4), .physical(granule * 5))
      try session.unmap(place, granule * 6, removes: granule * 6)
    },
    SemanticsCase("busy_in_next_table") { session in
      // The leaf in the way stands in another table than the start.
      guard let shift = session.subject.reference.shift(level: 1) else { return }
      let granule = session.subject.granule
      let border = session.subject.place(Bits.bit(shift)) + Bits.bit(shift)
      try session.map(border + granule, to: 0, granule)
      try session.map(border - granule * 3, to: granule * 2, granule * 6, fails: .eaddrinuse)
      try session.expect(
        .mapRange(iova: border - granule * 3, pa: granule * 2, length: granule * 6, protection: .usual),
        .failedMapped(.eaddrinuse, granule * 4))
    },
    SemanticsCase("no_memory_rolls_back", needs: .faultInjection) { session in
      // Memory for the table of the first half only.
      guard let shift = session.subject.reference.shift(level: 1) else { return }
      let granule = session.subject.granule
      let border = session.subject.place(Bits.bit(shift)) + Bits.bit(shift)
      // The tables above are there already.
      try session.map(border - granule * 4, to: 0, granule)
      // Tables smaller than a page share it: the rest of the page is used up.
      for index in 1..<UInt64(session.subject.tablesPerPage) {
        try session.map(border + (index + 1) << UInt64(shift), to: 0, granule)
      }
      let operation = Operation.map(
        iova: border - granule * 3, pa: granule * 2, length: granule * 6, protection: .usual)
      try session.perform(.allocationBudget(pages: 0))
      guard try session.performShortOfMemory(operation) else {
        throw session.failure("\(operation): ENOMEM expected")
      }
      try session.expect(.phys(iova: border - granule * 3), .physical(nil))
      guard
        try session.performShortOfMemory(
          .mapRange(iova: border - granule * 3, pa: granule * 2, length: granule * 6, protection: .usual))
      else { throw session.failure("\(operation): ENOMEM expected") }
      try session.expect(.phys(iova: border - granule * 3), .physical(granule * 2))
      try session.perform(.allocationBudget(pages: nil))
      try session.map(border, to: granule * 4, granule * 3)
    },
    SemanticsCase("remap_after_unmap") { session in
      for size in session.subject.plainSizes {
        let place = session.subject.place(size)
        try session.map(place, to: 0, size)
        try session.unmap(place, size, removes: size)
        try session.map(place, to: size, size, .read)
        try session.unmap(place, size, removes: size)
      }
    },
    SemanticsCase("neighbours_stay") { session in
      // Each size with a like leaf before and behind it, of which only the middle one goes.
      for size in session.subject.plainSizes {
        let place = session.subject.place(size * 4)
        for index in [1, 2, 3] as [UInt64] { try session.map(place + size * index, to: 0, size) }
        try session.unmap(place + size * 2, size, removes: size)
        try session.checkAll()
        try session.unmap(place + size, size, removes: size)
        try session.unmap(place + size * 3, size, removes: size)
      }
    },
  ]
}
