// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// The scripts of `selftests/`, run in a copy of that folder with a program in place of `ptkit` that shows how
/// it was called.
@Suite("selftests folder")
struct ScriptTests {
  static let scripts: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: Places.selftests.path)) ?? []
    return names.filter { $0.hasSuffix(".sh") && $0 != "lib.sh" }.sorted()
  }()

  private let scratch: Scratch
  private let folder: URL

  init() throws {
    scratch = try Scratch()
    folder = scratch.path("iommu pt")
    try FileManager.default.copyItem(at: Places.selftests, to: folder)
  }

  /// Puts a program that prints its arguments, and where golden files are, into a folder.
  @discardableResult
  private func putProgram(in folder: URL) throws -> URL {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let program = folder.appendingPathComponent("ptkit")
    try
      "#!/bin/sh\necho \"$0\"; echo \"golden ${PTKIT_GOLDEN:-unset}\"; for word; do echo \"$word\"; done\nexit 7\n"
      .write(to: program, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
    return program
  }

  private func putGolden(in folder: URL) throws {
    let amd = folder.appendingPathComponent("amdv1")
    try FileManager.default.createDirectory(at: amd, withIntermediateDirectories: true)
  }

  private func run(_ script: String, _ environment: [String: String] = [:], _ arguments: [String] = []) throws
    -> Run
  {
    try Run.program(
      folder.appendingPathComponent(script), arguments,
      environment: ["PATH": "/usr/bin:/bin"].merging(environment) { $1 })
  }

  @Test("there is a script per format and theme, in the Makefile and executable")
  func complete() throws {
    let makefile = try String(contentsOf: folder.appendingPathComponent("Makefile"), encoding: .utf8)
    let listed = makefile.split { $0 == " " || $0 == "\n" || $0 == "\t" }.map(String.init).filter {
      $0.hasSuffix(".sh") && $0 != "lib.sh" && !$0.contains("/")
    }
    #expect(Set(listed) == Set(Self.scripts))
    for format in FormatsTests.names { #expect(Self.scripts.contains("golden-\(format).sh")) }
    for script in Self.scripts {
      #expect(FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent(script).path))
    }
  }

  @Test("without a binary the stream skips all: status 0, under kselftest's runner 4", arguments: scripts)
  func skip(script: String) throws {
    let run = try run(script)
    #expect(run.status == 0)
    #expect(run.lines.first == "TAP version 13")
    #expect(run.lines.last == "1..0 # SKIP")
    #expect(run.streamDefects == [])
    #expect(try self.run(script, ["kselftest_timeout": "45"]).status == 4)
    #expect(try self.run(script, ["PTKIT": "/nonexistent"]).status == 0)
  }

  @Test("the binary is found by $PTKIT, then beside the script, then in PATH; its status is the script's")
  func order() throws {
    let given = try putProgram(in: scratch.path("given"))
    let inPath = try putProgram(in: scratch.path("path"))
    let path = ["PATH": "\(scratch.path("path").path):/usr/bin:/bin"]
    let last = try run("walker.sh", path, ["--seed", "7 8"])
    #expect(last.lines == [inPath.path, "golden unset", "selftest", "walker", "--seed", "7 8"])
    #expect(last.status == 7)
    let beside = try putProgram(in: folder)
    #expect(try run("walker.sh", path).lines.first == beside.path)
    #expect(try run("walker.sh", path.merging(["PTKIT": given.path]) { $1 }).lines.first == given.path)
  }

  @Test("golden files are found by $PTKIT_GOLDEN, then beside the script, then in the folder above")
  func golden() throws {
    try putProgram(in: folder)
    #expect(try run("golden-amdv1.sh").lines.last == "1..0 # SKIP")
    try putGolden(in: scratch.path("Golden"))
    let above = try run("golden-amdv1.sh")
    #expect(above.lines.dropFirst(2).prefix(3) == ["golden", "check", "--summary"])
    #expect(above.lines.last?.hasSuffix("/../Golden/amdv1") == true)
    try putGolden(in: folder.appendingPathComponent("golden"))
    #expect(try run("golden-amdv1.sh").lines.last?.hasSuffix("iommu pt/golden/amdv1") == true)
    try putGolden(in: scratch.path("given"))
    let given = try run("golden-amdv1.sh", ["PTKIT_GOLDEN": scratch.path("given").path])
    #expect(given.lines[1] == "golden \(scratch.path("given").path)")
    #expect(given.lines.last == scratch.path("given").path + "/amdv1")
    #expect(try run("golden-vtdss.sh").lines.last == "1..0 # SKIP", "no files of that format")
  }
}
