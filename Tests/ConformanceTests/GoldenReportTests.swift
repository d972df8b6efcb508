// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import PageTable
import Testing

@testable import Conformance

@Suite struct GoldenReportTests {
  // MARK: Divergences

  static let table = """
    # Divergences
    | some | other | table |
    |---|---|---|
    | a | b | c |

    | case | check | reason |
    |:---|---|---:|
    | `tiny/map-*` | image | Linux is wrong |
    | map-unmap | walk | the manual says so |
    text
    | not | a row |
    """

  @Test func divergencesTurnFailuresIntoExpectedOnes() throws {
    let divergences = try Divergences(text: Self.table, path: "D.md")
    #expect(divergences.rows.map(\.pattern) == ["tiny/map-*", "map-unmap"])
    let wrong = Tiny.text.replacing("[0x1] 0x5009", with: "[0x1] 0x500b")
    let reports = try Tiny.check(wrong, divergences: divergences)
    #expect(reports.last?.outcome == .xfail("Linux is wrong"))
    #expect(reports.last?.details.count == 1)
    #expect(divergences.unused(after: reports).map(\.line) == [9])
    #expect(
      divergences.complaint(about: divergences.rows[1])
        == "D.md:9: no case matches 'map-unmap' and fails in 'walk'")
    #expect(divergences.unused(after: try Tiny.check(Tiny.text)).count == 2)
    // A finding that no row excuses fails the case all the same.
    let more = wrong.replacing("tables 5", with: "tables 6")
    #expect(try Tiny.check(more, divergences: divergences).last?.outcome == .fail)
  }

  @Test(arguments: [
    (
      "| a | walks | why |",
      "D.md:3: expected a check (configuration, entry, results, notes, image, tables, reference, walk, legacy), found 'walks'"
    ),
    ("| a | walk |", "D.md:3: expected case, check and reason, found 2 columns"),
    ("| | walk | why |", "D.md:3: expected a case, found an empty cell"),
    ("| a | walk | |", "D.md:3: expected a reason, found an empty cell"),
  ])
  func wrongRowsAreErrors(_ row: String, _ message: String) throws {
    let text = "| case | check | reason |\n|---|---|---|\n\(row)\n"
    let error = try #require(throws: GoldenParseError.self) { try Divergences(text: text, path: "D.md") }
    #expect(error.description == message)
  }

  @Test(arguments: [
    ("abc", "abc", true), ("abc", "ab", false), ("abc", "*", true), ("abc", "a*", true), ("abc", "*c", true),
    ("abc", "a*c", true), ("abc", "a*b", false), ("abab", "ab*ab", true), ("aba", "ab*ba", false),
    ("xaybz", "*a*b*", true), ("xbyaz", "*a*b*", false), ("", "*", true),
  ])
  func patterns(_ text: String, _ pattern: String, _ matches: Bool) {
    #expect(Divergences.matches(text, pattern: pattern) == matches)
  }

  // MARK: Names

  @Test func namesAreValidAndUnique() throws {
    let item = "image\nend\n"
    let text =
      "golden 1\nsource Linux 7.3\nbehaviour legacy\nformat tiny\nconfig era=6.12\ncase a.b\n\(item)case a-b\n\(item)"
      + "case ünï/x\n\(item)config va=30\ncase a.b\n\(item)config what=a+b use=x\ncase a.b\n\(item)"
      + "entry table level=1 pa=0 = 1\nentry table level=1 pa=0 = 2\n"
    var plan = GoldenPlan()
    for path in ["x/one.golden", "y/one.golden", "y/one.golden", "two"] {
      plan.add(try GoldenFile(text: text, path: path), environment: Tiny.environment())
    }
    plan.addFailure(GoldenParseError(path: "z/one.golden", line: 1, message: "m"))
    let names =
      plan.groups.map(\.name) + plan.groups.flatMap { $0.items.map(\.name) } + plan.failures.map(\.name)
    let pattern = try Regex("^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$")
    for name in names { #expect(name.wholeMatch(of: pattern) != nil, "\(name)") }
    #expect(Set(names.map { $0.replacing(".", with: "_") }).count == names.count)
    #expect(plan.groups[0].name == "golden.one.tiny.era6-12")
    #expect(plan.groups[0].items.map(\.name).first == "golden.one.tiny.era6-12.a-b")
    #expect(plan.groups[3].name == "golden.y-one.tiny.era6-12")
  }

  @Test func sectionsOfOneConfigurationAreOneGroup() throws {
    let item = "image\nend\n"
    let head = "golden 1\nsource Linux 7.3\nbehaviour generic\nformat tiny\n"
    let text = head + "config\ncase a\n\(item)config va=30\ncase a\n\(item)config va=39\ncase b\n\(item)"
    var plan = GoldenPlan()
    plan.add(try GoldenFile(text: text, path: "t.golden"), environment: Tiny.environment())
    #expect(plan.groups.map(\.name) == ["golden.t.tiny", "golden.t.tiny.va30"])
    #expect(plan.groups.map { $0.items.map(\.title) } == [["a", "b"], ["a"]])
    #expect(plan.itemCount == 3)
  }

  @Test func aFileThatDoesNotParseHasNoItems() {
    var plan = GoldenPlan()
    plan.add(path: "/nonexistent/x.golden", environment: Tiny.environment())
    #expect(plan.groups.isEmpty && plan.itemCount == 0)
    #expect(plan.failures.map(\.name) == ["golden.x"])
    #expect(plan.failures[0].error.description.hasPrefix("/nonexistent/x.golden: cannot be opened"))
  }

  // MARK: Outcomes

  @Test func groupsAndTotals() {
    func group(_ outcomes: [GoldenOutcome]) -> GoldenGroupReport {
      GoldenGroupReport(
        name: "g",
        items: outcomes.map { GoldenItemReport(name: "n", location: "f:1", outcome: $0, details: ["d"]) })
    }
    #expect(group([.pass, .skip(.notBound), .xfail("r"), .fail]).outcome == .fail)
    #expect(group([.pass, .skip(.notBound), .xfail("r")]).outcome == .pass)
    #expect(group([.skip(.notBound), .xfail("r")]).outcome == .xfail("r"))
    #expect(
      group([.skip(.notBound), .skip(.resultsDiffer), .skip(.resultsDiffer)]).outcome == .skip(.resultsDiffer)
    )
    #expect(group([]).outcome == .pass)
    var tally = group([.pass, .pass, .fail, .xfail("r"), .skip(.notBound), .skip(.resultsDiffer)]).tally
    #expect(tally.bound == 4 && tally.total == 6)
    tally += group([.skip(.notBound)]).tally
    #expect(
      tally.summary
        == "4 of 7 vectors bind: 2 passed, 1 failed, 1 failed as DIVERGENCES.md says; "
        + "3 skipped (2 not bound, 1 results differ)")
    let failing = group(Array(repeating: .fail, count: 7))
    #expect(failing.details(limit: 2).last == "and 5 more")
    #expect(failing.details(limit: 2).count == 6)
  }

  // MARK: Writing

  @Test func whatIsWrittenParsesToTheSame() throws {
    func withoutLines(_ file: GoldenFile) -> GoldenFile {
      var file = file
      for section in file.sections.indices {
        file.sections[section].line = 0
        for entry in file.sections[section].entries.indices { file.sections[section].entries[entry].line = 0 }
        for item in file.sections[section].cases.indices {
          file.sections[section].cases[item].lines = 0...0
          for step in file.sections[section].cases[item].steps.indices {
            file.sections[section].cases[item].steps[step].line = 0
          }
        }
      }
      return file
    }
    let more = """
      entry leaf level=0 pa=0 size=4K prot=cache dirty accessed=0 = 0x1
      config era=6.12 va=30
      behaviour legacy
      case every-operation
      maprange 0 0 8K w => ENOMEM 4K
      mappages 0 0 4K 2 r,noexec,mmio,priv => ok 8K  ! warn ! top level=3
      unmappages 0 4K 2 => 8K  ! sync 0..0x1fff free=3
      setdirty 0 => EOPNOTSUPP
      dirty 0 8K keep => 0x0+0x1000 0x1000+0x1000
      dirty 0 8K clear => none
      dirty 0 0 clear => EINVAL
      allocbudget 3
      allocbudget unlimited
      image
      T0 L1 [0] 3 -> T1
      T0 L1 [1] 3 -> T2
      T1 L0 [0..9] 0x1000 step 0x1000
      T2 L0 [0..9] 0x1000
      end
      """
    let file = withoutLines(try GoldenFile(text: Tiny.text + more, path: "f"))
    let written = GoldenWriter.render(file)
    #expect(withoutLines(try GoldenFile(text: written, path: "f")) == file)
    #expect(written.contains("T1 L0 [0x0..0x9] 0x1000 step 0x1000\nT2 L0 [0x0..0x9] 0x1000\n"))
  }

  @Test func aCaseRecordsWhatHappens() throws {
    let file = try GoldenFile(text: Tiny.text, path: "f")
    let golden = file.sections[0].cases[0]
    let table = TinyTable(try Tiny.schema.configuration([]), base: 0x1000)
    let found = try GoldenCase(name: golden.name, running: golden.steps.map(\.operation), on: table)
    #expect(GoldenWriter.lines(found) == GoldenWriter.lines(golden))
  }

  @Test func proposalsStandBesideTheFile() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "golden-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "tiny.golden").path
    try Tiny.text.write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try GoldenProposal.write(path: path, environment: Tiny.environment()) == nil)
    #expect(!FileManager.default.fileExists(atPath: path + ".new"))

    let wrong = "# kept\n" + Tiny.text.replacing("0x7009", with: "0x700b").replacing("0x500d", with: "0x1")
    try wrong.write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try GoldenProposal.write(path: path, environment: Tiny.environment()) == path + ".new")
    #expect(try String(contentsOfFile: path, encoding: .utf8) == wrong)
    let proposed = try String(contentsOfFile: path + ".new", encoding: .utf8)
    #expect(proposed.hasPrefix("# kept\ngolden 1\n"))
    #expect(try Tiny.check(proposed).allSatisfy { $0.outcome == .pass })
    #expect(try GoldenPaths.expand([folder.path]) == [path])
    #expect(try GoldenPaths.expand([path + ".new"]) == [path + ".new"])
    #expect(throws: GoldenParseError.self) { try GoldenPaths.expand([path + ".missing"]) }
  }

  // MARK: What operations leave mapped

  @Test func mappingsFollowResults() throws {
    func step(_ text: String) throws -> GoldenCase.Step {
      let file = try GoldenFile(text: GoldenParserTests.header + "case a\n\(text)\nimage\nend", path: "f")
      return file.sections[0].cases[0].steps[0]
    }
    let steps = try [
      "map 0x1000 0x10000 0x4000 rw => ok", "map 0x9000 0 0x1000 r => EADDRINUSE",
      "maprange 0x8000 0x20000 0x3000 r => ENOMEM 0x1000", "mappages 0x20000 0 4K 2 r => ok 0x1000",
      "unmap 0x2000 0x1000 => 0x1000", "unmappages 0x20000 4K 1 => 0x2000",
      "map 0xfffffffffffff000 0 0x1000 w => ok",
    ].map(step)
    let mappings = GoldenMappings(steps)
    #expect(
      mappings.ranges == [
        .init(first: 0x1000, last: 0x1fff, address: 0x10000, protection: [.read, .write]),
        .init(first: 0x3000, last: 0x4fff, address: 0x12000, protection: [.read, .write]),
        .init(first: 0x8000, last: 0x8fff, address: 0x20000, protection: .read),
        .init(first: 0xffff_ffff_ffff_f000, last: .max, address: 0, protection: .write),
      ])
    #expect(mappings.contains(0x4fff) && !mappings.contains(0x2000) && mappings.contains(.max))
  }
}
