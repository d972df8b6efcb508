// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

/// Memory runs short at every allocation of creation and of every operation in turn: ENOMEM is reported, nothing is mapped
/// beyond what is reported, the operation succeeds when memory is back, and no table is lost.
enum AllocationFailureTests {
  static func tests(_ configuration: Configuration) -> [Selftest] {
    [
      Selftest(.allocfail, [configuration.slug], configuration: configuration) { context in
        try context.target.require(.faultInjection)
        let subject = try context.subject(configuration)
        try checkCreation(subject, context.target)
        let scenario = operations(subject)
        let policies: [Reclaim] =
          context.target.capabilities.contains(.reclaim) ? [.never, .bounded(2)] : [.never]
        for policy in policies {
          var options = subject.options
          options.reclaim = policy
          for index in scenario.indices {
            try check(Array(scenario[..<index]), scenario[index], subject, context.target, options)
          }
        }
        return .pass
      }
    ]
  }

  /// A page table that finds memory for 0, 1, 2 … pages of its roots is not made and leaves nothing behind, until it is made.
  private static func checkCreation(_ subject: Subject, _ target: any TargetFactory) throws {
    guard target.capabilities.contains(.creationFaults) else { return }
    // Without a limit, it can be made.
    _ = try target.make(subject.configuration, subject.options)
    for budget in 0..<mostPages {
      var options = subject.options
      options.creationBudget = budget
      func fail(_ problem: String) -> SelftestFailure {
        SelftestFailure(details: [problem, "when '\(subject.configuration)' is made, \(options.text)"])
      }
      do {
        let table = try target.make(subject.configuration, options)
        guard let pages = (table as? any MachineTarget)?.tablePages, pages > budget else { return }
        throw fail("expected ENOMEM, found a page table of \(pages) pages")
      } catch let shortage as CreationShortage {
        if shortage.pagesLeft > 0 {
          throw fail("\(shortage.pagesLeft) pages of tables are left after ENOMEM")
        }
        if let violation = shortage.violations.first { throw fail("\(violation)") }
      } catch let error as SelftestFailure {
        throw error
      } catch {
        throw fail("expected ENOMEM, found \(error)")
      }
    }
    throw SelftestFailure(
      details: ["'\(subject.configuration)' cannot be made with \(mostPages - 1) pages of tables"])
  }

  /// No operation of the test, and no creation, needs so many pages.
  private static let mostPages = 4096

  /// Maps that need tables at every level: one page low and one high, a run over the border of two tables, one that
  /// ends in large leaves, and a large leaf in the place of emptied tables.
  private static func operations(_ subject: Subject) -> [Operation] {
    let granule = subject.granule
    let span = subject.spans[0]
    let usual: Protection = [.read, .write]
    let border = subject.reference.shift(level: 1).map { Bits.bit($0) } ?? granule
    let large = subject.sizes.last { $0 <= 1 << 30 && subject.hasRoom($0 * 2) } ?? granule
    let next = span.lowerBound + max(large, border) * 4
    let top = span.upperBound - (granule - 1)
    var operations: [Operation] = [
      .map(iova: span.lowerBound, pa: 0, length: granule, protection: usual),
      .map(iova: span.lowerBound + border - granule * 2, pa: granule, length: granule * 4, protection: usual),
    ]
    if large > granule, next < top - large * 2 {
      operations += [
        .maprange(next + large - granule * 2, pa: large - granule * 2, length: large + granule * 4, usual),
        .unmap(iova: next + large - granule * 2, length: granule * 2),
        .map(iova: next, pa: 0, length: large, protection: usual),
        .unmap(iova: next, length: large),
        .map(iova: next, pa: large, length: large, protection: usual),
      ]
    }
    return operations + [.map(iova: top, pa: granule, length: granule, protection: usual)]
  }

