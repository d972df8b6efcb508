// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

@Suite("ptkit golden")
struct GoldenTests {
  /// A golden file with one entry and one case, both right.
  static let good = """
    golden 1
    source by hand
    behaviour generic
    format amdv1
    config

    entry leaf level=0 pa=0x123456000 size=0x1000 prot=rw = 0x7000000123456001

    case one-page
    map 0x0 0x1000 0x1000 rw => ok
    image
    T0 L2 [0x0] 0x6000000000000401 -> T1
    T1 L1 [0x0] 0x6000000000000201 -> T2
    T2 L0 [0x0] 0x7000000000001001
    tables 3
    end

    """

  /// A golden file with one case, whose code is older than what the checks bind.
  static let old = """
    golden 1
    source Linux 5.10 drivers/iommu/amd/iommu.c
    behaviour legacy
    format amdv1
    config era=5.10
    case old
    map 0x0 0x1000 0x1000 rw => ok
    image
    tables 3
    end

    """

  private func check(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Run {
    try Run.ptkit(["golden", "check"] + arguments, environment: environment)
  }

  @Test("a point per entry and case, in one stream")
  func points() throws {
    let scratch = try Scratch()
    let run = try check([try scratch.write(Self.good, to: "good.golden")])
    #expect(run.status == 0, "\(run.output)")
    #expect(run.streamDefects == [])
    #expect(run.points.map(\.name).contains("golden.good.amdv1.one-page"))
    #expect(run.points.count == 2)
    #expect(run.output.contains("# 2 of 2 vectors bind: 2 passed"))
    #expect(run.errors == "")
  }

  @Test("--summary prints a point per file and configuration")
  func summary() throws {
    let scratch = try Scratch()
    let run = try check(["--summary", try scratch.write(Self.good, to: "good.golden")])
    #expect(run.points.map(\.name) == ["golden.good.amdv1"])
    #expect(run.streamDefects == [])
  }

  @Test(
    "a wrong word, result, note or table count fails",
    arguments: [
      ("0x7000000123456001", "0x7000000123456003"), ("rw => ok", "rw => EADDRINUSE"),
      ("rw => ok", "rw => ok  ! sync 0x0..0xfff"), ("0x7000000000001001", "0x7000000000002001"),
      ("tables 3", "tables 4"),
    ])
  func wrong(right: String, wrong: String) throws {
    let scratch = try Scratch()
    let text = Self.good.replacingOccurrences(of: right, with: wrong)
    for options in [[], ["--summary"]] {
      let run = try check(options + [try scratch.write(text, to: "wrong.golden")])
      #expect(run.status == 1)
      #expect(run.points.filter { !$0.isOK }.count == 1)
      #expect(run.streamDefects == [])
      #expect(run.output.contains("wrong.golden:"), "the place is named")
    }
  }

  @Test("a file that does not parse is named with its line; the stream has its plan, the status is 65")
  func badFile() throws {
    let scratch = try Scratch()
    let bad = try scratch.write(Self.good + "mop 0x0\n", to: "bad.golden")
    let good = try scratch.write(Self.good, to: "good.golden")
    let run = try check([bad, good])
    #expect(run.status == 65)
    #expect(run.streamDefects == [])
    #expect(run.points.filter { !$0.isOK }.map(\.name) == ["golden.bad"])
    #expect(run.points.filter(\.isOK).count == 2, "nothing of the bad file counts")
    #expect(run.errors.contains("bad.golden:17: expected"))
  }

  @Test("a path that does not exist, or an empty folder, leaves a stream with a plan and status 65")
  func missing() throws {
    let scratch = try Scratch()
    for path in ["nonexistent.golden", scratch.folder.path] {
      let run = try check([path])
      #expect(run.status == 65)
      #expect(run.streamDefects == [])
      #expect(run.points.map(\.name) == ["golden.input"])
      #expect(run.errors.contains(path))
    }
  }

  @Test("an unknown option leaves a stream with a plan and status 64")
  func unknownOption() throws {
    let run = try check(["--sumary"])
    #expect(run.status == 64)
    #expect(run.streamDefects == [])
    #expect(run.points.map(\.isOK) == [false])
    #expect(run.errors.contains("--summary"))
  }

  @Test("where nothing binds, the status is 4 under kselftest's runner and 0 elsewhere")
  func allSkipped() throws {
    let scratch = try Scratch()
    let file = try scratch.write(Self.old, to: "old.golden")
    let run = try check([file])
    #expect(run.status == 0)
    #expect(run.points.map(\.directive) == ["# SKIP not bound"])
    #expect(try check([file], ["kselftest_timeout": "45"]).status == 4)
    let good = try scratch.write(Self.good, to: "good.golden")
    #expect(try check([file, good], ["kselftest_timeout": "45"]).status == 0)
  }

  @Test("the repository's own vectors of a format pass, found by $PTKIT_GOLDEN, with its divergences")
  func repository() throws {
    let environment = ["PTKIT_GOLDEN": Places.golden.path]
    let run = try check(["--summary", Places.golden.appendingPathComponent("vtdss").path], environment)
    #expect(run.status == 0, "\(run.output)")
    #expect(run.streamDefects == [])
  }

  @Test("a divergence of the folder turns a failure into an expected one; a row without use fails")
  func divergences() throws {
    let scratch = try Scratch()
    let text = Self.good.replacingOccurrences(of: "tables 3", with: "tables 4")
    _ = try scratch.write(text, to: "wrong.golden")
    let header = "| case | check | reason |\n|---|---|---|\n"
    _ = try scratch.write(header + "| one-page | tables | by hand |\n", to: "DIVERGENCES.md")
    let excused = try check([scratch.folder.path])
    #expect(excused.status == 0, "\(excused.output)")
    #expect(
      excused.points.filter { $0.directive.hasPrefix("# XFAIL") }.map(\.name) == [
        "golden.wrong.amdv1.one-page"
      ])
    _ = try scratch.write(
      header + "| one-page | tables | by hand |\n| two-pages | image | none |\n", to: "DIVERGENCES.md")
    let idle = try check([scratch.folder.path])
    #expect(idle.status == 1)
    #expect(idle.points.filter { !$0.isOK }.map(\.name) == ["golden.divergences"])
  }

  @Test("propose writes beside the file, leaves the file alone and fails")
  func propose() throws {
    let scratch = try Scratch()
    let text = Self.good.replacingOccurrences(of: "tables 3", with: "tables 4")
    let file = try scratch.write(text, to: "wrong.golden")
    let run = try Run.ptkit(["golden", "propose", file])
    #expect(run.status == 1)
    #expect(run.output.contains("wrong.golden.new"))
    #expect(try String(contentsOfFile: file, encoding: .utf8) == text)
    #expect(try String(contentsOfFile: file + ".new", encoding: .utf8) == Self.good)
  }

  @Test("propose has nothing to say of a file that is right, and refuses one that does not parse")
  func nothingToPropose() throws {
    let scratch = try Scratch()
    let file = try scratch.write(Self.good, to: "good.golden")
    #expect(try Run.ptkit(["golden", "propose", file]).status == 0)
    #expect(!FileManager.default.fileExists(atPath: file + ".new"))
    let bad = try scratch.write("golden 2\n", to: "bad.golden")
    let run = try Run.ptkit(["golden", "propose", bad])
    #expect(run.status == 65)
    #expect(run.output == "")
  }
}
