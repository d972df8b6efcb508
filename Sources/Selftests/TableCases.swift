// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// When tables come and go.
enum TableCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("large_replaces_empty_tables", if: \.hasLargeLeaves) { session in
      let granule = session.subject.granule
      for large in tableSizes(session) {
        let place = session.subject.place(large)
        let beside = place + large
        try session.map(beside, to: 0, large)
        let pages = session.table.tablePages
        try session.map(place + granule, to: 0, granule)
        try session.unmap(place + granule, granule, removes: granule)
        let emptied = session.table.tablePages - pages
        _ = session.table.takeNotes()
        try session.map(place, to: 0, large)
        try session.expectLeaf(at: place, size: large)
        try session.expectPages(pages, "after a leaf took the place of \(emptied) pages of empty tables")
        try expectRelease(session, place...place + (large - 1), isNeeded: emptied > 0)
        try session.unmap(place, large, removes: large)
        try session.unmap(beside, large, removes: large)
      }
    },
    SemanticsCase("large_over_emptied_slots", if: \.hasLargeLeaves) { session in
      // Several large leaves in one call, over slots of which some hold emptied tables, ending inside the last.
      let granule = session.subject.granule
      for large in tableSizes(session) where large <= 1 << 30 {
        let place = session.subject.place(large * 4)
        for slot in [0, 2] as [UInt64] {
          try session.map(place + large * slot + granule, to: 0, granule)
          try session.unmap(place + large * slot + granule, granule, removes: granule)
        }
        let length = large * 2 + granule
        try session.map(place, to: large, length)
        try session.checkAll()
        try session.unmap(place, length, removes: length)
      }
    },
    SemanticsCase("whole_table_goes") { session in
      // An unmap that covers a table releases it, at each level that has leaves.
      for (level, item) in itemLeaves(session) {
        let count = UInt64(session.subject.reference.wordCount(level: level, isRoot: false))
        let table = item * count
        guard session.subject.hasRoom(table), table < session.subject.outputMask / 2 else { continue }
        let place = session.subject.place(table)
        // A neighbour keeps the tables above.
        try session.map(place + table, to: 0, item)
        let pages = session.table.tablePages
        // Output addresses that no larger leaf fits.
        try session.map(place, to: item, table)
        try session.expectPages(pages + session.subject.pagesPerTable, "after the map of one table's range")
        try session.unmap(place, table, removes: table)
        try session.expectPages(pages, "after the unmap of one table's range")
        try session.unmap(place + table, item, removes: item)
      }
    },
    SemanticsCase("part_of_table_stays") { session in
      // With empty tables kept, an unmap of less than a table releases none.
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      try session.map(place, to: 0, granule * 3)
      let pages = session.table.tablePages
      try session.unmap(place, granule * 3, removes: granule * 3)
      try session.expectPages(pages, "after the unmap of three small leaves")
      try session.map(place, to: 0, granule * 3)
      try session.expectPages(pages, "after they were mapped again")
    },
    SemanticsCase("eager_keeps_none", needs: .reclaim, reclaim: .eager) { session in
      try comeAndGo(session, kept: 0)
    },
    SemanticsCase("bounded_keeps_few", needs: .reclaim, reclaim: .bounded(2)) { session in
      try comeAndGo(session, kept: 2)
    },
    SemanticsCase("bounded_reuses", needs: [.reclaim, .accounting], reclaim: .bounded(2)) { session in
      try reuse(session, kept: 2)
    },
    SemanticsCase("wide_top", if: \.hasWideTop) { session in
      // Concatenated start tables are one: runs cross their borders, and indices go beyond one table's.
      let reference = session.subject.reference
      guard let shift = reference.shift(level: reference.rootLevel) else { return }
      let item = Bits.bit(shift)
      let table = item * UInt64(reference.wordCount(level: reference.rootLevel, isRoot: false))
      let granule = session.subject.granule
      let last = session.subject.spans[0].upperBound
      var border = session.subject.spans[0].lowerBound + table
      while border < last {
        try session.map(border - granule * 2, to: granule, granule * 4)
        if session.subject.plainSizes.contains(item), border + item * 4 - 1 <= last {
          try session.map(border + item, to: 0, item * 2)
          try session.unmap(border + item, item * 2, removes: item * 2)
        }
        try session.unmap(border - granule * 2, granule * 4, removes: granule * 4)
        let (next, overflow) = border.addingReportingOverflow(table)
        if overflow { break }
        border = next
      }
    },
    SemanticsCase("top_grows", if: \.isDynamic) { session in
      let subject = session.subject
      let granule = subject.granule
      var level = session.table.root.level
      try session.map(0, to: 0, granule)
      while level < subject.shape.maximumLevel, let shift = subject.reference.shift(level: level + 1),
        shift < subject.shape.geometry.iovaBits
      {
        // The last page below the border does not grow the top, the first one above it does, by one level.
        for (iova, expected) in [(Bits.bit(shift) - granule, level), (Bits.bit(shift), level + 1)] {
          _ = session.table.takeNotes()
          try session.map(iova, to: granule, granule)
          try expectTop(session, expected, grew: expected > level)
        }
        level += 1
      }
      try session.checkAll()
    },
    SemanticsCase("top_grows_for_large_leaf", if: \.isDynamic) { session in
      // A leaf that stands above the first top needs a higher one, at IOVA 0 as well.
      let level = session.table.root.level
      guard
        let large = session.subject.plainSizes.first(where: {
          (session.subject.level(ofSize: $0) ?? 0) > level
        })
      else { return }
      try session.map(0, to: 0, large)
      try session.expectLeaf(at: 0, size: large)
      try expectTop(session, level + 1, grew: true)
      try session.unmap(0, large, removes: large)
    },
    SemanticsCase("top_does_not_grow_for_errors", if: \.isDynamic) { session in
      let top = session.table.root
      let far = session.subject.spans[0].upperBound - (session.subject.granule - 1)
      try session.map(far, to: 0, session.subject.granule, [], fails: .einval)
      try session.map(far, to: 1, session.subject.granule, fails: .enxio)
      try session.unmap(far, session.subject.granule, removes: 0)
      guard session.table.root == top else { throw session.failure("the top grew in operations that fail") }
    },
  ]
}

