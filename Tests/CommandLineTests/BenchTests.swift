// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `ptkit bench --target`: what it reports, never how fast anything was.
@Suite("ptkit bench --target")
struct BenchTests {
  /// Builds the example, with one text in the place of another.
  private func build(_ old: String = "", _ new: String = "", in scratch: Scratch) throws -> String {
    try ExampleLibrary.build(old.isEmpty ? [] : [(old, new)], in: scratch)
  }

  private func bench(_ library: String, _ arguments: String) throws -> Run {
    try Run.ptkit(["bench", "--target", "lib:\(library)", "--rounds", "20"] + arguments.words)
  }

  @Test(
    "a library has rows for map and unmap of one page and of 256, beside both of the kit's implementations")
  func report() throws {
    let scratch = try Scratch()
    let run = try bench(try build(in: scratch), "--json riscv64")
    #expect(run.status == 0, "\(run.errors)")
    let report = try #require(try run.json() as? [String: Any])
    let builds = try #require(report["builds"] as? [[String: Any]])
    #expect(builds.map { $0["name"] as? String } == ["library"])
    #expect((report["failures"] as? [String]) == [])
    let rows = try #require(report["rows"] as? [[String: Any]])
    #expect(
      rows.map { "\($0["operation"] ?? "") \($0["workload"] ?? "")" }
        == ["map 4K", "unmap 4K", "map 256 × 4K", "unmap 256 × 4K"])
    for row in rows {
      #expect(row["configuration"] as? String == "riscv64.sv48")
      func fastest(_ timing: Any?) throws -> Double {
        try #require((timing as? [String: Any])?["minimum"] as? Double)
      }
      let generic = try fastest(row["generic"])
      #expect(try generic > 0 && fastest(row["legacy"]) > 0)
      let library = try fastest((row["builds"] as? [String: Any])?["library"])
      let ratio = try #require(row["ratio"] as? Double)
      #expect(abs(ratio * library - generic) < generic / 1000)
      let target = try #require(row["target"] as? Double)
      #expect(target == (row["pages"] as? Int == 1 ? 1 : 0.6))
      #expect(row["isMet"] as? Bool == (ratio <= target))
    }
  }

  @Test(
    "a library of its own kind is timed in its own configuration when none is named; the text has a line for each row"
  )
  func text() throws {
    let scratch = try Scratch()
    let run = try bench(try build(in: scratch), "")
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.lines.count { $0.hasPrefix("riscv64.sv39 ") } == 4, "\(run.output)")
    #expect(run.output.contains(" of 4 targets met."))
  }

  @Test(
    "a library that crashes or fails is an error that names the call, and no row",
    arguments: [
      ("*(volatile int *)8 = 0;", "signal 11", "unmap 0x1000 0x1000"), ("return 0;", "unmaps 0x0", "riscv64"),
    ])
  func crash(statement: String, problem: String, call: String) throws {
    let scratch = try Scratch()
    let library = try build(ExampleLibrary.start, "\(ExampleLibrary.start) \(statement)", in: scratch)
    let run = try bench(library, "--json riscv64:va=39")
    #expect(run.status == 1)
    #expect(run.errors.contains(problem) && run.errors.contains(call), "\(run.errors)")
    let report = try #require(try run.json() as? [String: Any])
    #expect((report["rows"] as? [Any])?.isEmpty == true)
    #expect((report["failures"] as? [String])?.count == 1)
  }

  @Test("a crash with one configuration leaves the rows of the others")
  func crashOfOne() throws {
    let scratch = try Scratch()
    let library = try build(
      ExampleLibrary.start, "\(ExampleLibrary.start) if (table->top_level == 3) abort();", in: scratch)
    let run = try bench(library, "riscv64:va=39 riscv64:va=48 riscv64:va=57")
    #expect(run.status == 1)
    #expect(run.errors.contains("signal 6"), "\(run.errors)")
    #expect(run.lines.count { $0.hasPrefix("riscv64.sv39 ") } == 4)
    #expect(run.lines.count { $0.hasPrefix("riscv64.sv48 ") } == 0)
    #expect(run.lines.count { $0.hasPrefix("riscv64.sv57 ") } == 4)
  }

  @Test("a library that cannot be loaded, and a format that it lacks, are errors")
  func nothingToTime() throws {
    let missing = try bench("/nonexistent/mine.so", "")
    #expect(missing.status == 1)
    #expect(missing.errors.contains("/nonexistent/mine.so"))
    let scratch = try Scratch()
    let other = try bench(try build(in: scratch), "vtdss")
    #expect(other.status == 1)
    #expect(other.errors.contains("nothing to time"))
  }

  @Test("each compiler that is missing is a column that says so")
  func noCompiler() throws {
    let run = try Run.ptkit(
      [
        "bench", "--target", "ksrc:/nonexistent", "--rounds", "20", "--build-options", "--cflags=-O3 --debug",
      ],
      environment: ["PATH": "/nonexistent"])
    #expect(run.status == 1)
    #expect(run.lines.contains("gcc: gcc is not installed"), "\(run.output)\(run.errors)")
    #expect(run.lines.contains("clang: clang is not installed"))
  }
}
