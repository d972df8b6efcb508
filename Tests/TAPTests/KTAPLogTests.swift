// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import TAP
import Testing

/// Logs of real runs (Logs/README.md says of which), and what becomes of them when something is lost.
@Suite struct KTAPLogTests {
  /// A log, what it holds, and some of the names.
  struct Log: CustomTestStringConvertible, Sendable {
    let file: String
    let totals: String
    let names: [String]
    var testDescription: String { file }
  }

  static let logs = [
    Log(
      file: "prove.txt", totals: "pass:5 fail:1 xfail:1 xpass:0 skip:2 error:2",
      names: [
        "t-none.t", "t-short.t.missing_result.3", "t-walk.t.a-table-maps-2-MiB", "t-walk.t.levels.level-1",
      ]),
    Log(
      file: "node.txt", totals: "pass:2 fail:1 xfail:1 xpass:0 skip:1 error:0",
      names: ["walk.level-0", "walk.level-1", "free", "map"]),
    Log(
      file: "glib.txt", totals: "pass:2 fail:1 xfail:1 xpass:0 skip:1 error:0",
      names: ["growth", "walk.level0", "walk.deep.free"]),
    Log(
      file: "generic_pt-dmesg.txt", totals: "pass:241 fail:0 xfail:0 xpass:0 skip:18 error:0",
      names: [
        "amdv1_iommu_test.test_increase_level.amdv1_cfg_0",
        "riscv_64_fmt_test.test_attr_from_entry.riscv_64_cfg_2",
        "x86_64_iommu_test.test_mixed.x86_64_cfg_3",
      ]),
    Log(
      file: "amdv1_fmt_test.txt", totals: "pass:22 fail:0 xfail:0 xpass:0 skip:0 error:0",
      names: ["amdv1_fmt_test.test_dirty.amdv1_cfg_1"]),
    Log(
      file: "iommufd.txt", totals: "pass:2 fail:1 xfail:0 xpass:0 skip:0 error:0",
      names: ["iommufd.simple_close", "iommufd_ioas.no_domain.area_auto_iova"]),
    Log(
      file: "amdv1_iommu_test-smp.txt", totals: "pass:4 fail:9 xfail:0 xpass:0 skip:1 error:0",
      names: ["amdv1_iommu_test.test_map_simple.amdv1_cfg_1", "amdv1_iommu_test.test_mixed.amdv1_cfg_0"]),
    Log(
      file: "kselftest.txt", totals: "pass:236 fail:13 xfail:0 xpass:0 skip:5 error:0",
      names: [
        "iommu.iommufd.iommufd.simple_close", "iommu.iommufd.iommufd_ioas.mock_domain.area_auto_iova",
        "iommu.iommufd_fail_nth.basic_fail_nth.access_rw",
      ]),
  ]

  private static func text(_ file: String) throws -> String {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Logs")
    return try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
  }

  private static func results(_ lines: some Sequence<Substring>) -> [TAPResult]? {
    try? KTAPReader.read(lines.joined(separator: "\n")).results()
  }

  private static func totals(_ results: [TAPResult]) -> String {
    let counts = TAPOutcome.allCases.sorted { order($0) < order($1) }.map { outcome in
      "\(outcome.rawValue):\(results.count { $0.outcome == outcome })"
    }
    return counts.joined(separator: " ")
  }

  private static func order(_ outcome: TAPOutcome) -> Int {
    [TAPOutcome.pass, .fail, .xfail, .xpass, .skip, .error].firstIndex(of: outcome) ?? 0
  }