  /// Lets `operation` find memory for 0, 1, 2 … pages after `before`, until it succeeds.
  private static func check(
    _ before: [Operation], _ operation: Operation, _ subject: Subject, _ target: any TargetFactory,
    _ options: TargetOptions
  ) throws {
    var budget = 0
    var leaves: MappedWords?
    while true {
      let session = try Session(subject, target, options)
      session.replay(before)
      // The same each time.
      let known = try leaves ?? MappedWords(session)
      leaves = known
      try session.perform(.allocationBudget(pages: budget))
      let failed = try session.performShortOfMemory(operation)
      try session.checkNoEmptyTables()
      try session.perform(.allocationBudget(pages: nil))
      if failed {
        try retry(operation, session, leavesBefore: known)
      }
      try checkNothingLost(session)
      guard failed else { return }
      budget += 1
      guard budget < mostPages else {
        throw session.failure("\(operation): still out of memory with \(budget) pages")
      }
    }
  }

  /// With memory, the operation succeeds, or what is left of it.
  private static func retry(_ operation: Operation, _ session: Session, leavesBefore: MappedWords) throws {
    switch operation {
    case .mapRange(let iova, let pa, let length, let protection):
      var done: UInt64 = 0
      while let found = session.model.leaf(at: iova + done), found.start == iova + done, done < length {
        done += found.size
      }
      try session.expect(
        .mapRange(iova: iova + done, pa: pa + done, length: length - done, protection: protection),
        .okMapped(length - done))
    default:
      let left = try MappedWords(session)
      guard left == leavesBefore else {
        throw session.failure("\(operation): ENOMEM, and it changed words that map something")
      }
      try session.expect(operation, .ok)
    }
    try session.checkAll()
  }

  private static func checkNothingLost(_ session: Session) throws {
    guard let table = session.table as? any MachineTarget else { return }
    let image = try table.image()
    // Tables that the walk reaches, and those kept for reuse.
    let kept = if case .bounded(let count) = session.options.reclaim { count } else { 0 }
    let reachable = session.subject.tablePages(in: image)
    guard (reachable...reachable + kept * session.subject.pagesPerTable).contains(table.tablePages) else {
      throw session.failure("\(reachable) pages of tables can be reached, \(table.tablePages) are allocated")
    }
    table.destroy()
    guard table.tablePages == 0 else {
      throw session.failure("\(table.tablePages) pages of tables are left when all are released")
    }
    if let violation = (table.machine.violations + table.machine.verifyReleasedTables()).first {
      throw session.failure("\(violation)")
    }
  }
}

extension Operation {
  fileprivate static func maprange(_ iova: UInt64, pa: UInt64, length: UInt64, _ protection: Protection)
    -> Operation
  {
    .mapRange(iova: iova, pa: pa, length: length, protection: protection)
  }
}

/// The words of a page table that map something, with where they map it: what is left of its image when empty
/// tables are left out.
struct MappedWords: Equatable {
  private struct Word: Hashable {
    var path: [Int]
    var value: UInt64
  }

  private var words: Set<Word> = []

  init(_ session: Session) throws {
    let image = try session.table.image()
    var paths: [Int: [Int]] = [0: []]
    let top = session.table.root.level
    for word in image.words {
      let path = (paths[word.table] ?? []) + [word.index]
      if let child = word.child {
        paths[child] = path
      } else {
        // A top that has grown puts leading zeros before the path.
        let missing = session.subject.shape.maximumLevel - top
        words.insert(Word(path: Array(repeating: 0, count: missing) + path, value: word.value))
      }
    }
  }
}

extension Subject {
  /// The 4 KiB pages of a table other than the top.
  var pagesPerTable: Int { pages(level: 0, isRoot: false) }

  /// How many tables other than the top fit a 4 KiB page; one at least.
  var tablesPerPage: Int {
    max(1, 4096 / (reference.wordCount(level: 0, isRoot: false) * reference.wordBytes))
  }

  /// The 4 KiB pages of a table, of all roots together; one at least.
  func pages(level: Int, isRoot: Bool) -> Int {
    let bytes = reference.wordCount(level: level, isRoot: isRoot) * reference.wordBytes
    guard isRoot else { return max(1, bytes / 4096) }
    return max(1, max(bytes * reference.rootCount, shape.minimumRootBytes) / 4096)
  }

  /// The 4 KiB pages of the tables in an image.
  func tablePages(in image: TableImage) -> Int {
    let tables = image.words.compactMap(\.child).count
    let rootLevel = image.words.first?.level ?? shape.geometry.topLevel
    return pages(level: rootLevel, isRoot: true) + tables * pagesPerTable
  }
}
