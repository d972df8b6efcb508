// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// Failures that are known: expected where they occur, told where they do not.
@Suite("ptkit selftest --findings")
struct KnownFailureTests {
  private static let names = ["zero_length", "unmap_returns_bytes"].map { "semantics.riscv64.sv39.\($0)" }

  /// Runs two tests of the example, whose map of no bytes is a success.
  private func run(_ findings: String) throws -> Run {
    let scratch = try Scratch()
    let library = try ExampleLibrary.build(
      [("result = !length ||", "if (!length)\n\t\treturn 0;\n\tresult = !length ||")], in: scratch)
    let file = try scratch.write(findings, to: "findings")
    let run = try Run.ptkit(
      ["selftest", "--target", "lib:\(library)", "--findings", file] + Self.names)
    #expect(run.streamDefects == [])
    return run
  }

  @Test("without findings, the failure is one")
  func none() throws {
    let run = try run("# nothing is known\n\n")
    #expect(run.status == 1)
    #expect(run.points.map(\.isOK) == [true, false, true] || run.points.map(\.isOK) == [true, true, false])
  }

  @Test(
    "a known failure is an expected one, with its reason",
    arguments: [
      "* | *.zero_length | it takes no bytes",
      "* | semantics.* | *map 0x*: expected EINVAL* | it takes no bytes",
      "* | *.zero_length | = *map 0x*: expected EINVAL* | it takes no bytes",
    ])
  func known(finding: String) throws {
    let run = try run(finding + "\n")
    #expect(run.status == 0, "\(run.output)")
    #expect(
      run.lines.contains { $0.hasPrefix("ok ") && $0.hasSuffix("zero_length # XFAIL it takes no bytes") })
    #expect(run.output.contains("xfail:1 xpass:0"))
  }

  @Test(
    "a failure with another symptom, or of another version, stays one",
    arguments: [
      "* | *.zero_length | *dirty* | a reason", "* | *.zero_length | = *dirty* | a reason",
      "7.2 | *.zero_length | a reason",
    ])
  func unknown(finding: String) throws {
    let run = try run(finding + "\n")
    #expect(run.status == 1)
    #expect(run.lines.contains { $0.hasPrefix("not ok ") && $0.hasSuffix("zero_length") })
  }

  @Test("a test that passes and should not is told, and fails the run", arguments: ["", "= *wrong* | "])
  func unexpectedPass(symptom: String) throws {
    let run = try run("* | *.zero_length | a reason\n* | *.unmap_returns_bytes | \(symptom)another\n")
    #expect(run.status == 1)
    #expect(run.output.contains("expected to fail: another; take it out of the findings"))
    #expect(run.output.contains("xfail:1 xpass:1"))
  }

  @Test(
    "a line that is none is told with its file and number",
    arguments: ["only words", "a | b", "a | b | c | d | e", "a || c"])
  func malformed(line: String) throws {
    let run = try run("# a comment\n\n\(line)\n")
    #expect(run.status == 65)
    #expect(run.errors.contains("findings:3: expected versions | tests | reason"), "\(run.errors)")
  }
}
