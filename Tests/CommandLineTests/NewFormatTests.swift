// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// docs/new-format.md, carried out.
@Suite("the walk-through of a new format")
struct NewFormatTests {
  private static let document = Places.repository.appendingPathComponent("docs/new-format.md")

  private func text() throws -> String { try String(contentsOf: Self.document, encoding: .utf8) }

  /// A folder in which the commands of the document work, and what they must find in their environment.
  private func folder(tree: String? = nil) throws -> (Scratch, [String: String]) {
    let scratch = try Scratch()
    let files = FileManager.default
    let tools = scratch.path("tools")
    try files.createDirectory(at: tools, withIntermediateDirectories: true)
    try files.createSymbolicLink(at: tools.appendingPathComponent("ptkit"), withDestinationURL: Places.binary)
    // The program under test, which `make` must not build anew.
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let make = try scratch.write(
      """
      #!/bin/sh
      PATH='\(path)' exec make "$@" -o '\(Places.binary.path)' PTKIT='\(Places.binary.path)'

      """, to: "tools/make")
    try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: make)
    try files.createSymbolicLink(at: scratch.path("ptkit"), withDestinationURL: Places.repository)
    if let tree { try copy(tree, to: scratch.path("linux")) }
    let environment = ["PATH": "\(tools.path):\(path)", "PTKIT_CACHE": scratch.path("cache").path]
    return (scratch, environment.merging(["MAKEFLAGS": "", "MAKELEVEL": "0"]) { $1 })
  }

  /// What of a tree the document changes is copied, the rest linked.
  private func copy(_ tree: String, to copy: URL) throws {
    let script = """
      set -e
      mkdir -p "$2/drivers/iommu/generic_pt" "$2/include/linux"
      cp "$1/Makefile" "$2/"
      cp -r "$1/drivers/iommu/generic_pt/." "$2/drivers/iommu/generic_pt/"
      for file in "$1"/drivers/iommu/*; do [ -e "$2/drivers/iommu/${file##*/}" ] || ln -s "$file" "$2/drivers/iommu/"; done
      cp -r "$1/include/linux/generic_pt" "$2/include/linux/"
      for file in "$1"/include/linux/*; do [ -e "$2/include/linux/${file##*/}" ] || ln -s "$file" "$2/include/linux/"; done
      for file in "$1"/include/*; do [ -e "$2/include/${file##*/}" ] || ln -s "$file" "$2/include/"; done
      """
    let run = try Run.program(URL(fileURLWithPath: "/bin/sh"), ["-c", script, "sh", tree, copy.path])
    try #require(run.status == 0, "\(run.errors)")
  }

  /// A tree with generic_pt: `$PTKIT_KSRC`, else what `Sources/KernelTree/fetch` has left.
  private static let tree: String? = {
    let given = ProcessInfo.processInfo.environment["PTKIT_KSRC"]
    let places = [given] + ["7.3", "7.2"].map { "\(Places.cache.path)/linux-source-\($0)" }
    return places.compactMap { $0 }.first {
      FileManager.default.fileExists(atPath: "\($0)/drivers/iommu/generic_pt/iommu_pt.h")
    }
  }()

  @Test(
    "every command of the document prints what it shows",
    .enabled(
      if: tree != nil, "no Linux tree with generic_pt: set PTKIT_KSRC, or run Sources/KernelTree/fetch 7.3"))
  func all() throws {
    let tree = try #require(Self.tree)
    let (scratch, environment) = try folder(tree: tree)
    let problems = try WalkThrough(text()).problems(in: scratch.folder, environment: environment)
    #expect(problems == [], "\(problems.joined(separator: "\n"))")
  }

  /// Commands that need no tree.
  private func needsNoTree(_ command: WalkThrough.Command) -> Bool {
    command.text.hasPrefix("ptkit ") || command.text.hasPrefix("sed 's")
  }

  @Test("what needs no tree prints what the document shows")
  func withoutTree() throws {
    let walk = try WalkThrough(text())
    #expect(walk.commands.count(where: needsNoTree) >= 5)
    #expect(walk.files.count >= 7)
    let (scratch, environment) = try folder()
    let problems = try walk.problems(in: scratch.folder, environment: environment, where: needsNoTree)
    #expect(problems == [], "\(problems.joined(separator: "\n"))")
  }

  @Test(
    "a change of what the document says or shows is noticed",
    arguments: [
      // A shown word, a shown result, a line too much; a bit of the specification, a word of the vectors.
      ("\n0xd80000000048d158\n", "\n0xd80000000048d150\n"), ("\nok 8 golden", "\nnot ok 8 golden"),
      ("\n0xd80000000048d158\n", "\n0xd80000000048d158\n0x0\n"),
      ("{ bits: 62,          name: R, encode: read", "{ bits: 62,          name: R, encode: write"),
      ("prot=rw = 0xf8000003fffffffc", "prot=rw = 0xf8000003fffffff8"),
      ("--prot r\n", "--prot w\n"), ("leaf, 4K at 0x123456000, r\n", "leaf, 4K at 0x123456000, rw\n"),
    ])
  func changes(old: String, new: String) throws {
    let text = try text()
    try #require(text.contains(old))
    let (scratch, environment) = try folder()
    let walk = try WalkThrough(text.replacingOccurrences(of: old, with: new))
    let problems = try walk.problems(in: scratch.folder, environment: environment, where: needsNoTree)
    #expect(problems != [])
  }

  @Test("shown lines must be printed, all of them and in their order; only … stands for others")
  func matching() throws {
    func problem(_ shown: String, _ printed: String) throws -> String? {
      let walk = try WalkThrough("```console\n$ x\n\(shown)\n```\n")
      return try #require(walk.commands.first).mismatch(printed.components(separatedBy: "\n"))
    }
    for (shown, printed) in [
      ("a\nb", "a\nb"), ("…", "a\nb"), ("a\n…", "a"), ("…\nb\n…", "a\nb\nb\nc"), ("a … c", "a b c"),
      ("…/x: y", "/tmp/x: y"),
    ] {
      #expect(try problem(shown, printed) == nil, "\(shown)")
    }
    for (shown, printed) in [
      ("a\nb", "a"), ("a", "a\nb"), ("a", "b"), ("b\na", "a\nb"), ("…\nc", "a\nb"), ("a … c", "a b d"),
      ("a\n…\na", "a"), ("a …", "b"),
    ] {
      #expect(try problem(shown, printed) != nil, "\(shown)")
    }
  }

  @Test("blocks that nobody would carry out are refused")
  func blocks() {
    for text in ["```\nx\n```\n", "```c\nx\n```\n", "```console\nx\n```\n", "```console\n$ x\n"] {
      #expect(throws: WalkThrough.Problem.self) { try WalkThrough(text) }
    }
  }
}
