// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Simulator

/// What the IOTLB is told of a change beyond that its range is covered.
enum SyncCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("sync_tells_leaf_levels", if: \.gathersLevels, needs: [.eventLog, .levels]) { session in
      for size in session.subject.plainSizes {
        guard let level = session.subject.level(ofSize: size), fits(session, size * 4) else { continue }
        let place = session.subject.place(size * 2)
        for count in [1, 2] as [UInt64] {
          // An output address that no larger leaf fits.
          try session.map(place, to: size, size * count)
          try expectLevels(session, place, size * count, leaves: [level], tables: [])
        }
      }
    },
    SemanticsCase("sync_tells_table_levels", if: \.gathersLevels, needs: [.eventLog, .levels]) { session in
      // A table that is covered goes, and its leaves with it.
      for (level, size) in itemLeaves(session) {
        let table = size * UInt64(session.subject.reference.wordCount(level: level, isRoot: false))
        guard fits(session, table * 2) else { continue }
        let place = session.subject.place(table)
        try session.map(place, to: size, table)
        try expectLevels(session, place, table, leaves: [level], tables: [level + 1])
      }
    },
    SemanticsCase("sync_tells_levels_together", if: \.gathersLevels, needs: [.eventLog, .levels]) { session in
      // One unmap over a small leaf and a large one behind it.
      guard let (level, size) = itemLeaves(session).first(where: { $0.level > 0 }) else { return }
      let granule = session.subject.granule
      let place = session.subject.place(size * 2)
      try session.map(place + size - granule, to: 0, granule)
      try session.map(place + size, to: 0, size)
      try expectLevels(session, place + size - granule, granule + size, leaves: [0, level], tables: [])
    },
    SemanticsCase("sync_passes_no_gap", if: \.syncsNoGaps) { session in
      // One map puts leaves in the place of emptied tables, with a slot between them that had none.
      try session.requireNotes()
      let granule = session.subject.granule
      for (_, large) in itemLeaves(session).filter({ $0.level > 0 }) {
        guard fits(session, large * 4) else { continue }
        let place = session.subject.place(large * 4)
        for slot in [0, 2] as [UInt64] {
          try session.map(place + large * slot, to: 0, granule)
          try session.unmap(place + large * slot, granule, removes: granule)
        }
        _ = session.table.takeNotes()
        try session.map(place, to: large, large * 3)
        let found = session.table.takeNotes()
        let expected = [0, 2].map { (slot: UInt64) -> OperationNote in
          let first = place + large * slot
          // Below the slot's entry there is a table of each lower level.
          let count = session.subject.level(ofSize: large) ?? 0
          return .sync(first: first, last: first + (large - 1), released: count)
        }
        guard found == expected else {
          throw session.failure("expected \(text(expected)), found \(text(found))")
        }
        try session.unmap(place, large * 3, removes: large * 3)
      }
    },
    SemanticsCase("sync_of_hole", if: \.isDynamic, needs: .reclaim, reclaim: .eager) { session in
      // The top grows over an empty one, which goes when an unmap finds nothing in it.
      let subject = session.subject
      try session.requireNotes()
      guard let shift = subject.reference.shift(level: subject.reference.rootLevel + 1),
        shift < subject.shape.geometry.iovaBits
      else { return }
      let granule = subject.granule
      try session.map(Bits.bit(shift), to: 0, granule)
      _ = session.table.takeNotes()
      try session.unmap(granule, granule, removes: 0)
      let found = session.table.takeNotes()
      guard found == [.sync(first: granule, last: granule, released: 1)] else {
        throw session.failure("expected one sync at the hole that releases a table, found \(text(found))")
      }
      try session.checkNoEmptyTables()
    },
    SemanticsCase("sync_of_pruned_tables", needs: [.faultInjection, .reclaim], reclaim: .eager) { session in
      // Memory for one of the tables that a map needs: the table goes again, and walks may have found it.
      let subject = session.subject
      try session.requireNotes()
      guard subject.reference.rootLevel > 1 else { return }
      let iova = subject.place(subject.granule * 64) + subject.granule
      let operation = Operation.map(iova: iova, pa: 0, length: subject.granule, protection: .usual)
      try session.perform(.allocationBudget(pages: subject.pagesPerTable))
      _ = session.table.takeNotes()
      guard try session.performShortOfMemory(operation) else {
        throw session.failure("\(operation): ENOMEM expected")
      }
      let found = session.table.takeNotes()
      try session.perform(.allocationBudget(pages: nil))
      guard found == [.sync(first: iova, last: iova, released: 1)] else {
        throw session.failure("expected one sync at the address that releases a table, found \(text(found))")
      }
      try session.checkNoEmptyTables()
    },
  ]

  private static func text(_ notes: [OperationNote]) -> String { notes.map(\.text).joined(separator: ", ") }

  /// Whether output addresses and IOVAs have room for twice `length`.
  private static func fits(_ session: Session, _ length: UInt64) -> Bool {
    session.subject.hasRoom(length) && length <= Bits.lowMask(session.subject.outputMask.trailingOnes) / 2
  }

  /// The levels below the top at which a leaf is one word, with its size.
  private static func itemLeaves(_ session: Session) -> [(level: Int, size: UInt64)] {
    let reference = session.subject.reference
    return (0..<reference.rootLevel).compactMap { level in
      reference.shift(level: level).map { (level, Bits.bit($0)) }
    }.filter { session.subject.plainSizes.contains($0.1) }
  }

  /// Unmaps a range, whose syncs must tell these levels of leaves and of table entries.
  private static func expectLevels(
    _ session: Session, _ iova: UInt64, _ length: UInt64, leaves: [Int], tables: [Int]
  ) throws {
    guard let table = session.table as? any SimulatedTarget else { return }
    _ = table.recorder.takeEvents()
    try session.unmap(iova, length, removes: length)
    var found: (leaves: UInt64, tables: UInt64) = (0, 0)
    for event in table.recorder.takeEvents() {
      guard case .sync(let request) = event else { continue }
      found.leaves |= UInt64(request.leafLevels)
      found.tables |= UInt64(request.tableLevels)
    }
    func mask(_ levels: [Int]) -> UInt64 { levels.reduce(0) { $0 | Bits.bit($1) } }
    guard found == (mask(leaves), mask(tables)) else {
      throw session.failure(
        "unmap \(Numbers.hex(iova)) \(Numbers.hex(length)): expected leaves of levels \(leaves) and table entries"
          + " of levels \(tables), found the bitmaps \(Numbers.hex(found.leaves)) and \(Numbers.hex(found.tables))"
      )
    }
  }
}
