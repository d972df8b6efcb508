// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable

/// The growth of table memory under iova_stress, which has a bound where empty tables are reclaimed.
enum IOVAStressTests {
  /// Bytes of address space that a test goes through.
  static let space: UInt64 = 64 << 30

  /// Tests for the first configuration of each format and granule.
  static func tests(_ configurations: [Configuration]) -> [Selftest] {
    firsts(configurations).flatMap(tests)
  }

  /// Tests of an implementation other than the kit's: whatever it does with empty tables, its growth must have a bound.
  /// Of its own policies nothing is known.
  ///
  /// - Parameter isBound: whether its contract says so.
  static func foreignTests(_ configurations: [Configuration], isBound: Bool) -> [Selftest] {
    firsts(configurations).flatMap { configuration -> [Selftest] in
      let policies = ["bounded_64", "eager"] + (isBound ? [] : ["bounded"])
      let bound = test(configuration, "bounded", .never, spareTables: 64) { peak, bound in peak <= bound }
      let gaps = policies.map { policy in
        Selftests.gap(
          "iova_stress.\(configuration.slug).\(policy)", .iovaStress, .target,
          "it has no policies for empty tables")
      }
      return gaps + (isBound ? [bound] : [])
    }
  }

  private static func firsts(_ configurations: [Configuration]) -> [Configuration] {
    var seen: Set<[String]> = []
    return configurations.filter { seen.insert([$0.format, $0.text("granule")]).inserted }
  }

  private static func tests(_ configuration: Configuration) -> [Selftest] {
    [
      test(configuration, "bounded_64", .bounded(64), spareTables: 64) { peak, bound in peak <= bound },
      test(configuration, "eager", .eager, spareTables: 0) { peak, bound in peak <= bound },
      // The proof that the bound can be broken: what Linux does today breaks it.
      test(configuration, "never_exceeds_bound", .never, spareTables: 64) { peak, bound in peak > bound },
    ]
  }

  private static func test(
    _ configuration: Configuration, _ name: String, _ reclaim: Reclaim, spareTables: Int,
    _ isAsExpected: @escaping @Sendable (_ peak: Int, _ bound: Int) -> Bool
  ) -> Selftest {
    Selftest(.iovaStress, [configuration.slug, name], configuration: configuration) { context in
      if reclaim != .never { try context.target.require(.reclaim) }
      let subject = try context.subject(configuration)
      var options = subject.options
      options.reclaim = reclaim
      options.isRecorded = false
      // In `never`, each step leaves a table behind.
      options.reserve = 1 << 30
      let table = try context.target.make(configuration, options)
      let (first, room) = subject.shape.geometry.stressSpace
      var target = StressedTable(table: table)
      let result = try IOVAStress.run(
        IOVAStressRun(dmaSize: subject.granule, space: min(space, room)), on: &target, from: first)
      let needed = subject.pagesForOneLeaf(rootLevel: table.root.level)
      let bound = needed + spareTables * subject.pagesPerTable
      let excess = max(0, result.peakPages - bound)
      let details = [
        result.line,
        "peak \(result.peakPages) pages of tables; one mapping needs \(needed), the bound is \(bound)"
          + (excess > 0 ? ", exceeded by \(excess) pages (\(excess * 4) KiB)" : ""),
      ]
      return isAsExpected(result.peakPages, bound) ? .pass(details: details) : .fail(details: details)
    }
  }
}

extension Subject {
  /// The 4 KiB pages of the tables on the way to one leaf of the last level.
  fileprivate func pagesForOneLeaf(rootLevel: Int) -> Int {
    pages(level: rootLevel, isRoot: true) + rootLevel * pagesPerTable
  }
}

/// Any page table as iova_stress uses it.
private struct StressedTable: IOVAStressTarget {
  let table: any PageTableUnderTest
  private var peak = 0

  init(table: any PageTableUnderTest) { self.table = table }

  mutating func map(_ iova: UInt64, _ length: UInt64) -> Bool {
    let operation = Operation.map(iova: iova, pa: 0, length: length, protection: .usual)
    guard table.perform(operation) == .ok else { return false }
    peak = max(peak, table.tablePages)
    return true
  }

  mutating func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64 {
    guard case .unmapped(let bytes) = table.perform(.unmap(iova: iova, length: length)) else { return 0 }
    return bytes
  }

  var tablePages: Int { table.tablePages }
  var peakPages: Int { max(peak, (table as? any MachineTarget)?.machine.peakPages ?? 0) }

  mutating func giveBackEmptyPages() { (table as? any MachineTarget)?.machine.giveBackEmptyPages() }
}