  @Test(arguments: logs)
  func logsOfRealRunsAreReadInFull(log: Log) throws {
    let results = try KTAPReader.read(try Self.text(log.file), file: log.file).results()
    #expect(Self.totals(results) == log.totals)
    let names = Set(results.map(\.name))
    #expect(names.count == results.count && names.isSuperset(of: log.names))
    for name in names { #expect(TAPName.isValid(name)) }
  }

  @Test(arguments: logs)
  func carriageReturnsAndTimestampsMakeNoDifference(log: Log) throws {
    let lines = try Self.text(log.file).split(separator: "\n", omittingEmptySubsequences: false)
    // Those of dmesg have theirs.
    guard !log.file.contains("dmesg") else { return }
    let plain = try #require(Self.results(lines)).map { [$0.name, $0.outcome.rawValue] }
    let stamped = lines.enumerated().map { Substring("<6>[\(100 + $0.offset).000001][ T1] \($0.element)\r") }
    let console = lines.map { Substring("\u{1b}[0m\($0)\r\r") }
    #expect(Self.results(stamped)?.map { [$0.name, $0.outcome.rawValue] } == plain)
    #expect(Self.results(console)?.map { [$0.name, $0.outcome.rawValue] } == plain)
  }

  // MARK: What is lost

  /// The lines of a log, and those of them that are results.
  private static func parts(_ file: String) throws -> (lines: [Substring], results: [Int]) {
    let lines = try text(file).split(separator: "\n", omittingEmptySubsequences: false)
    let isResult = { (line: Substring) in line.firstMatch(of: /^(\[[ 0-9.]+\] )?[ #]*(not )?ok [0-9]/) != nil
    }
    return (lines, lines.indices.filter { isResult(lines[$0]) })
  }

  /// What a list of results says, their details apart.
  private static func summary(_ results: [TAPResult]?) -> [String] {
    results?.map { "\($0.outcome) \($0.name)" } ?? []
  }

  /// Logs with a step between the lines that are tried, so that large ones take no long time.
  static let damaged = [
    ("amdv1_fmt_test.txt", 1), ("amdv1_iommu_test-smp.txt", 1), ("iommufd.txt", 1),
    ("generic_pt-dmesg.txt", 151),
    ("kselftest.txt", 151),
  ]

  @Test(arguments: damaged)
  func aLostResultIsSeen(file: String, step: Int) throws {
    let (lines, results) = try Self.parts(file)
    let whole = Set(Self.summary(Self.results(lines)))
    for index in stride(from: 0, to: results.count, by: step).map({ results[$0] }) {
      var rest = lines
      rest.remove(at: index)
      let new = Set(Self.summary(Self.results(rest))).subtracting(whole)
      #expect(new.contains { $0.hasPrefix("error ") }, "line \(index + 1)")
    }
  }

  @Test(arguments: damaged)
  func aFlippedResultIsSeen(file: String, step: Int) throws {
    let (lines, results) = try Self.parts(file)
    let whole = Set(Self.summary(Self.results(lines)))
    for index in stride(from: 0, to: results.count, by: step).map({ results[$0] }) {
      // A skipped test is one whether the line says ok or not, and a suite's line says less than those below it.
      guard !lines[index].contains("# SKIP"), !lines[index].hasPrefix("not ok 1 amdv1") else { continue }
      var changed = lines
      changed[index] = Substring(
        lines[index].contains("not ok ")
          ? lines[index].replacing("not ok ", with: "ok ")
          : lines[index].replacing("ok ", with: "not ok ", maxReplacements: 1))
      let new = Set(Self.summary(Self.results(changed))).subtracting(whole)
      #expect(new.contains { $0.hasPrefix("error ") || $0.hasPrefix("fail ") }, "line \(index + 1)")
    }
  }

  @Test(arguments: damaged)
  func aTruncatedLogIsSeen(file: String, step: Int) throws {
    let (lines, results) = try Self.parts(file)
    let whole = Set(Self.summary(Self.results(lines)))
    for end in stride(from: 1, through: results[results.count - 1], by: step) {
      // What has no TAP in it cannot be read.
      guard let cut = Self.results(lines[..<end]) else { continue }
      let new = Set(Self.summary(cut)).subtracting(whole)
      #expect(new.contains { $0.hasPrefix("error ") }, "after line \(end)")
    }
  }
}
