// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// How `make` passes paths on; nothing is built or run.
@Suite("Makefile")
struct MakefileTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// What `make -C REPOSITORY` would run, called in the scratch folder as a shell does.
  private func commands(_ arguments: String...) throws -> String {
    let folder = scratch.folder
    let words = ["-s", "-n", "-C", Places.repository.path] + arguments
    return try Run.program(
      URL(fileURLWithPath: "/usr/bin/make"), words, environment: ["PWD": folder.path], folder: folder
    ).output
  }

  @Test("paths are those of the folder that make was called in")
  func callersFolder() throws {
    try "name: kite\n".write(to: scratch.path("kite.yaml"), atomically: false, encoding: .utf8)
    let folder = scratch.folder.path
    #expect(try commands("check", "KSRC=.").contains("selftest --target ksrc:\(folder)"))
    #expect(try commands("bench", "KSRC=.").contains("bench --target ksrc:\(folder)"))
    #expect(try commands("check", "KSRC=.", "SPEC=kite.yaml").contains("--spec \(folder)/kite.yaml"))
  }

  @Test("absolute paths stay, and so do those that only the repository has")
  func otherPaths() throws {
    #expect(try commands("check", "KSRC=/x/linux").contains("--target ksrc:/x/linux"))
    #expect(try commands("check", "KSRC=/x", "GOLDEN=Golden").contains("--golden Golden"))
  }

  @Test("FORMATS is a list")
  func formats() throws {
    #expect(try commands("check", "KSRC=/x", "FORMATS=vtdss  amdv1").contains("--formats vtdss,amdv1"))
    #expect(!(try commands("check")).contains("--target"))
  }
}
