// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Synchronization

/// Threads that map and unmap ranges of their own in tables that they share. Each checks its own translations; at
/// the end nothing is mapped, and no table is lost.
enum ConcurrencyTests {
  static let threadCount = 3
  /// How often the threads meet on a page table that is new, where they install the same tables.
  static let meetings = 4

  static func tests(_ configuration: Configuration) -> [Selftest] {
    [
      Selftest(.concurrency, [configuration.slug], configuration: configuration) { context in
        try context.target.require(.threads)
        let subject = try context.subject(configuration)
        let policies: [Reclaim] =
          context.target.capabilities.contains(.reclaim) ? [.never, .bounded(4)] : [.never]
        for policy in policies {
          var options = subject.options
          options.reclaim = policy
          options.sharing = .shared
          options.isRecorded = false
          for meeting in 0..<meetings {
            let seed = RandomNumbers(seed: context.seed, name: "concurrency.\(configuration.slug).\(meeting)")
            try meet(subject, context.target, options, seed)
          }
        }
        return .pass
      }
    ]
  }

  private static func meet(
    _ subject: Subject, _ target: any TargetFactory, _ options: TargetOptions, _ random: RandomNumbers
  ) throws {
    let table = try target.make(subject.configuration, options)
    let ground = CommonGround(subject, SharedTable(table))
    func fail(_ problem: String) -> SelftestFailure {
      SelftestFailure(
        problem, "\(threadCount) threads on '\(subject.configuration)' with \(options.text)")
    }
    if let problem = ground.mapLandmark() { throw fail(problem) }
    let problems = Problems()
    let meeting = MeetingPoint(threadCount)
    try Threads.run(threadCount) { index in
      defer { meeting.leave() }
      var worker = Worker(ground: ground, meeting: meeting, index: index, random: random)
      if let problem = worker.run() { problems.add("thread \(index): \(problem)") }
    }
    if let problem = problems.first ?? ground.unmapLandmark() { throw fail(problem) }
    if let problem = try leftovers(table, subject, options) { throw fail(problem) }
  }

  /// What is wrong with a page table in which nothing should be mapped any more.
  private static func leftovers(
    _ table: any PageTableUnderTest, _ subject: Subject, _ options: TargetOptions
  ) throws -> String? {
    let image = try table.image()
    if let word = image.words.first(where: { $0.child == nil }) {
      return "nothing should be mapped, found \(TableImage(words: [word]).lines.joined())"
    }
    let reachable = subject.tablePages(in: image)
    let kept = if case .bounded(let count) = options.reclaim { count * subject.pagesPerTable } else { 0 }
    guard (reachable...reachable + kept).contains(table.tablePages) else {
      return "\(reachable) pages of tables can be reached, \(table.tablePages) are allocated"
    }
    guard let table = table as? any MachineTarget else { return nil }
    table.destroy()
    if table.tablePages != 0 { return "\(table.tablePages) pages of tables are left when all are released" }
    return (table.machine.violations + table.machine.verifyReleasedTables()).first?.description
  }
}

/// What the threads found wrong.
private final class Problems: Sendable {
  private let list = Mutex<[String]>([])

  func add(_ problem: String) { list.withLock { $0.append(problem) } }

  var first: String? { list.withLock { $0.first } }
}

/// A page table of a target that allows threads.
private struct SharedTable: @unchecked Sendable {
  // Unchecked: the target says that several threads may use its page tables.
  let table: any PageTableUnderTest

  init(_ table: any PageTableUnderTest) { self.table = table }
}

/// The addresses that the threads share out, and a mapping that none of them touches.
private struct CommonGround: Sendable {
  let shared: SharedTable
  let granule: UInt64
  /// What a table of the last level spans, or a part of that.
  let span: UInt64
  /// The start of the common stretch, on the border of two tables where there is room for that.
  let start: UInt64
  /// Addresses that need a higher top each, where tops grow.
  let heights: [UInt64]
  /// Whether a leaf can take the place of a table of the last level.
  let hasTableLeaf: Bool
  private let landmark: UInt64

