// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

@Suite("ptkit selftest")
struct SelftestTests {
  private let golden: Scratch

  init() throws {
    golden = try Scratch()
    _ = try golden.write(GoldenTests.good, to: "good.golden")
    _ = try golden.write("# none\n", to: "DIVERGENCES.md")
  }

  /// Runs with a small folder of golden files unless `environment` names another.
  private func selftest(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Run {
    try Run.ptkit(
      ["selftest"] + arguments,
      environment: ["PTKIT_GOLDEN": golden.folder.path].merging(environment) { $1 })
  }

  @Test("--list prints a line of three fields per test, with names that are unique")
  func list() throws {
    let run = try selftest(["--list"], ["PTKIT_GOLDEN": Places.golden.path])
    #expect(run.status == 0)
    let fields = run.lines.map { $0.components(separatedBy: "\t") }
    #expect(fields.allSatisfy { $0.count == 3 })
    #expect(fields.count > 300)
    let names = fields.map { $0[0].replacingOccurrences(of: ".", with: "_") }
    #expect(Set(names).count == names.count)
    for theme in [
      "golden", "roundtrip", "walker", "semantics", "events", "concurrency", "allocfail", "iova_stress",
    ] {
      #expect(fields.contains { $0[1] == theme && $0[0].hasPrefix("\(theme).") }, "\(theme)")
    }
  }

  @Test("names choose tests: whole names, first words, patterns")
  func choice() throws {
    let one = try selftest(["roundtrip.x86_64"])
    #expect(one.status == 0, "\(one.output)")
    #expect(one.streamDefects == [])
    #expect(one.points.allSatisfy { $0.name.hasPrefix("roundtrip.x86_64") })
    let pattern = try selftest(["--list", "roundtrip.*.sv57"])
    #expect(pattern.lines.count == 1)
    let both = try selftest(["--list", "roundtrip.x86_64", "roundtrip.*.sv57"])
    #expect(both.lines.count == one.points.count + 1)
  }

  @Test("an unknown test gets the nearest ones; the stream has its plan, the status is 64")
  func unknown() throws {
    let run = try selftest(["wlaker"])
    #expect(run.status == 64)
    #expect(run.errors.contains("did you mean walker"))
    #expect(run.streamDefects == [])
    #expect(run.points.map(\.name) == ["selftest.usage"])
    #expect(run.points.map(\.isOK) == [false])
  }

  @Test(
    "wrong options leave a stream with a plan and status 64",
    arguments: [["--sed", "1"], ["--seed", "x"], ["--target", "simm"], ["--seed"]])
  func wrongOption(arguments: [String]) throws {
    let run = try selftest(arguments)
    #expect(run.status == 64)
    #expect(run.streamDefects == [])
    #expect(run.points.count == 1)
    #expect(run.errors != "")
  }

  @Test("the seed is printed, and the same seed gives the same stream")
  func seed() throws {
    let first = try selftest(["walker.amdv1_mock", "--seed", "0x2a"])
    #expect(first.status == 0, "\(first.output)")
    #expect(first.lines.contains { $0.hasPrefix("# ") && $0.contains("seed 0x2a") })
    #expect(try selftest(["walker.amdv1_mock", "--seed", "42"]).output == first.output)
  }

  @Test("where there are no golden files, a skip stands for their tests")
  func noGolden() throws {
    let scratch = try Scratch()
    let copy = scratch.path("ptkit")
    try FileManager.default.copyItem(at: Places.binary, to: copy)
    let run = try Run.program(copy, ["selftest", "roundtrip.vtdss"])
    #expect(run.status == 0)
    #expect(run.streamDefects == [])
    let golden = try Run.program(copy, ["selftest", "golden"])
    #expect(golden.status == 0)
    #expect(golden.lines.contains("ok 1 golden.files # SKIP no golden files"))
    let listed = try Run.program(copy, ["selftest", "--list"]).lines.filter { $0.hasPrefix("golden") }
    #expect(listed.count == 1)
  }

  @Test("a golden file that does not parse fails; a folder without golden files is bad input")
  func badGolden() throws {
    let scratch = try Scratch()
    let environment = ["PTKIT_GOLDEN": scratch.folder.path]
    let empty = try selftest(["golden"], environment)
    #expect(empty.status == 65)
    #expect(empty.points.map(\.name) == ["selftest.input"])
    _ = try scratch.write("golden 1\nmop\n", to: "bad.golden")
    _ = try scratch.write("# none\n", to: "DIVERGENCES.md")
    let run = try selftest(["golden"], environment)
    #expect(run.status == 1)
    #expect(run.streamDefects == [])
    #expect(run.points.filter { !$0.isOK }.map(\.name) == ["golden.bad"])
  }

  @Test("a wrong word in a golden file fails the group's test")
  func wrongWord() throws {
    let scratch = try Scratch()
    let text = GoldenTests.good.replacingOccurrences(of: "0x7000000000001001", with: "0x7000000000001003")
    _ = try scratch.write(text, to: "wrong.golden")
    _ = try scratch.write("# none\n", to: "DIVERGENCES.md")
    let run = try selftest(["golden"], ["PTKIT_GOLDEN": scratch.folder.path])
    #expect(run.status == 1)
    #expect(run.points.filter { !$0.isOK }.map(\.name) == ["golden.wrong.amdv1"])
    #expect(run.streamDefects == [])
  }

  @Test("where all is skipped, the status is 4 under kselftest's runner and 0 elsewhere")
  func allSkipped() throws {
    let scratch = try Scratch()
    let environment = ["PTKIT_GOLDEN": scratch.folder.path]
    _ = try scratch.write(GoldenTests.old, to: "old.golden")
    _ = try scratch.write("# none\n", to: "DIVERGENCES.md")
    let run = try selftest(["golden.old"], environment)
    #expect(run.status == 0)
    #expect(run.points.map(\.directive) == ["# SKIP not bound"])
    let runner = environment.merging(["kselftest_timeout": "45"]) { $1 }
    #expect(try selftest(["golden.old"], runner).status == 4)
    #expect(try selftest(["golden"], runner).status == 0, "golden.divergences ran")
  }
}
