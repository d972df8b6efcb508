// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// How lists of operations are made.
public enum CompareMode: String, Hashable, Sendable, CaseIterable {
  /// Every page size at every place where something ends, and what meets what there.
  case systematic
  /// Random operations, from a seed.
  case random
  /// All sequences of a few operations over a small world.
  case exhaustive
}

/// How much is run.
public struct CompareBudget: Sendable {
  /// Random operations for each point.
  public var operations = 10_000
  /// The seed of all random numbers.
  public var seed: UInt64 = 0x5eed
  /// Seconds for the random operations of each point; nil runs `operations` instead.
  public var seconds: Double?
  /// Operations of an exhaustive sequence at most.
  public var depth = 3
  /// How many threads run.
  public var jobs = 1
  /// Which of how many parts of the systematic lists run before the random operations of a point; nil for none.
  public var systematicPart: (part: Int, of: Int)?
  /// How often a failing list is tried with fewer operations.
  public var shrinkLimit = 600

  public init() {}
}

/// What a run did.
public struct CompareReport: Sendable {
  /// Operations run.
  public var operations = 0
  public var tally = RuleTally()
  /// The first difference, shrunk; nil for none.
  public var difference: Difference?
  /// What kept page tables from being made; nil where nothing did.
  public var failure: String?

  public init() {}

  /// Adds what another part of the same point did.
  public mutating func add(_ other: CompareReport) {
    operations += other.operations
    tally.add(other.tally)
    if difference == nil { difference = other.difference }
    if failure == nil { failure = other.failure }
  }
}

/// Runs points.
public struct CompareRun: Sendable {
  public let budget: CompareBudget
  private let library: SpecificationLibrary

  public init(_ budget: CompareBudget, library: SpecificationLibrary) {
    self.budget = budget
    self.library = library
  }

  /// Runs points on the budget's threads; `done` takes each point's report in the points' order.
  public func run(_ points: [ComparePoint], done: (ComparePoint, CompareReport) -> Void) {
    // Threads share the points out, or the episodes of a point where there are few points.
    guard budget.jobs > 1, points.count >= budget.jobs else {
      for point in points { done(point, run(point, threads: budget.jobs)) }
      return
    }
    let board = Board<CompareReport>(points.count)
    let workers = Workers(budget.jobs) { _ in
      while let next = board.take() { board.put(run(points[next], threads: 1), at: next) }
    }
    for (index, point) in points.enumerated() { done(point, board.wait(for: index)) }
    workers.join()
  }

  /// Runs a part of a point on this thread: of random operations, every so many-th episode; of others, all.
  ///
  /// - Parameter journal: learns of all operations.
  public func run(
    _ point: ComparePoint, part: Int, of parts: Int, journal: (any OperationJournal)? = nil
  ) -> CompareReport {
    var report = runPart(point, part: part, of: parts, journal)
    if let found = report.difference { report.difference = shrink(found, point, journal) }
    return report
  }

  /// Runs one point.
  public func run(_ point: ComparePoint, threads: Int = 1) -> CompareReport {
    var report = CompareReport()
    if point.mode == .random, threads > 1 {
      let board = Board<CompareReport>(threads)
      Workers(threads) { index in board.put(runPart(point, part: index, of: threads), at: index) }.join()
      for index in 0..<threads { report.add(board.wait(for: index)) }
    } else {
      report = runPart(point, part: 0, of: 1)
    }
    if let found = report.difference { report.difference = shrink(found, point) }
    return report
  }

  /// A part of a point: of random operations, every so many-th episode.
  private func runPart(
    _ point: ComparePoint, part: Int, of parts: Int, _ journal: (any OperationJournal)? = nil
  ) -> CompareReport {
    var report = CompareReport()
    do {
      let comparison = try Comparison(
        point.configuration, left: point.left, right: point.right, library: library, journal: journal)
      defer {
        report.operations = comparison.operationCount
        report.tally = comparison.tally
      }
      switch point.mode {
      case .systematic: report.difference = try comparison.runSystematic()
      case .random where budget.systematicPart != nil && part == 0:
        let chosen = budget.systematicPart ?? (0, 1)
        report.difference =
          try comparison.runSystematic(part: chosen.part, of: chosen.of)
          ?? runEpisodes(comparison, part, parts)
      case .exhaustive: report.difference = try comparison.runExhaustive(depth: budget.depth)
      case .random: report.difference = try runEpisodes(comparison, part, parts)
      }
    } catch {
      report.failure = "\(error)"
    }
    return report
  }

  private func runEpisodes(_ comparison: Comparison, _ part: Int, _ parts: Int) throws -> Difference? {
    let start = Self.now
    let name = comparison.world.configuration.slug
    var episode = part
    while true {
      let done = episode * Comparison.episodeLength
      let count = min(Comparison.episodeLength, budget.operations - done)
      if let seconds = budget.seconds {
        if Self.now - start >= seconds { return nil }
      } else if count <= 0 {
        return nil
      }
      let seed = Comparison.seed(budget.seed, name, episode: episode)
      let length = budget.seconds == nil ? count : Comparison.episodeLength
      if let difference = try comparison.runEpisode(seed: seed, count: length) { return difference }
      episode += parts
    }
  }

  private func shrink(
    _ difference: Difference, _ point: ComparePoint, _ journal: (any OperationJournal)? = nil
  ) -> Difference {
    let comparison = try? Comparison(
      point.configuration, left: point.left, right: point.right, library: library, journal: journal)
    guard let comparison else { return difference }
    return DifferenceShrinker(comparison, limit: budget.shrinkLimit).shrink(difference)
  }

  private static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
