// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import ReferenceSpecs
import Testing

@testable import Compare

@Suite("Rules")
struct RuleTests {
  @Test("Rules have unique names, a scope and a reason")
  func table() {
    #expect(Set(CompareRule.all.map(\.name)).count == CompareRule.all.count)
    for rule in CompareRule.all {
      #expect(!rule.scope.isEmpty && !rule.excuses.isEmpty && !rule.reason.isEmpty)
    }
  }

  @Test("A rule that could have applied and did not is reported")
  func unused() throws {
    let configuration = try FormatList.configuration("vtdss")
    let right = try CompareSide(.legacy).resolve(configuration)[0]
    let comparison = try Comparison(
      configuration, left: .generic(configuration), right: right, library: .embedded)
    #expect(comparison.tally.unused.contains("vtd-read-with-write"))
    let found = try comparison.run([.map(iova: 0, pa: 0, length: 4096, protection: .write)])
    #expect(found == nil, "\(found?.message ?? "")")
    #expect(!comparison.tally.unused.contains("vtd-read-with-write"))
    #expect(comparison.tally.unused.contains("keeps-old"))
  }

  @Test("A side that does not do what its rule says is reported")
  func resultsAreNarrow() throws {
    // The generic algorithms in the place of Arm's driver: EADDRINUSE where the rule has EEXIST.
    let configuration = try FormatList.configuration("armv8")
    let legacy = try CompareSide(.legacy).resolve(configuration)[0]
    var right = legacy
    right.make = ResolvedSide.generic(configuration).make
    let comparison = try Comparison(
      configuration, left: .generic(configuration), right: right, library: .embedded)
    let map = Operation.map(iova: 0, pa: 0, length: 4096, protection: [.read, .write])
    #expect(try comparison.run([map]) == nil)
    #expect(try comparison.run([map, map])?.check == .results)
    // The driver's own code is excused.
    let own = try Comparison(configuration, left: .generic(configuration), right: legacy, library: .embedded)
    #expect(try own.run([map, map]) == nil)
    #expect(own.tally.counts["busy-is-exist"] == 1)
  }

  @Test("A rule about words changes the bits that it names and no others")
  func wordsAreNarrow() throws {
    let configuration = try FormatList.configuration("vtdss")
    let right = try CompareSide(.legacy).resolve(configuration)[0]
    let world = try CompareWorld(
      configuration, left: .generic(configuration), right: right, library: .embedded)
    func context(_ protection: Protection) -> WordContext {
      let leaf = LeafList.Leaf(start: 0, size: 4096, pa: 0, protection: protection, isDirty: false)
      return WordContext(reference: world.reference, level: 0, index: 0, leaf: leaf)
    }
    #expect(world.expected(0x1002, context(.write)) == 0x1003)
    #expect(world.expected(0x1003, context([.read, .write])) == 0x1003)
    #expect(world.expected(0x1001, context(.read)) == 0x1001)
    // Without a leaf that is for writes alone, nothing is excused.
    #expect(world.expected(0x1002, context(.read)) == 0x1002)
  }
}
