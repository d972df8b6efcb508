// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What an unmap removes and returns.
enum UnmapCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("unmap_returns_bytes") { session in
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      try session.map(place + granule, to: 0, granule * 9)
      try session.unmap(place + granule, granule, removes: granule)
      try session.unmap(place + granule * 2, granule * 3, removes: granule * 3)
      try session.unmap(place + granule * 5, granule * 5, removes: granule * 5)
      try session.unmap(place + granule * 5, granule * 5, removes: 0)
    },
    SemanticsCase("unmap_ends_inside_leaf", if: \.hasLargeLeaves) { session in
      // The leaf goes whole, and the bytes returned say so.
      let granule = session.subject.granule
      for size in session.subject.plainSizes.dropFirst() {
        let place = session.subject.place(size * 4)
        try session.map(place + size, to: 0, size)
        try session.unmap(place + size, granule, removes: size)
        try session.map(place + size, to: 0, size * 2)
        try session.unmap(place + size, size + granule, removes: size * 2)
        try session.map(place + size, to: 0, size)
        try session.unmap(place + size, 1, removes: size)
      }
    },
    SemanticsCase("unmap_starts_inside_leaf", if: \.hasLargeLeaves) { session in
      // Nothing goes, not even the leaves behind it.
      let granule = session.subject.granule
      for size in session.subject.plainSizes.dropFirst() {
        let place = session.subject.place(size * 4)
        try session.map(place + size, to: 0, size * 2)
        try session.unmap(place + size + granule, granule, removes: 0)
        try session.unmap(place + size + granule, size * 2 - granule, removes: 0)
        try session.checkAll()
        try session.unmap(place + size, size * 2, removes: size * 2)
      }
    },
    SemanticsCase("unmap_stops_at_hole") { session in
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      for index in [0, 1, 3] as [UInt64] { try session.map(place + granule * index, to: 0, granule) }
      try session.unmap(place, granule * 4, removes: granule * 2)
      try session.unmap(place, granule * 4, removes: 0)
      try session.unmap(place + granule * 3, granule, removes: granule)
    },
    SemanticsCase("unmap_stops_at_missing_table") { session in
      // The hole is a whole table that does not exist.
      guard let shift = session.subject.reference.shift(level: 1) else { return }
      let granule = session.subject.granule
      let table = Bits.bit(shift)
      let place = session.subject.place(table)
      try session.map(place + table - granule, to: 0, granule)
      try session.unmap(place + table - granule, table, removes: granule)
    },
    SemanticsCase("unmap_crosses_tables") { session in
      // Runs of small leaves over the border of two tables of each level.
      for level in 1..<session.subject.reference.levelCount {
        guard let border = border(session, level: level) else { continue }
        let granule = session.subject.granule
        try session.map(border - granule * 3, to: granule * 2, granule * 7)
        try session.unmap(border - granule * 2, granule * 5, removes: granule * 5)
        try session.checkAll()
        try session.unmap(border - granule * 3, granule, removes: granule)
        try session.unmap(border + granule * 3, granule, removes: granule)
      }
    },
    SemanticsCase("unmap_mixed_sizes", if: \.hasLargeLeaves) { session in
      // One unmap over leaves of two sizes, ending inside the last.
      let granule = session.subject.granule
      for size in session.subject.plainSizes.dropFirst() {
        let place = session.subject.place(size * 4)
        try session.map(place + size - granule, to: 0, granule)
        try session.map(place + size, to: 0, size)
        try session.unmap(place + size - granule, granule * 2, removes: granule + size)
      }
    },
    SemanticsCase("unmap_nothing") { session in
      let granule = session.subject.granule
      for span in session.subject.spans {
        for iova in [span.lowerBound, span.upperBound - (granule - 1)] {
          try session.unmap(iova, granule, removes: 0)
        }
      }
    },
    SemanticsCase("unmap_is_synced") { session in
      // Each unmap that removes something is covered by a sync before it returns.
      try session.requireNotes()
      for size in session.subject.plainSizes {
        let place = session.subject.place(size)
        try session.map(place, to: 0, size)
        _ = session.table.takeNotes()
        try session.unmap(place, session.subject.granule, removes: size)
        let notes = session.table.takeNotes()
        let covered = notes.contains { note in
          if case .sync(let first, let last, _) = note {
            first <= place && last >= place + (size - 1)
          } else {
            false
          }
        }
        guard covered else {
          throw session.failure("no sync covers the leaf: \(notes.map(\.text).joined(separator: ", "))")
        }
      }
    },
  ]

  /// An address at which the tables of `level` - 1 meet, with room around it.
  private static func border(_ session: Session, level: Int) -> UInt64? {
    guard let shift = session.subject.reference.shift(level: level), shift < 63 else { return nil }
    let span = session.subject.spans[0]
    let border = span.lowerBound &+ Bits.bit(shift)
    let room = session.subject.granule * 16
    return border > span.lowerBound && border < span.upperBound - min(room, span.upperBound) ? border : nil
  }
}
