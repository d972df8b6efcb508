// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable

/// The growth of table memory when one page is mapped and unmapped every 2 MiB, as the tool iova_stress does. It has a
/// bound where empty tables are reclaimed.
enum IOVAStressTests {
  /// Bytes of address space that a test goes through.
  static let space: UInt64 = 64 << 30
  /// The distance of mappings, in bytes.
  static let step: UInt64 = 2 << 20

  /// Tests for the first configuration of each format and granule.
  static func tests(_ configurations: [Configuration]) -> [Selftest] {
    var seen: Set<[String]> = []
    return configurations.filter { seen.insert([$0.format, $0.text("granule")]).inserted }.flatMap(tests)
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
      // Without reclaim, each step leaves a table behind.
      options.reserve = 1 << 30
      let table = try context.target.make(configuration, options)
      let span = subject.spans[0]
      let range = span.lowerBound...span.lowerBound + min(span.upperBound - span.lowerBound, space - 1)
      let peak = try sweep(table, range, size: subject.granule)
      // The tables on the way to one page.
      let level = table.root.level
      let needed = subject.pages(level: level, isRoot: true) + level * subject.pagesPerTable
      let bound = needed + spareTables * subject.pagesPerTable
      let details = [
        "\(Numbers.size(subject.granule)) every \(Numbers.size(step)) through \(Numbers.size(range.upperBound - range.lowerBound + 1)):"
          + " \(peak) pages of tables at most; one mapping needs \(needed), the bound is \(bound)"
      ]
      return isAsExpected(peak, bound) ? .pass(details: details) : .fail(details: details)
    }
  }

  /// Maps and unmaps through a range; returns the most pages of tables that there were.
  private static func sweep(_ table: any PageTableUnderTest, _ range: ClosedRange<UInt64>, size: UInt64)
    throws
    -> Int
  {
    var peak = table.tablePages
    for offset in stride(from: 0, through: range.upperBound - range.lowerBound, by: Int(step)) {
      let iova = range.lowerBound + offset
      let map = Operation.map(iova: iova, pa: 0, length: size, protection: .usual)
      try require(table.perform(map), .ok, of: map)
      peak = max(peak, table.tablePages)
      let unmap = Operation.unmap(iova: iova, length: size)
      try require(table.perform(unmap), .unmapped(size), of: unmap)
    }
    return peak
  }

  private static func require(
    _ result: OperationResult, _ expected: OperationResult, of operation: Operation
  ) throws {
    guard result == expected else {
      throw SelftestFailure("\(operation): expected \(expected.text), found \(result.text)")
    }
  }
}
