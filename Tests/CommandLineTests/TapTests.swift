// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

@Suite("ptkit tap")
struct TapTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func log(_ name: String, _ text: String) throws -> String {
    let file = scratch.path(name)
    try text.write(to: file, atomically: false, encoding: .utf8)
    return file.path
  }

  private static let kunit = """
    [    1.000001] KTAP version 1
    [    1.000002] 1..1
    [    1.000003]     KTAP version 1
    [    1.000004]     # Subtest: pt
    [    1.000005]     1..2
    [    1.000006]         # Subtest: map
    [    1.000007]         ok 1 4 KiB
    [    1.000008]         ok 2 2 MiB # SKIP no memory
    [    1.000009]     ok 1 map
    [    1.000010]     ok 2 unmap
    [    1.000011] ok 1 pt
    """

  @Test("logs are merged below their prefixes")
  func merge() throws {
    let files = [try log("dmesg", Self.kunit), try log("tap", "TAP version 13\n1..1\nok 1 - unmap\n")]
    let run = try Run.ptkit(["tap", "--prefix", "kunit", "--prefix", "own"] + files)
    #expect(run.status == 0 && run.errors == "" && run.streamDefects.isEmpty)
    #expect(
      run.points.map(\.name) == ["kunit.pt.map.4-KiB", "kunit.pt.map.2-MiB", "kunit.pt.unmap", "own.unmap"])
    #expect(run.points.map(\.directive) == ["", "# SKIP", "", ""])
    #expect(run.lines.contains("# skip: no memory"))
    #expect(run.lines.last == "# Totals: pass:3 fail:0 xfail:0 xpass:0 skip:1 error:0")
  }

  @Test("a name that occurs twice is changed, and that is said")
  func twice() throws {
    let file = try log("dmesg", Self.kunit)
    let run = try Run.ptkit(["tap", "--prefix", "a", file, file])
    #expect(run.status == 0 && run.streamDefects.isEmpty && run.points.count == 6)
    #expect(run.points.map(\.name).contains("a.pt.unmap-2"))
    #expect(run.lines.contains("# result 2 of the name a.pt.unmap"))
  }

  @Test("a log that ends too early is a failure")
  func truncated() throws {
    let lines = Self.kunit.split(separator: "\n")
    let run = try Run.ptkit(["tap", try log("dmesg", lines.dropLast(2).joined(separator: "\n"))])
    #expect(run.status == 1 && run.streamDefects.isEmpty)
    #expect(run.points.filter { !$0.isOK }.map(\.name) == ["pt.missing_result.2", "pt"])
  }

  @Test("where all is skipped, kselftest's runner is told so")
  func skipped() throws {
    let file = try log("tap", "TAP version 13\n1..0 # SKIP no device\n")
    #expect(try Run.ptkit(["tap", file]).status == 0)
    let run = try Run.ptkit(["tap", "--prefix", "own", file], environment: ["kselftest_timeout": "45"])
    #expect(
      run.status == 4 && run.points.map(\.name) == ["own"] && run.lines.contains("# plan: SKIP no device"))
  }

  @Test("what is no TAP is bad input, with its place, and a stream with a failure")
  func badInput() throws {
    let file = try log("log", "hello\nTAP version 99\n")
    for (arguments, message) in [
      ([file], "\(file):2: expected TAP version 12 to 14 or KTAP version 1, found version '99'"),
      (["/nonexistent"], "/nonexistent: cannot be read: No such file or directory"),
      ([], "standard input: no TAP in 1 lines"),
    ] {
      let run = try Run.ptkit(["tap"] + arguments)
      #expect(run.status == 65 && run.errors.contains(message) && run.streamDefects.isEmpty)
      #expect(run.points.map(\.name) == ["tap.input"] && run.points.allSatisfy { !$0.isOK })
    }
  }

  @Test(
    "prefixes are names, one for all files or one for each",
    arguments: ["--prefix a --prefix b", "--prefix a/b"])
  func usage(options: String) throws {
    let run = try Run.ptkit(["tap"] + options.words + [try log("log", "1..1\nok 1 a\n")])
    #expect(run.status == 64 && run.points.map(\.name) == ["tap.usage"])
  }
}
