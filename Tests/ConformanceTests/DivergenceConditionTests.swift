// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import ReferenceSpecs
import Testing

@testable import Conformance

/// Each condition excuses its own finding in a vector of Linux's own code, and no other finding in the same case.
@Suite struct DivergenceConditionTests {
  @Test(arguments: DivergenceExample.all) func aConditionExcusesItsFinding(_ example: DivergenceExample)
    throws
  {
    let report = try example.report()
    #expect(report.outcome == .xfail("Linux"), "\(report.details)")
    #expect(report.appliedDivergences == [0])
  }

  @Test(arguments: DivergenceExample.all) func noOtherConditionExcusesIt(_ example: DivergenceExample) throws
  {
    #expect(try example.report(rows: []).outcome == .fail)
    let others = DivergenceCondition.allCases.filter { $0 != example.condition }
    #expect(try example.report(rows: others).outcome == .fail)
    #expect(try example.report(format: "amdv1_mock").outcome == .fail)
    #expect(try example.report(format: example.format).outcome == .xfail("Linux"))
  }

  /// Every bit of every word of the image, but those of pointers to tables that the images may differ in.
  @Test(arguments: DivergenceExample.all) func aFlippedBitStillFails(_ example: DivergenceExample) throws {
    let lines = example.text.split(separator: "\n").map(String.init)
    for (number, line) in lines.enumerated() where line.hasPrefix("T") && !example.isOptional(line) {
      var words = line.split(separator: " ").map(String.init)
      let value = try #require(Numbers.parse(words[3]))
      for bit in stride(from: 0, to: 64, by: 7) {
        words[3] = Numbers.hex(value ^ 1 << UInt64(bit))
        var changed = lines
        changed[number] = words.joined(separator: " ")
        #expect(
          try example.report(text: changed.joined(separator: "\n")).outcome == .fail, "\(changed[number])")
      }
    }
  }

  // MARK: Walks that are wrong in another way

  static let wrongWalks: [(DivergenceExample, UInt64, GoldenTranslation)] = [
    // Another bit than those that no word holds; a leaf of another size; a right that is missing; a fault.
    (.overflow, 0x1000, .page(0x1000, at: 0x4000)),
    (.overflow, 0x1000, .leaf(address: 0, first: 0x1000, last: 0x2fff, readable: true, writable: true)),
    (.overflow, 0x1000, .page(0x1000, at: 0, writable: false)),
    (.overflow, 0x0, .fault("none")),
    (.overflow, 0x0, .page(0, at: 0xf_ffff_ffff_e000)),
    // PA[13:12] are lost, and nothing else.
    (.lackingBits, 0x1000, .page(0x1000, at: 0x1_2345_0000)),
    (.lackingBits, 0x1000, .page(0x1000, at: 0x1_2345_4000, writable: false)),
    (.lackingBits, 0x1000, .fault("none")),
    (.encryptionBit, 0x0, .page(0, at: 0xf_7fff_ffff_e000)),
    (.encryptionBit, 0x0, .page(0, at: 0xf_7fff_ffff_f000, writable: false)),
    (.encryptionBit, 0x0, .fault("none")),
    (.encryptionBit, 0x1000, .page(0x1000, at: 0x5000)),
    (.sizeCode, 0xc_0000_0000_0000, .page(0xc_0000_0000_0000, at: 0x4_0000_0000_1000)),
    // Canonical addresses that fault, one that is not and does not, something where nothing leads to.
    (.pastLowerHalf, 0x3f_ffff_f000, .fault("none")),
    (.pastLowerHalf, 0x40_0000_0000, .page(0x40_0000_0000, at: 0x8000)),
    (.pastLowerHalf, 0x3f_ffff_e000, .page(0x3f_ffff_e000, at: 0x7000)),
    (.unmapPastLowerHalf, 0xffff_ffc0_0000_1000, .fault("none")),
    (.unmapPastLowerHalf, 0x1000, .fault("none")),
    (.lookupBelowUpperHalf, 0x3f_ffff_f000, .fault("none")),
    (.signBits, 0x1000, .fault("none")),
    (.signBits, 0xffff_ffff_ffe0_0000, .page(0xffff_ffff_ffe0_0000, at: 0)),
  ]

  @Test(arguments: 0..<wrongWalks.count) func anotherFindingStillFails(_ index: Int) throws {
    let (example, iova, translation) = Self.wrongWalks[index]
    let report = try example.report(environment: .skewed(at: iova, translation))
    #expect(report.outcome == .fail, "\(report.details)")
  }

  @Test func emptyTablesExcuseOnlyLegacyCasesWithAnUnmap() throws {
    let text = DivergenceExample.emptyTables.text
    let generic = text.replacing("behaviour legacy", with: "behaviour generic")
    #expect(try DivergenceExample.emptyTables.report(text: generic).outcome == .fail)
    let lines = text.split(separator: "\n").filter { !$0.contains("mappages 0x40000000") }
    #expect(try DivergenceExample.emptyTables.report(text: lines.joined(separator: "\n")).outcome == .fail)
    let more = text.replacing("-> T2\n", with: "-> T2\nT2 L0 [0x0] 0x1\n")
    #expect(try DivergenceExample.emptyTables.report(text: more).outcome == .fail)
  }

  // MARK: Images

  @Test func emptyTablesAreTakenOut() throws {
    func image(_ lines: String) throws -> TableImage {
      let text = DivergenceExample.overflow.head + "case a\nimage\n\(lines)\nend\n"
      return try GoldenFile(text: text, path: "f").sections[0].cases[0].image
    }
    let full = try image(
      """
      T0 L2 [0x0] 0x3 -> T1
      T0 L2 [0x1] 0x3 -> T3
      T0 L2 [0x2] 0x3 -> T5
      T0 L2 [0x3] 0x9
      T1 L1 [0x0] 0x3 -> T2
      T3 L1 [0x0] 0x3 -> T4
      T4 L0 [0x0] 0x5
      """)
    let pruned = try image(
      "T0 L2 [0x1] 0x3 -> T1\nT0 L2 [0x3] 0x9\nT1 L1 [0x0] 0x3 -> T2\nT2 L0 [0x0] 0x5")
    #expect(full.withoutEmptyTables == pruned)
    #expect(pruned.withoutEmptyTables == pruned)
    #expect(full.differsOnlyInEmptyTables(from: pruned) && pruned.differsOnlyInEmptyTables(from: full))
    #expect(!full.differsOnlyInEmptyTables(from: full))
    var other = pruned
    other.words[3].value = 0x7
    #expect(!full.differsOnlyInEmptyTables(from: other))
    #expect(try image("T0 L2 [0x0] 0x3 -> T1").withoutEmptyTables.words.isEmpty)
  }

  // MARK: The table

  @Test(arguments: [
    (
      "| @no-such | walk | why |",
      "D.md:3: expected a condition (\(DivergenceCondition.known)), found '@no-such'"
    ),
    (
      "| x86_64/@no-such | walk | why |",
      "D.md:3: expected a condition (\(DivergenceCondition.known)), found '@no-such'"
    ),
    (
      "| @not-canonical | image | why |",
      "D.md:3: expected the check 'walk' for @not-canonical, found 'image'"
    ),
  ])
  func wrongConditionsAreErrors(_ row: String, _ message: String) throws {
    let text = "| case | check | reason |\n|---|---|---|\n\(row)\n"
    let error = try #require(throws: GoldenParseError.self) { try Divergences(text: text, path: "D.md") }
    #expect(error.description == message)
  }

  @Test func aConditionThatNeverAppliedIsUnused() throws {
    let table = DivergenceExample.table([.notCanonical, .outputRangeOverflows])
    let report = try DivergenceExample.overflow.report(rows: [.notCanonical, .outputRangeOverflows])
    let unused = try Divergences(text: table, path: "D.md").unused(after: [report])
    #expect(unused.map(\.condition) == [.notCanonical])
    #expect(
      try Divergences(text: table, path: "D.md").complaint(about: unused[0])
        == "D.md:3: no case meets '@not-canonical' and fails in 'walk'")
  }

  @Test func patternsDoNotMatchConditions() throws {
    let table = "| case | check | reason |\n|---|---|---|\n| *-overflows | walk | Linux |\n"
    let divergences = try Divergences(text: table, path: "D.md")
    let report = try #require(
      try Tiny.check(DivergenceExample.overflow.text, .kit(.embedded), divergences: divergences).first)
    #expect(report.outcome == .fail)
  }
}
