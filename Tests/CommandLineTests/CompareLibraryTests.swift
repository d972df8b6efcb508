// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `ptkit compare` with libraries, with the example and with what a mistake in it makes of it.
@Suite("ptkit compare with lib:")
struct CompareLibraryTests {
  private func compare(_ words: [String]) throws -> Run {
    let run = try Run.ptkit(["compare", "--ops", "500", "--call-limit", "2"] + words)
    #expect(run.streamDefects == [])
    return run
  }

  @Test("the example is as the reference and the generic algorithms have it, on either side")
  func example() throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.build(in: scratch)
    let left = try compare(["--all", "--left", "lib:\(library)"])
    #expect(left.status == 0, "\(left.output)")
    #expect(left.points.count == 6)
    #expect(left.points.allSatisfy { $0.directive.isEmpty && $0.name.contains("lib-reference") })
    let right = try compare(["riscv64:va=39", "--right", "lib:\(library)", "--jobs", "4"])
    #expect(right.status == 0, "\(right.output)")
    #expect(
      right.points.map(\.name).sorted() == ["random", "systematic"].map { "compare.riscv64.sv39.lib.\($0)" })
  }

  @Test("a wrong bit is found, and what is printed shows it again")
  func wrongBit() throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.build(
      [("PTKIT_NOEXEC ? 0 : WORD_X", "PTKIT_NOEXEC ? WORD_X : 0")], in: scratch)
    let run = try compare(["riscv64:va=39", "--left", "lib:\(library)"])
    #expect(run.status == 1)
    #expect(run.points.count == 2 && run.points.allSatisfy { !$0.isOK })
    #expect(run.lines.contains { $0.hasPrefix("# image: ") || $0.hasPrefix("# walk: ") }, "\(run.output)")
    let again = try repeated(run)
    #expect(again.status == 1)
    #expect(again.points.map(\.isOK) == [false])
    #expect(again.lines.contains { $0.hasPrefix("# image: ") || $0.hasPrefix("# walk: ") })
  }

  /// Runs the first command that a run prints.
  private func repeated(_ run: Run) throws -> Run {
    let line = try #require(run.lines.first { $0.hasPrefix("#   ptkit compare ") }, "\(run.output)")
    let words = line.dropFirst("#   ptkit compare ".count).components(separatedBy: "'")
    // Arguments with spaces stand in quotes.
    let arguments = words.enumerated().flatMap { $0.offset % 2 == 1 ? [$0.element] : $0.element.words }
    return try compare(arguments)
  }

  @Test(
    "a call that does not return is a failed point with the operations before it, and the others run",
    arguments: [
      ("abort();", "signal 6"), ("for (;;) {}", "hangs"), ("exit(0);", "ended with status 0"),
    ])
  func contained(statement: String, problem: String) throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.build(
      [
        (
          ExampleLibrary.start,
          "\(ExampleLibrary.start) if (table->top_level == 2 && length == 0x200000) { \(statement) }"
        )
      ],
      in: scratch)
    let run = try compare(["riscv64:va=39", "riscv64:va=48", "--left", "lib:\(library)"])
    #expect(run.status == 1)
    #expect(run.output.contains(problem), "\(run.output)")
    #expect(run.lines.contains { $0.hasPrefix("# during: unmap 0x") && $0.hasSuffix(" 0x200000") })
    #expect(run.lines.contains { $0.hasPrefix("# on a page table of riscv64:va=39") })
    #expect(run.points.first?.isOK == false)
    #expect(run.points.filter { $0.name.contains("sv48") }.map(\.isOK) == [true, true])
    // All that it takes is a call of that length.
    let command = run.lines.first { $0.hasPrefix("#   ptkit compare ") } ?? ""
    #expect(problem == "hangs" || !command.contains(";"), "\(command)")
    let again = try repeated(run)
    #expect(again.status == 1)
    #expect(again.output.contains(problem), "\(again.output)")
  }

  @Test("drivers' own code stands on the right, for rules are about that")
  func legacy() throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.build([("\"own\"", "\"legacy\"")], in: scratch)
    let words = ["riscv64", "--left", "lib:\(library)", "--operations", "map 0x0 0x1000 0x1000 rw,noexec"]
    for right in ["generic", "reference"] {
      let run = try compare(words + ["--right", right])
      #expect(run.status == 0, "\(run.output)")
      #expect(run.points.map(\.name) == ["compare.riscv64.sv48.lib-legacy.systematic"])
    }
    let both = try Run.ptkit(["compare"] + words + ["--right", "legacy"])
    #expect(both.status == 65)
    #expect(both.errors.contains("compare each of them with generic"))
  }

  @Test("libraries that cannot be used and formats that they lack are said to be that")
  func unusable() throws {
    let run = try compare(["riscv64", "--left", "lib:/nonexistent/x.so"])
    #expect(run.status == 1)
    #expect(run.output.contains("/nonexistent/x.so"))
    #expect(run.points.first?.name == "compare.lib.load")
    #expect(run.points.first?.isOK == false)
    let scratch = try Scratch()
    let library = try ExampleLibrary.build(in: scratch)
    let lacking = try Run.ptkit(["compare", "vtdss", "--left", "lib:\(library)"])
    #expect(lacking.status == 65)
    #expect(lacking.errors.contains("has no format vtdss"))
    let refused = try compare([
      "riscv64:features=flush_range+detailed_gather+sign_extend+svnapot_64k", "--left", "lib:\(library)",
    ])
    #expect(refused.status == 0)
    #expect(refused.points.count == 2)
    #expect(refused.points.allSatisfy { $0.directive == "# SKIP no such side" }, "\(refused.output)")
  }

  @Test("golden vectors bind a library, and a mistake in it fails those that show it")
  func golden() throws {
    let scratch = try Scratch()
    func check(_ library: String, _ words: [String] = []) throws -> Run {
      let run = try Run.ptkit(
        ["golden", "check", "--target", "lib:\(library)", "--call-limit", "2"] + words
          + [Places.golden.appendingPathComponent("riscv64").path])
      #expect(run.streamDefects == [])
      return run
    }
    let good = try check(try ExampleLibrary.build(in: scratch))
    #expect(good.status == 0, "\(good.output)")
    #expect(good.points.count { $0.isOK && $0.directive.isEmpty } > 50)
    #expect(good.points.contains { $0.directive == "# SKIP not bound" })
    let summary = try check(try ExampleLibrary.build(in: scratch), ["--summary"])
    #expect(summary.status == 0)
    #expect(summary.points.count < good.points.count / 10)
    let bad = try check(
      try ExampleLibrary.build([("PTKIT_NOEXEC ? 0 : WORD_X", "PTKIT_NOEXEC ? WORD_X : 0")], in: scratch))
    #expect(bad.status == 1)
    #expect(bad.points.contains { !$0.isOK && $0.name.hasPrefix("golden.cases.") })
    let crash = try check(
      try ExampleLibrary.build(
        [(ExampleLibrary.start, "\(ExampleLibrary.start) if (length == 0x200000) abort();")], in: scratch))
    #expect(crash.status == 1)
    #expect(crash.output.contains("signal 6"))
    #expect(crash.lines.contains { $0.hasPrefix("# during: unmap 0x") && $0.hasSuffix(" 0x200000") })
    #expect(crash.points.count == good.points.count)
    #expect(crash.points.contains { $0.isOK && $0.directive.isEmpty })
  }
}