// MARK: - Parts of cases

extension TableCases {
  /// The sizes of leaves that stand in the place of a table, with room for one more beside.
  private static func tableSizes(_ session: Session) -> [UInt64] {
    session.subject.plainSizes.filter {
      (session.subject.level(ofSize: $0) ?? 0) > 0 && session.subject.hasRoom($0)
    }
  }

  /// The levels below the top at which a leaf is one word, with its size.
  private static func itemLeaves(_ session: Session) -> [(level: Int, size: UInt64)] {
    let reference = session.subject.reference
    return (0..<reference.rootLevel).compactMap { level in
      guard let shift = reference.shift(level: level), session.subject.plainSizes.contains(Bits.bit(shift))
      else {
        return nil
      }
      return (level, Bits.bit(shift))
    }
  }

  /// Maps and unmaps in many tables; at most `kept` empty ones may stay.
  private static func comeAndGo(_ session: Session, kept: Int) throws {
    let subject = session.subject
    let fresh = session.table.tablePages
    guard let shift = subject.reference.shift(level: 1) else { return }
    let place = subject.place(Bits.bit(shift))
    var level = session.table.root.level
    for round in 0..<2 {
      for index in 0..<4 as Range<UInt64> {
        try session.map(place + index << UInt64(shift), to: 0, subject.granule)
      }
      for index in 0..<4 as Range<UInt64> {
        try session.unmap(place + index << UInt64(shift), subject.granule, removes: subject.granule)
      }
      // A top that has grown stays so, with the old one below it where that is not empty.
      let tops = session.table.root.level - level
      level = session.table.root.level
      let pages = session.table.tablePages
      let limit = fresh + (kept + max(0, tops) * (round + 1)) * subject.pagesPerTable
      guard pages <= limit else {
        throw session.failure("nothing is mapped, and \(pages) pages of tables are left, \(limit) may be")
      }
    }
  }

  /// Fills and empties more tables than are kept, again and again: each time all but `kept` are allocated anew.
  private static func reuse(_ session: Session, kept: Int) throws {
    guard let shift = session.subject.reference.shift(level: 1),
      let table = session.table as? any MachineTarget
    else { return }
    let granule = session.subject.granule
    let place = session.subject.place(Bits.bit(shift))
    let pages = (0..<4 as Range<UInt64>).map { place + $0 << UInt64(shift) + granule }
    guard pages[3] <= session.subject.spans[0].upperBound - granule else { return }
    // A page of its own keeps the tables above.
    try session.map(place + granule * 8, to: 0, granule)
    for round in 0..<3 {
      let before = table.machine.totalAllocations
      for iova in pages { try session.map(iova, to: 0, granule) }
      let allocated = table.machine.totalAllocations - before
      for iova in pages { try session.unmap(iova, granule, removes: granule) }
      // The first of the tables is the one that stays. In the first round none is kept yet.
      guard round > 0 else { continue }
      guard allocated == pages.count - 1 - kept else {
        throw session.failure(
          "\(pages.count - 1) tables are filled again, \(kept) of them kept before, and \(allocated) were allocated"
        )
      }
    }
  }

  private static func expectRelease(
    _ session: Session, _ range: ClosedRange<UInt64>, isNeeded: Bool
  ) throws {
    guard session.keepsNotes, isNeeded else { return }
    let notes = session.table.takeNotes()
    for note in notes {
      if case .sync(let first, let last, let released) = note, released > 0, range.contains(first),
        range.contains(last)
      {
        return
      }
    }
    throw session.failure(
      "expected a sync of the leaf's range that releases tables, found \(notes.map(\.text).joined(separator: ", "))"
    )
  }

  private static func expectTop(_ session: Session, _ level: Int, grew: Bool) throws {
    guard session.table.root.level == level else {
      throw session.failure("expected a top of level \(level), found level \(session.table.root.level)")
    }
    guard session.keepsNotes else { return }
    let notes = session.table.takeNotes()
    guard notes.contains(.top(level: level)) == grew else {
      throw session.failure("notes of the top: \(notes.map(\.text).joined(separator: ", "))")
    }
  }
}