  init(_ subject: Subject, _ shared: SharedTable) {
    self.shared = shared
    granule = subject.granule
    // Small address spaces have few tables; the threads then share the top as well.
    let tableSpan = subject.reference.shift(level: 1).map { Bits.bit($0) } ?? subject.granule
    hasTableLeaf = subject.plainSizes.contains(tableSpan) && subject.hasRoom(tableSpan * 8)
    span = subject.hasRoom(tableSpan * 8) ? tableSpan : tableSpan / 8
    let first = subject.spans[0].lowerBound
    landmark = first
    start = first + span * 2
    let root = subject.shape.geometry.topLevel
    heights =
      subject.isDynamic
      ? (root + 1...max(root + 1, subject.shape.maximumLevel)).compactMap { level in
        subject.reference.shift(level: level).flatMap {
          $0 < subject.shape.geometry.iovaBits ? Bits.bit($0) : nil
        }
      } : []
  }

  func mapLandmark() -> String? { map(landmark, to: granule, granule) }

  func unmapLandmark() -> String? { checkLandmark() ?? unmap(landmark, granule) }

  /// A translation that stays must be found at any time.
  func checkLandmark() -> String? { check(landmark, granule) }

  func map(_ iova: UInt64, to pa: UInt64, _ length: UInt64) -> String? {
    let operation = Operation.map(iova: iova, pa: pa, length: length, protection: .usual)
    return expect(operation, .ok)
  }

  func unmap(_ iova: UInt64, _ length: UInt64) -> String? {
    expect(.unmap(iova: iova, length: length), .unmapped(length))
  }

  func check(_ iova: UInt64, _ pa: UInt64?) -> String? { expect(.phys(iova: iova), .physical(pa)) }

  private func expect(_ operation: Operation, _ expected: OperationResult) -> String? {
    let found = shared.table.perform(operation)
    return found == expected ? nil : "\(operation): expected \(expected.text), found \(found.text)"
  }
}

/// One thread's work.
private struct Worker {
  let ground: CommonGround
  let meeting: MeetingPoint
  let index: Int
  var random: RandomNumbers

  init(ground: CommonGround, meeting: MeetingPoint, index: Int, random: RandomNumbers) {
    self.ground = ground
    self.meeting = meeting
    self.index = index
    // Each thread has numbers of its own, from one seed.
    var random = random
    self.random = RandomNumbers(seed: random.next() ^ UInt64(index) &* 0x9e37_79b9_7f4a_7c15)
  }

  private static var count: UInt64 { UInt64(ConcurrencyTests.threadCount) }

  /// The first thing that went wrong.
  mutating func run() -> String? {
    if let problem = growTop() { return problem }
    for round in 0..<6 as Range<UInt64> {
      if let problem = pages(round) ?? tables(round) ?? ground.checkLandmark() { return problem }
    }
    return nil
  }

  /// Maps where a higher top is needed, the threads in different order.
  private func growTop() -> String? {
    let heights = ground.heights
    for step in heights.indices {
      let iova = heights[(step + index) % heights.count] + ground.granule * UInt64(index)
      if let problem = ground.map(iova, to: ground.granule, ground.granule)
        ?? ground.check(iova, ground.granule) ?? ground.checkLandmark() ?? ground.unmap(iova, ground.granule)
      {
        return problem
      }
    }
    return nil
  }

  /// Every third page on both sides of a border of two tables.
  private mutating func pages(_ round: UInt64) -> String? {
    let granule = ground.granule
    let first = ground.start + ground.span - granule * 24
    let own = (0..<16 as Range<UInt64>).map { first + granule * ($0 * Self.count + UInt64(index)) }
    let pa = granule * (1 + random.below(1000))
    for iova in own {
      if let problem = ground.map(iova, to: pa, granule) { return problem }
    }
    // Now the pages of all threads are mapped, side by side.
    meeting.meet()
    for iova in own {
      if let problem = ground.check(iova + granule / 2, pa + granule / 2) ?? ground.unmap(iova, granule)
        ?? ground.check(iova, nil)
      {
        return problem
      }
    }
    return nil
  }

  /// Runs in tables of one's own, whose parents are shared, and a large leaf in the place of such a table.
  private mutating func tables(_ round: UInt64) -> String? {
    let granule = ground.granule
    let base = ground.start + ground.span * (4 + round % 2 * Self.count + UInt64(index))
    let length = granule * (2 + random.below(6))
    let run = base + granule * random.below(8)
    let pa = granule * (1 + random.below(1000))
    if let problem = ground.map(run, to: pa, length) ?? ground.check(run + (length - 1), pa + (length - 1))
      ?? ground.unmap(run, length)
    {
      return problem
    }
    guard ground.hasTableLeaf else { return nil }
    return ground.map(base, to: 0, ground.span) ?? ground.check(base + ground.span / 2, ground.span / 2)
      ?? ground.unmap(base, ground.span) ?? ground.check(base, nil)
  }
}
