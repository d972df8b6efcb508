// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// Mistakes in a copy of a kernel tree's own code: `make check KSRC=` must see each.
@Suite(
  "kernel trees with a mistake", .enabled(if: KernelSources.linux73 != nil, "there is no tree of Linux 7.3"))
struct KernelFaultTests {
  private static let themes = ["golden", "walker", "semantics", "events", "allocfail"]
  private static let page = Places.repository.appendingPathComponent("docs/kernel-faults.md")
  private static let marks = ("<!-- table: written by KernelFaultTests -->", "<!-- end of table -->")

  @Test("each is caught, by the tests that docs/kernel-faults.md names; without it, these pass")
  func table() async throws {
    let tree = try #require(KernelSources.linux73)
    let faults = try KernelFault.all()
    #expect(faults.count >= 20)
    #expect(Set(faults.map(\.name)).count == faults.count)
    if ProcessInfo.processInfo.environment["PTKIT_REWRITE_FAULTS"] != nil {
      try Self.write(
        try await Self.each(faults) { fault in
          KernelFaultRow(
            fault: fault, tests: KernelFaultRow.firsts(try fault.failures(tree, themes: Self.themes)))
        })
    }
    let rows = try Self.read(faults)
    _ = try await Self.each(rows) { row in
      #expect(!row.tests.isEmpty, "nothing sees \(row.fault.name)")
      guard !row.tests.isEmpty else { return }
      let failures = try row.fault.failures(tree, names: row.tests.map(KernelFault.exactly))
      #expect(Set(failures) == Set(row.tests), "\(row.fault.name)")
    }
    try await control(tree, rows)
  }

  /// The tree as it is passes what the mistakes fail.
  private func control(_ tree: URL, _ rows: [KernelFaultRow]) async throws {
    let builds = Set(rows.map { [$0.fault.formats, $0.fault.options ?? ""] })
    _ = try await Self.each(Array(builds)) { build in
      let tests = rows.filter { [$0.fault.formats, $0.fault.options ?? ""] == build }.flatMap(\.tests)
      let scratch = try Scratch()
      let copy = try KernelSources.copy(of: tree, with: "none", in: scratch)
      let run = try KernelSources.selftest(
        copy, formats: build[0], options: build[1].isEmpty ? nil : build[1],
        Set(tests).map(KernelFault.exactly), scratch)
      #expect(run.status == 0, "\(build): \(run.output)")
      #expect(run.points.count == Set(tests).count + 1)
    }
  }

  @Test("an edit that does not change exactly one line is refused")
  func anchors() throws {
    let tree = try #require(KernelSources.linux73)
    let scratch = try Scratch()
    for name in ["faults", "plant"] {
      let file = Places.repository.appendingPathComponent("Tests/KernelFaults/\(name)")
      try FileManager.default.copyItem(at: file, to: scratch.path(name))
    }
    func plant(_ edit: String) throws -> Run {
      _ = try scratch.write(
        "fault x\nfile generic_pt/iommu_pt.h\nin __unmap_range\nedit \(edit)\nbuild amdv1\n", to: "faults")
      return try Run.program(scratch.path("plant"), ["x", tree.path, scratch.path("copy\(edit.count)").path])
    }
    #expect(try plant("s/no_such_text/x/").errors.contains("changes 0 lines"))
    #expect(try plant("s/pts.index/x/").status == 1)
    #expect(try plant("s/int ret = 0/int ret = 1/").status == 0)
  }

  // MARK: The page

  /// Runs work on each element, as many at a time as there are processors.
  private static func each<Element: Sendable, Result: Sendable>(
    _ elements: [Element], _ work: @escaping @Sendable (Element) throws -> Result
  ) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
      for (index, element) in elements.enumerated() { group.addTask { (index, try work(element)) } }
      return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  /// The rows of the page; it has those of the faults that there are, and no others.
  private static func read(_ faults: [KernelFault]) throws -> [KernelFaultRow] {
    let lines = try parts().table
    let known = Dictionary(faults.map { ($0.name, $0) }) { first, _ in first }
    let rows: [KernelFaultRow] = lines.dropFirst(4).compactMap { line in
      let cells = line.components(separatedBy: " | ")
      guard cells.count == 5, let fault = known[String(cells[0].dropFirst(2))] else { return nil }
      let tests = cells[4].components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(
        \.element)
      return KernelFaultRow(fault: fault, tests: tests)
    }
    #expect(lines == Self.lines(rows) && rows.map(\.fault.name) == faults.map(\.name), "\(again)")
    return rows
  }

  private static let again: Comment = "the page is not that of the faults: run with PTKIT_REWRITE_FAULTS=1"

  private static func lines(_ rows: [KernelFaultRow]) -> [String] {
    let history = rows.count { $0.fault.values["linux"] != nil }
    return [
      "\(rows.count) mistakes, \(rows.count { !$0.tests.isEmpty }) caught; \(history) were made in Linux once.",
      "",
      "| mistake | where | what goes wrong | Linux | first test of each theme that fails |",
      "|---|---|---|---|---|",
    ] + rows.map(\.line)
  }

  private static func parts() throws -> (before: String, table: [String], after: String) {
    let text = try String(contentsOf: page, encoding: .utf8)
    let from = try #require(text.range(of: marks.0 + "\n"))
    let to = try #require(text.range(of: marks.1))
    let table = text[from.upperBound..<to.lowerBound].split(separator: "\n", omittingEmptySubsequences: false)
    return (
      String(text[..<from.upperBound]), table.dropLast().map(String.init), String(text[to.lowerBound...])
    )
  }

  private static func write(_ rows: [KernelFaultRow]) throws {
    let (before, _, after) = try parts()
    let text = before + lines(rows).joined(separator: "\n") + "\n" + after
    try text.write(to: page, atomically: true, encoding: .utf8)
  }
}
