// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What is said of pages that a device wrote to.
enum DirtyCases {
  static let all: [SemanticsCase] = [
    SemanticsCase("dirty_set_and_clear", if: \.tracksDirty) { session in
      try session.requireDirtyState()
      // Leaves of every size, written at their start, end and in the middle.
      for size in session.subject.plainSizes {
        let place = session.subject.place(size)
        try session.map(place, to: 0, size)
        let leaf = OperationResult.dirty([DirtyRange(iova: place, length: size)])
        try session.perform(.dirty(iova: place, length: size, clear: true))
        for offset in [0, size / 2, size - 1] {
          try session.expect(.dirty(iova: place, length: size, clear: false), .dirty([]))
          try session.expect(.setDirty(iova: place + offset), .ok)
          try session.expect(.dirty(iova: place, length: size, clear: false), leaf)
          try session.expect(.dirty(iova: place, length: size, clear: true), leaf)
        }
        try session.unmap(place, size, removes: size)
      }
    },
    SemanticsCase("dirty_keeps_translation", if: \.tracksDirty) { session in
      try session.requireDirtyState()
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      for (index, protection) in ([[.read, .write], .write, .read] as [Protection]).enumerated() {
        // The model knows which protections the format refuses, and which leaves cannot become dirty.
        let iova = place + UInt64(index) * granule
        try session.perform(.map(iova: iova, pa: granule, length: granule, protection: protection))
        try session.perform(.setDirty(iova: iova))
      }
      try session.checkAll()
      try session.perform(.dirty(iova: place, length: granule * 3, clear: true))
      try session.checkAll()
    },
    SemanticsCase("dirty_range_is_exact", if: \.tracksDirty) { session in
      try session.requireDirtyState()
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      try session.map(place, to: granule, granule * 6)
      try session.perform(.dirty(iova: place, length: granule * 6, clear: true))
      for index in [0, 2, 3, 5] as [UInt64] {
        try session.expect(.setDirty(iova: place + granule * index), .ok)
      }
      func page(_ index: UInt64) -> DirtyRange { DirtyRange(iova: place + granule * index, length: granule) }
      try session.expect(
        .dirty(iova: place + granule, length: granule * 3, clear: true), .dirty([page(2), page(3)]))
      try session.expect(
        .dirty(iova: place, length: granule * 6, clear: false), .dirty([page(0), page(5)]))
      try session.unmap(place, granule * 6, removes: granule * 6)
    },
    SemanticsCase("dirty_over_holes", if: \.tracksDirty) { session in
      try session.requireDirtyState()
      // Tables that are missing and leaves of several sizes in one range.
      guard let shift = session.subject.reference.shift(level: 1) else { return }
      let granule = session.subject.granule
      let table = Bits.bit(shift)
      let place = session.subject.place(table)
      for offset in [0, table - granule, table + granule] {
        try session.map(place + offset, to: granule, granule)
        try session.perform(.dirty(iova: place + offset, length: granule, clear: true))
        try session.expect(.setDirty(iova: place + offset), .ok)
      }
      try session.expect(
        .dirty(iova: place, length: table + granule * 2, clear: true),
        .dirty([0, table - granule, table + granule].map { DirtyRange(iova: place + $0, length: granule) }))
    },
    SemanticsCase("dirty_told_once", if: \.tracksDirty) { session in
      // A reading that clears leaves nothing to tell, whatever is taken for dirty at first: on Arm every new page that may be written.
      for size in session.subject.plainSizes {
        let place = session.subject.place(size)
        try session.map(place, to: 0, size)
        func read(clear: Bool) -> OperationResult {
          session.table.perform(.dirty(iova: place, length: size, clear: clear))
        }
        let (first, again, cleared) = (read(clear: false), read(clear: true), read(clear: false))
        if case .failed(.eopnotsupp) = first { throw TargetGap("no dirty state is read") }
        guard again == first, cleared == .dirty([]) else {
          throw session.failure(
            "readings of \(Numbers.size(size)) at \(Numbers.hex(place)), one that clears between two others: expected two alike "
              + "and one of nothing, found \(first.text), \(again.text), \(cleared.text)")
        }
        try session.unmap(place, size, removes: size)
      }
    },
    SemanticsCase(known: "dirty_part_of_leaf", if: \.tracksDirtyLargeLeaves) { session in
      // Of a leaf that is asked for in part, that part is told. Linux 7.3 tells all of it, and the caller's bitmap has no
      // place for the rest (docs/findings.md).
      try session.requireGeneric("drivers are asked for whole leaves")
      var known: String?
      for size in session.subject.plainSizes.dropFirst() {
        let place = session.subject.place(size)
        try session.map(place, to: 0, size)
        for part in [
          DirtyRange(iova: place + size / 2, length: size / 2), DirtyRange(iova: place, length: size / 2),
        ] {
          let reading = Operation.dirty(iova: part.iova, length: part.length, clear: true)
          for operation in [.dirty(iova: place, length: size, clear: true), .setDirty(iova: part.iova)]
            as [Operation]
          {
            _ = session.table.perform(operation)
          }
          let found = session.table.perform(reading)
          guard found != .dirty([part]) else { continue }
          guard found == .dirty([DirtyRange(iova: place, length: size)]) else {
            throw session.failure("\(reading): the leaf or that part of it is dirty, found \(found.text)")
          }
          known = known ?? "\(reading): \(found.text), as Linux 7.3 has it; that is more than was asked for"
        }
        _ = session.table.perform(.dirty(iova: place, length: size, clear: true))
        try session.unmap(place, size, removes: size)
      }
      return known.map { .xfail(detail: $0) } ?? .pass
    },
    SemanticsCase("dirty_from_the_middle", if: \.tracksDirtyLargeLeaves) { session in
      try session.requireDirtyState()
      // A range that begins inside of a large leaf tells each small one behind it, too.
      let granule = session.subject.granule
      for size in session.subject.plainSizes.dropFirst() where session.subject.hasRoom(size) {
        let place = session.subject.place(size)
        let behind = [place + size, place + size + granule]
        try session.map(place, to: 0, size)
        try session.map(place + size, to: granule, granule * 2)
        try session.perform(.dirty(iova: place, length: size + granule * 2, clear: true))
        for page in behind { try session.expect(.setDirty(iova: page), .ok) }
        try session.expect(
          .dirty(iova: place + size / 2, length: size / 2 + granule * 2, clear: true),
          .dirty(behind.map { DirtyRange(iova: $0, length: granule) }))
        try session.unmap(place, size + granule * 2, removes: size + granule * 2)
      }
    },
    SemanticsCase("dirty_errors", if: \.tracksDirty) { session in
      try session.requireDirtyState()
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      try session.map(place, to: 0, granule)
      try session.expect(.setDirty(iova: place + granule), .failed(.enoent))
      try session.expect(.dirty(iova: place, length: 0, clear: true), .failed(.einval))
      try session.expect(.dirty(iova: 0 &- granule, length: granule * 2, clear: true), .failed(.eoverflow))
      let span = session.subject.spans[0]
      guard span.upperBound != .max else { return }
      try session.expect(.setDirty(iova: span.upperBound + 1), .failed(.erange))
      try session.expect(
        .dirty(iova: span.upperBound + 1, length: granule, clear: true), .failed(.erange))
    },
    SemanticsCase("dirty_unsupported", if: \.ignoresDirty) { session in
      try session.requireDirtyState()
      let granule = session.subject.granule
      let place = session.subject.place(granule * 64)
      try session.map(place, to: 0, granule)
      try session.expect(.setDirty(iova: place), .failed(.eopnotsupp))
      try session.expect(.dirty(iova: place, length: granule, clear: false), .failed(.eopnotsupp))
    },
  ]
}
