// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// Compares two sides of one configuration. To be used by one thread.
///
/// To run the harness over an implementation of your own, pass a `ResolvedSide` whose `make` returns it:
/// ```
/// let side = ResolvedSide(.generic(configuration), word: "mutant") { base, reserve in … }
/// let comparison = try Comparison(configuration, left: side, right: .reference, library: .embedded)
/// let difference = try comparison.firstDifference(budget: 2000)   // nil: none found
/// difference?.check                                               // what caught it
/// ```
public final class Comparison {
  let world: CompareWorld
  /// Operations on one pair of page tables, after which new ones are made.
  public static let episodeLength = 250
  /// After how many operations everything is checked.
  public var fullInterval = 125
  /// Operations run so far.
  public private(set) var operationCount = 0

  /// - Parameter journal: learns of all operations.
  /// - Throws: `SpecError`, `ConfigurationError`.
  public init(
    _ configuration: Configuration, left: ResolvedSide, right: ResolvedSide, library: SpecificationLibrary,
    journal: (any OperationJournal)? = nil
  ) throws {
    world = try CompareWorld(configuration, left: left, right: right, library: library)
    world.journal = journal
  }

  /// How often rules applied so far.
  public var tally: RuleTally { world.tally }

  /// Runs operations that are given on new page tables; nil when there is no difference.
  ///
  /// - Throws: what making page tables throws.
  public func run(_ operations: [Operation]) throws -> Difference? {
    try withSession { (session) throws(Difference) in
      for operation in operations { try session.perform(operation) }
    }
  }

  /// Runs one episode of random operations: what it does follows from the seed alone.
  ///
  /// - Throws: what making page tables throws.
  public func runEpisode(seed: UInt64, count: Int = Comparison.episodeLength) throws -> Difference? {
    try withSession { [world] (session) throws(Difference) in
      var generator = OperationGenerator(world.subject, RandomNumbers(seed: seed))
      for _ in 0..<count { try session.perform(generator.next(session.leaves)) }
    }
  }

  /// Runs the systematic lists, or every so many-th from `part` on; the first difference, or nil.
  ///
  /// - Throws: what making page tables throws.
  public func runSystematic(part: Int = 0, of parts: Int = 1) throws -> Difference? {
    let all = SystematicLists(world.subject)
    let chosen = all.lists.enumerated().filter { $0.offset % parts == part }.map(\.element)
    // A growing top is as it starts only at first.
    var lists = ([all.overTop()] + chosen)[...]
    while !lists.isEmpty {
      let part = lists.prefix(while: Self.untilFull())
      lists = lists.dropFirst(part.count)
      let difference = try withSession { (session) throws(Difference) in
        for list in part {
          for operation in list { try session.perform(operation) }
          try session.clear()
        }
      }
      if let difference { return difference }
    }
    return nil
  }

  /// Runs all sequences of up to `depth` operations of a small world; the first difference, or nil.
  ///
  /// - Throws: what making page tables throws.
  public func runExhaustive(depth: Int = 3) throws -> Difference? {
    let alphabet = SmallWorld(world.subject).operations
    for first in alphabet {
      let difference = try withSession { (session) throws(Difference) in
        try session.performAll([first], then: alphabet, depth: depth)
      }
      if let difference { return difference }
    }
    return nil
  }

  /// Runs random operations, `budget` many at most, after the systematic lists; the first difference, or nil.
  ///
  /// - Throws: what making page tables throws.
  public func firstDifference(budget: Int, seed: UInt64 = 0x5eed) throws -> Difference? {
    if let difference = try runSystematic() { return difference }
    var left = budget
    var episode = 0
    while left > 0 {
      let count = min(left, Self.episodeLength)
      let seed = Self.seed(seed, world.configuration.slug, episode: episode)
      if let difference = try runEpisode(seed: seed, count: count) { return difference }
      left -= count
      episode += 1
    }
    return nil
  }

  /// The seed of one episode of a run.
  static func seed(_ seed: UInt64, _ name: String, episode: Int) -> UInt64 {
    var random = RandomNumbers(seed: seed &+ UInt64(episode) &* 0x9e37_79b9_7f4a_7c15, name: name)
    return random.next()
  }

  private func withSession(_ body: (CompareSession) throws(Difference) -> Void) throws -> Difference? {
    let session = try CompareSession(world, fullInterval: fullInterval)
    defer { operationCount += session.operationCount }
    do throws(Difference) {
      try body(session)
      try session.finish()
      return nil
    } catch {
      return error
    }
  }

  /// Says of each list whether it still belongs to the page tables of those before it.
  private static func untilFull() -> ([Operation]) -> Bool {
    var count = 0
    return { list in
      defer { count += list.count }
      return count < episodeLength
    }
  }
}
