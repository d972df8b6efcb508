// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `Sources/KernelTree/fetch`, as far as it goes without a network.
@Suite("fetching kernel sources")
struct FetchTests {
  private func fetch(_ arguments: [String], path: String? = nil) throws -> Run {
    try Run.program(
      Places.repository.appendingPathComponent("Sources/KernelTree/fetch"), arguments,
      environment: path.map { ["PATH": $0] } ?? [:])
  }

  @Test(
    "what it does not understand, it says",
    arguments: [
      (["--colour"], "unknown option '--colour'"), (["vmlinux"], "found 'vmlinux'"),
      (["7.2", "7.3"], "usage: fetch"),
    ])
  func arguments(arguments: [String], problem: String) throws {
    let run = try fetch(arguments)
    #expect(run.status == 1)
    #expect(run.output.isEmpty)
    #expect(run.errors.contains(problem))
    #expect(run.errors.contains("make check KSRC="))
  }

  @Test("a tree that is there already is printed at once, without apt")
  func cached() throws {
    let scratch = try Scratch()
    let tree = scratch.path("linux-source-7.3")
    try FileManager.default.createDirectory(at: tree, withIntermediateDirectories: true)
    _ = try scratch.write("", to: "linux-source-7.3/complete")
    let run = try fetch(["--cache=\(scratch.folder.path)", "7.3"], path: "/nonexistent")
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.lines == [tree.path])
  }

  @Test("a machine without Debian's tools or sources is told what is missing")
  func foreign() throws {
    let scratch = try Scratch()
    let cache = "--cache=\(scratch.folder.path)"
    let tools = try fetch([cache, "7.3"], path: "/nonexistent")
    #expect(tools.status == 1)
    #expect(tools.errors.contains("apt-get is missing"))
    _ = try scratch.write("deb http://packages.example.org/other stable main\n", to: "sources.list")
    let sources = try fetch([cache, "--apt=\(scratch.folder.path)", "7.3"])
    #expect(sources.status == 1)
    #expect(sources.errors.contains("no source of Debian packages"))
  }

  @Test(
    "mirror, key and suite come from the machine's sources",
    arguments: [
      (
        "sources.list",
        "deb-src file:/a/debian one main\ndeb [arch=amd64 signed-by=/k.gpg] file:/b/debian two main\n"
      ),
      (
        "sources.list.d/debian.sources",
        """
        Types: deb
        URIs: file:/a/debian-security
        Suites: two-security

        Types: deb deb-src
        URIs: file:/b/debian
        Suites: two two-updates
        Components: main
        Signed-By: /k.gpg

        """
      ),
    ])
  func sources(file: String, text: String) throws {
    let scratch = try Scratch()
    let folder = scratch.path("sources.list.d")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    _ = try scratch.write(text, to: file)
    let run = try fetch([
      "--cache=\(scratch.folder.path)/cache", "--apt=\(scratch.folder.path)", "--suite=three", "7.3",
    ])
    #expect(run.status == 1)
    #expect(run.errors.contains("file:/b/debian has no linux-source-7.3 in three"), "\(run.errors)")
    let used = try String(contentsOf: scratch.path("cache/apt/sources.list"), encoding: .utf8)
    #expect(used == "deb [signed-by=/k.gpg] file:/b/debian three main\n")
    let own = try fetch(["--cache=\(scratch.folder.path)/cache", "--apt=\(scratch.folder.path)", "7.3"])
    #expect(own.errors.contains("in two two-backports stable-backports testing unstable"), "\(own.errors)")
  }
}
