// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `.ci/check-selftests`, with a program in place of `ptkit` that writes a stream of the test's choice.
@Suite("checks of the selftests folder")
struct CheckScriptTests {
  private func check(stream: String, status: Int = 0) throws -> Run {
    let scratch = try Scratch()
    let program = scratch.path("ptkit")
    try "#!/bin/sh\nprintf '\(stream)'\nexit \(status)\n".write(
      to: program, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
    return try Run.program(Places.repository.appendingPathComponent(".ci/check-selftests"), [program.path])
  }

  @Test("a good stream from every script passes")
  func good() throws {
    let run = try check(
      stream: #"TAP version 13\n1..2\n# note\nok 1 a.b\nok 2 c # SKIP not bound\n# Totals\n"#)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.lines.count == ScriptTests.scripts.count)
  }

  @Test(
    "a stream with a defect fails",
    arguments: [
      #"TAP version 13\n1..2\nok 1 a\n"#, #"TAP version 13\nok 1 a\n"#, #"1..1\nok 1 a\n"#,
      #"TAP version 13\n1..1\nnot ok 1 a\n"#, #"TAP version 13\n1..1\nok 1 a\nnoise\n"#,
      #"TAP version 13\n1..0 # SKIP\n"#, #"TAP version 13\n1..1\n1..1\nok 1 a\n"#, "",
    ])
  func defects(stream: String) throws {
    #expect(try check(stream: stream).status == 1)
  }

  @Test("a status that does not fit the stream fails")
  func status() throws {
    #expect(try check(stream: #"TAP version 13\n1..1\nok 1 a\n"#, status: 1).status == 1)
  }

  @Test("make help has a line for each target")
  func targets() throws {
    let run = try Run.program(
      URL(fileURLWithPath: "/usr/bin/env"), ["make", "-s", "-C", Places.repository.path, "help"])
    #expect(run.status == 0, "\(run.errors)")
    for target in ["help", "deps", "build", "check", "test", "bench", "lint", "clean"] {
      #expect(run.lines.contains { $0.hasPrefix("make \(target) ") })
    }
  }
}
