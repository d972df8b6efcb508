// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import PageTable
import Testing

@Suite("Plans of comparisons")
struct PlanTests {
  private static let plan = ComparePlan(
    FormatList.all.flatMap(\.testConfigurations), left: CompareSide(.generic), right: CompareSide(.legacy),
    modes: CompareMode.allCases)

  @Test("Shards are disjoint, and together they are the whole", arguments: [1, 2, 7, 1000])
  func shards(_ count: Int) {
    func names(_ plan: ComparePlan) -> [String] { plan.points.map(\.name) + plan.gaps.map(\.name) }
    let parts = (1...count).flatMap { names(Self.plan.shard($0, of: count)) }
    #expect(parts.count == Set(parts).count)
    #expect(Set(parts) == Set(names(Self.plan)))
  }

  @Test("Names are unique")
  func names() {
    let names = Self.plan.points.map(\.name) + Self.plan.gaps.map(\.name)
    #expect(names.count == Set(names).count)
  }

  @Test("Sides are read, and what is wrong with one is said")
  func sides() throws {
    #expect(try CompareSide(text: "legacy:era=6.12") == CompareSide(.legacy, pairs: ["era=6.12"]))
    #expect(try CompareSide(text: "generic:contig=1").description == "generic:contig=1")
    #expect(throws: GrammarError.self) { try CompareSide(text: "legasy") }
    #expect(throws: GrammarError.self) { try CompareSide(text: "reference:a=b") }
    #expect(throws: GrammarError.self) { try CompareSide(text: "generic:contig") }
  }
}
