// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// Kernel trees whose code does not build, or is not there: a failed point says why, and what builds is tested.
@Suite("kernel trees that do not build")
struct KernelTreeTests {
  private func selftest(_ tree: URL, _ formats: String, _ scratch: Scratch, _ names: [String] = []) throws
    -> Run
  {
    let run = try KernelSources.selftest(tree, formats: formats, options: nil, names, scratch)
    #expect(run.streamDefects == [])
    return run
  }

  @Test(
    "code with a mistake is one failed point, and the other code is tested",
    .enabled(if: KernelSources.tree != nil, KernelSources.isThere),
    arguments: [
      ("pte |= APPLE_DART_PTE_VALID;", "pte |= ;", "io-pgtable-dart.c:", "error"),
      (
        "#include <linux/slab.h>", "#include <linux/slab.h>\n#include <linux/frobnicate.h>",
        "io-pgtable-dart.c", "needs linux/frobnicate.h, which the shims lack: add it to shim/headers"
      ),
      (
        "\twmb();", "\tlist_frobnicate(prot);", "io-pgtable-dart.c:",
        "needs list_frobnicate, which the shims lack: add it to shim/recreated/lists.h"
      ),
      (
        "\twmb();", "\t{ extern void page_frobnicate(void); page_frobnicate(); }", "io-pgtable-dart.c:",
        "needs page_frobnicate, which the shims lack: add it to shim/recreated/pages.h"
      ),
    ])
  func broken(old: String, new: String, place: String, problem: String) throws {
    let scratch = try Scratch()
    let tree = try KernelSources.copy(of: try #require(KernelSources.tree), with: "none", in: scratch)
    let file = tree.appendingPathComponent("drivers/iommu/io-pgtable-dart.c")
    var text = try String(contentsOf: file, encoding: .utf8)
    text.replaceSubrange(try #require(text.range(of: old)), with: new)
    // The link would lead to the tree.
    try FileManager.default.removeItem(at: file)
    try text.write(to: file, atomically: false, encoding: .utf8)
    let run = try selftest(tree, "dart,armv7s", scratch, ["events.armv7s.ias28*"])
    #expect(run.status == 1)
    let load = try #require(run.points.first { $0.name == "ksrc.io-pgtable-dart.load" })
    #expect(!load.isOK)
    let reason = run.lines.first { $0.hasPrefix("#") && $0.contains(problem) }
    #expect(reason?.contains(place) == true, "\(run.output.prefix(3000))")
    #expect(run.points.contains { $0.name.hasPrefix("ksrc.io-pgtable-arm-v7s.events.") && $0.isOK })
  }

  @Test("FORMATS that the tree has not got: the message says what it has")
  func formats() throws {
    let scratch = try Scratch()
    let tree = try Self.folders(["generic_pt/fmt/iommu_vtdss.c"], in: scratch)
    let run = try selftest(tree, "vtdss,vtdsss", scratch)
    #expect(run.status == 65)
    #expect(run.points.map(\.isOK) == [false])
    #expect(
      run.lines.contains { $0.hasPrefix("#") && $0.contains("has no 'vtdsss'; it has vtdss") },
      "\(run.output)")
  }

  @Test("a tree without page-table code, and a folder that is no tree")
  func empty() throws {
    let scratch = try Scratch()
    let tree = try Self.folders([], in: scratch)
    for (folder, problem) in [
      (tree, "no page-table code"), (scratch.folder, "no Linux tree"),
      (scratch.path("nowhere"), "no Linux tree"),
    ] {
      let run = try Run.ptkit(
        ["selftest", "--target", "ksrc:\(folder.path)"],
        environment: ["PTKIT_CACHE": scratch.path("cache").path])
      #expect(run.status == 65)
      #expect(run.streamDefects == [])
      #expect(run.points.map(\.isOK) == [false])
      #expect(run.lines.contains { $0.hasPrefix("#") && $0.contains(problem) }, "\(run.output)")
    }
  }

  @Test("what AddressSanitizer says of a tree's code is shown", .enabled(if: KernelSources.linux73 != nil))
  func sanitizer() throws {
    let tree = try #require(KernelSources.linux73)
    for (fault, report, test) in [
      ("memory-used-after-release", "heap-use-after-free", "events.dart.v1.16k.ias32.oas3?"),
      ("memory-beyond-an-array", "stack-buffer-overflow", "events.armv7s.ias32.oas3?"),
    ] {
      let known = try #require(try KernelFault.all().first { $0.name == fault })
      let scratch = try Scratch()
      let copy = try KernelSources.copy(of: tree, with: fault, in: scratch)
      let run = try KernelSources.selftest(
        copy, formats: known.formats, options: known.options, [test], scratch)
      #expect(run.status == 1)
      #expect(run.lines.contains { $0.hasPrefix("#") && $0.contains("AddressSanitizer: \(report)") })
    }
  }

  /// A tree with files that have little in them.
  private static func folders(_ files: [String], in scratch: Scratch) throws -> URL {
    let tree = scratch.path("tree")
    for file in files + ["Makefile"] {
      let path = tree.appendingPathComponent("drivers/iommu/\(file)")
      try FileManager.default.createDirectory(
        at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
      try "#define PT_FMT vtdss\n".write(to: path, atomically: false, encoding: .utf8)
    }
    let header = tree.appendingPathComponent("include/linux/iommu.h")
    try FileManager.default.createDirectory(
      at: header.deletingLastPathComponent(), withIntermediateDirectories: true)
    try "".write(to: header, atomically: false, encoding: .utf8)
    return tree
  }
}
