// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import ReferenceSpecs
import Testing

@testable import Compare

@Suite("Differences")
struct DifferenceTests {
  private static func comparison(
    _ text: String, left: ResolvedSide? = nil, right: CompareSide
  ) throws -> Comparison {
    let configuration = try FormatList.configuration(text)
    let rights = try right.resolve(configuration)
    return try Comparison(
      configuration, left: left ?? .generic(configuration), right: rights[0], library: .embedded)
  }

  @Test(
    "The generic algorithms agree with both other sides",
    arguments: [
      "amdv1", "x86_64", "vtdss", "riscv64", "armv8:stage=2", "arm_lpae32", "mali", "armv7s", "dart",
      "riscv64:features=flush_range+detailed_gather+sign_extend+svnapot_64k",
    ], [CompareSide(.reference), CompareSide(.legacy)])
  func agreement(_ text: String, _ right: CompareSide) throws {
    let comparison = try Self.comparison(text, right: right)
    let found = try comparison.runSystematic(part: 3, of: 16) ?? comparison.runEpisode(seed: 11, count: 60)
    #expect(found == nil, "\(found?.message ?? "")")
  }

  @Test(
    "Every planted fault is found, by the check that it is for",
    arguments: [
      (PlantedFault.leafBit, [CompareCheck.walk, .image]), (.lateSync, [.lifeCycle, .cache]),
      (.shortSync, [.cache, .lifeCycle]), (.keptLastWord, [.results, .walk, .image]),
      (.shortPointer, [.results, .walk, .image]), (.leak, [.lifeCycle]),
    ])
  func plantedFault(_ fault: PlantedFault, _ checks: [CompareCheck]) throws {
    let configuration = try FormatList.configuration("amdv1")
    for right in [CompareSide(.reference), CompareSide(.legacy)] {
      let comparison = try Self.comparison(
        "amdv1", left: .faulty(configuration, fault), right: right)
      let found = try #require(try comparison.firstDifference(budget: 1000))
      #expect(checks.contains(found.check), "\(found.check): \(found.message)")
    }
  }

  @Test("A difference is shrunk to the operations that it needs, and printed with all that reproduces it")
  func shrinking() throws {
    let configuration = try FormatList.configuration("amdv1")
    let point = ComparePoint(
      configuration, left: .faulty(configuration, .keptLastWord), right: .reference, mode: .systematic)
    let report = CompareRun(CompareBudget(), library: .embedded).run(point)
    let found = try #require(report.difference)
    // Words of one table, the last among them, are unmapped at once; what that leaves shows in the next operation.
    #expect(found.operations.count <= 3, "\(found.operations)")
    let lines = try DifferenceText(found, point, library: .embedded).lines
    let text = lines.joined(separator: "\n")
    for part in ["ptkit compare 'amdv1", "ptkit image 'amdv1", "case compare-", "--operations 'map "] {
      #expect(text.contains(part), "\(part) is missing in \(text)")
    }
  }

  @Test("Differing words are shown field by field")
  func fields() throws {
    let configuration = try FormatList.configuration("amdv1")
    let point = ComparePoint(
      configuration, left: .generic(configuration), right: .reference, mode: .random)
    let pair = WordPair(level: 0, iova: 0x1000, left: 0x7000_0001_2345_6001, right: 0x5000_0001_2345_6001)
    let difference = Difference(
      check: .image, message: "planted", operations: [], leftOperations: [], rightOperations: [], words: pair)
    let text = try DifferenceText(difference, point, library: .embedded).lines.joined(separator: "\n")
    #expect(text.contains("61 IR: 0x1"), "\(text)")
  }

  @Test("The same seed makes the same operations")
  func determinism() throws {
    let runs = try (0..<2).map { _ in
      let comparison = try Self.comparison("vtdss", right: CompareSide(.reference))
      _ = try comparison.firstDifference(budget: 300, seed: 7)
      return comparison.operationCount
    }
    #expect(runs[0] == runs[1])
  }

  @Test("All sequences of two operations of a small world agree", arguments: ["amdv1", "dart"])
  func exhaustive(_ text: String) throws {
    let found = try Self.comparison(text, right: CompareSide(.legacy)).runExhaustive(depth: 2)
    #expect(found == nil, "\(found?.message ?? "")")
  }
}
