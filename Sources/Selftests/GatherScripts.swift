// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// What tests of gathers do.
enum GatherScripts {
  static func fixed(_ subject: Subject) -> [[GatherStep]] {
    let orders: [[UInt64]] = [[0, 1, 2], [2, 1, 0], [0, 8, 40, 9, 1], [40, 0, 41]]
    var lists: [[GatherStep]] = orders.map { pages(subject, $0) }
    lists += [
      holes(subject), ends(subject), again(subject), between(subject), dirty(subject), [.sync, .sync],
    ]
    return lists.filter { !$0.isEmpty } + tables(subject)
  }

  /// Pages, by their number from some place on, that are mapped one by one and unmapped by one sync.
  private static func pages(_ subject: Subject, _ numbers: [UInt64]) -> [GatherStep] {
    let (place, granule) = start(subject)
    let pages = numbers.map { place + $0 * granule }
    return pages.map { map($0, granule, subject) } + unmaps(pages, granule) + [.sync]
  }

  /// Where nothing is mapped, the sync has nothing to do, and what else was gathered is not lost.
  private static func holes(_ subject: Subject) -> [GatherStep] {
    let (place, granule) = start(subject)
    let free = [subject.spans[0].lowerBound, place + granule, place + granule * 80]
    let holes = unmaps(free, granule)
    var steps = [map(place, granule, subject), map(place + granule * 2, granule, subject)]
    steps += holes + [.sync] + holes
    steps += unmaps([place], granule) + holes
    steps += unmaps([place + granule * 2], granule) + holes
    return steps + [.sync]
  }

  /// The first and the last page of the address space.
  private static func ends(_ subject: Subject) -> [GatherStep] {
    let granule = subject.granule
    let first = subject.spans[0].lowerBound
    let last = subject.spans[subject.spans.count - 1].upperBound - (granule - 1)
    var steps: [GatherStep] = []
    for pages in [[first, last], [last, first]] {
      steps += pages.map { map($0, granule, subject) }
      steps += unmaps(pages, granule) + [.sync]
    }
    return steps
  }

  /// The same pages are mapped to others after the sync.
  private static func again(_ subject: Subject) -> [GatherStep] {
    let (place, granule) = start(subject)
    let pages = [place, place + granule * 3]
    var steps: [GatherStep] = []
    for turn in 1...3 as ClosedRange<UInt64> {
      steps += pages.map { map($0, granule, subject, to: granule * turn * 4) }
      steps += unmaps(pages, granule) + [.sync]
    }
    return steps
  }

  /// Maps and unmaps that end with their own sync come between.
  private static func between(_ subject: Subject) -> [GatherStep] {
    let (place, granule) = start(subject)
    func page(_ number: UInt64) -> UInt64 { place + number * granule }
    var steps = [map(place, granule * 2, subject), map(page(9), granule, subject)]
    steps += unmaps([page(0)], granule)
    steps += [map(page(20), granule, subject), .alone(.unmap(iova: page(9), length: granule))]
    steps += unmaps([page(20), page(1)], granule)
    return steps + [.sync]
  }

  /// Tables that are covered go, with one below them, and beside large leaves. Small leaves: one word each.
  private static func tables(_ subject: Subject) -> [[GatherStep]] {
    let reference = subject.reference
    return (1..<max(1, reference.rootLevel)).compactMap { level in
      guard let shift = reference.shift(level: level), let small = reference.shift(level: level - 1),
        subject.plainSizes.contains(Bits.bit(small)), subject.hasRoom(Bits.bit(shift) * 4),
        Bits.bit(shift) <= Bits.lowMask(subject.outputMask.trailingOnes) / 8
      else { return nil }
      let (size, leaf) = (Bits.bit(shift), Bits.bit(small))
      let place = subject.place(size * 4)
      // The second gets leaves as large as can be; the others leaves that no larger ones can take the place of.
      let parts = (0..<4 as Range<UInt64>).map { place + size * $0 }
      let maps = parts.map { map($0, size, subject, to: $0 == parts[1] ? size : leaf) }
      return maps + unmaps([parts[0], parts[3], parts[1], parts[2]], size) + [.sync]
    }
  }

  /// Dirty bits are read and cleared in the same gather.
  private static func dirty(_ subject: Subject) -> [GatherStep] {
    guard subject.tracksDirty, !subject.isIncoherent else { return [] }
    let (place, granule) = start(subject)
    let apart = place + granule * 9
    let written = [place, place + granule * 2, apart].map { GatherStep.alone(.setDirty(iova: $0)) }
    let reading = GatherStep.gathered(.dirty(iova: place, length: granule * 3, clear: true))
    var steps = [map(place, granule * 3, subject), map(apart, granule, subject)]
    steps += written
    steps += [reading, .gathered(.dirty(iova: apart, length: granule, clear: true)), .sync]
    steps += written + [reading]
    steps += unmaps([apart], granule)
    return steps + [.sync]
  }

  /// Ranges of several pages, mapped and unmapped in any order.
  static func random(_ subject: Subject, _ random: inout RandomNumbers) -> [GatherStep] {
    let (place, granule) = start(subject)
    let count: UInt64 = 12
    // Each range begins at a multiple of four pages, and leaves one of them free.
    var ranges: [(iova: UInt64, length: UInt64)] = []
    for number in 0..<count {
      ranges.append((place + number * granule * 4, granule * (1 + random.below(3 as UInt64))))
    }
    var steps = ranges.map { map($0.iova, $0.length, subject, to: granule * 3) }
    for (iova, length) in ranges.shuffled(using: &random) {
      steps.append(.gathered(.unmap(iova: iova, length: length)))
      if random.chance(15) { steps.append(.sync) }
      if random.chance(15) { steps.append(.gathered(.unmap(iova: iova, length: length))) }
    }
    return steps + [.sync]
  }

  private static func unmaps(_ pages: [UInt64], _ length: UInt64) -> [GatherStep] {
    pages.map { .gathered(.unmap(iova: $0, length: length)) }
  }

  private static func start(_ subject: Subject) -> (place: UInt64, granule: UInt64) {
    (subject.place(subject.granule * 128), subject.granule)
  }

  private static func map(_ iova: UInt64, _ length: UInt64, _ subject: Subject, to pa: UInt64? = nil)
    -> GatherStep
  {
    .alone(.map(iova: iova, pa: pa ?? subject.granule, length: length, protection: .usual))
  }
}
