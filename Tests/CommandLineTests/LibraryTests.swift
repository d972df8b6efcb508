// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `--target lib:`, with the example and with what a mistake in it makes of it.
@Suite("ptkit selftest --target lib:")
struct LibraryTargetTests {
  /// Builds the example, with one text in the place of another.
  private func build(_ old: String, _ new: String, in scratch: Scratch) throws -> String {
    try ExampleLibrary.build([(old, new)], in: scratch)
  }

  private func selftest(_ library: String, _ names: String) throws -> Run {
    try ExampleLibrary.selftest(library, names.words)
  }

  @Test("the example passes")
  func example() throws {
    let scratch = try Scratch()
    let run = try selftest(
      try ExampleLibrary.build(in: scratch), "walker semantics events allocfail concurrency golden")
    #expect(run.status == 0, "\(run.output)")
    #expect(run.points.count { $0.isOK && $0.directive.isEmpty } > 150)
  }

  @Test(
    "a call that does not return fails its test by name, and the others run",
    arguments: [
      ("*(volatile int *)8 = 0;", "signal 11"), ("abort();", "signal 6"), ("for (;;) {}", "hangs"),
      ("free((char *)table + 8);", "signal 6"), ("exit(0);", "ended with status 0"),
    ])
  func contained(statement: String, problem: String) throws {
    let scratch = try Scratch()
    let library = try build(
      ExampleLibrary.start, "\(ExampleLibrary.start) if (length == 0x200000) { \(statement) }", in: scratch)
    let run = try selftest(
      library,
      "semantics.riscv64.sv39.unmap_returns_bytes semantics.riscv64.sv39.unmap_stops_at_missing_table "
        + "semantics.riscv64.sv39.zero_length semantics.riscv64.sv39.whole_table_goes")
    #expect(run.status == 1)
    #expect(run.output.contains(problem), "\(run.output)")
    #expect(run.lines.contains { $0.hasPrefix("# during: unmap 0x") && $0.hasSuffix(" 0x200000") })
    #expect(run.points.contains { !$0.isOK })
    #expect(run.points.last { $0.name == "semantics.riscv64.sv39.zero_length" }?.isOK == true)
  }

  @Test(
    "a library that cannot be used is one failed point that says why",
    arguments: [
      ("ptkit_implementation(uint32_t abi_version)", "other(uint32_t abi_version)", "does not export"),
      (".abi_version = PTKIT_ABI_VERSION", ".abi_version = 99", "version 99"),
      ("abi_version == PTKIT_ABI_VERSION ?", "abi_version == 99 ?", "does not speak version 1"),
      (".roots = sv_roots", ".roots = NULL", "lacks one of"),
      ("return abi_version ==", "abort(); return abi_version ==", "signal 6"),
    ])
  func unusable(old: String, new: String, problem: String) throws {
    let scratch = try Scratch()
    let run = try selftest(try build(old, new, in: scratch), "")
    #expect(run.status == 1)
    #expect(run.points.map(\.name) == ["load"])
    #expect(run.points.first?.isOK == false)
    #expect(run.output.contains(problem), "\(run.output)")
  }

  @Test(
    "a page table that cannot be made, although the library says so, is a failure",
    arguments: [
      ("*made = table;", "", "returned 0, and no page table"),
      ("*made = table;\n\treturn 0;", "*made = table;\n\treturn 5;", "returned 5, no negative errno"),
      ("bits != 39 &&", "", "one of those that it lists"),
      ("if (!table ||", "if (1)\n\t\treturn -ENOMEM;\n\tif (!table ||", "although memory was not short"),
    ])
  func notMade(old: String, new: String, problem: String) throws {
    let scratch = try Scratch()
    let library = try build(old, new, in: scratch)
    let names = ["walker.riscv64.sv39", "golden.cases.riscv64.sv39"]
    let run = try selftest(library, names.joined(separator: " "))
    #expect(run.status == 1)
    #expect(run.output.contains(problem), "\(run.output)")
    for name in names { #expect(run.points.contains { $0.name == name && !$0.isOK }, "\(name)") }
    let compare = try Run.ptkit([
      "compare", "riscv64:va=39", "--left", "lib:\(library)", "--right", "reference", "--ops", "100",
    ])
    #expect(compare.status == 1)
  }

  @Test(
    "a process that does not end as it should fails its last test",
    arguments: [("abort();", "signal 6"), ("_exit(3);", "status 3"), ("for (;;) {}", "did not end in 2 s")])
  func ending(statement: String, problem: String) throws {
    let scratch = try Scratch()
    let list = "static const char *const configurations"
    let library = try build(
      list,
      "#include <unistd.h>\n__attribute__((destructor)) static void end(void) { \(statement) }\n\(list)",
      in: scratch)
    let run = try selftest(
      library, "semantics.riscv64.sv39.zero_length semantics.riscv64.sv39.unmap_returns_bytes")
    #expect(run.status == 1)
    #expect(run.points.map(\.isOK) == [true, true, false])
    #expect(run.lines.contains { $0.contains(problem) && $0.hasSuffix("when all its work was done") })
  }

  @Test(
    "mistakes in tables are found",
    arguments: [
      // The last word of a table stays, a table is released before it is invalidated, write permission is lost.
      ("item_size(level), start = iova", "item_size(level) * 2, start = iova", "walker"),
      ("memory->invalidate(memory->context, &invalidation);", "", "events"),
      ("protection & PTKIT_WRITE ? WORD_W", "protection & PTKIT_READ ? WORD_W", "walker"),
    ])
  func mistakes(old: String, new: String, theme: String) throws {
    let scratch = try Scratch()
    let library = try build(old, new, in: scratch)
    let run = try selftest(library, "\(theme).riscv64.sv39")
    #expect(run.status == 1)
    #expect(run.points.contains { !$0.isOK && $0.name.hasPrefix(theme) })
    // The operations can be run again on the library.
    #expect(run.lines.contains { $0.hasPrefix("# ptkit image --target lib:\(library) 'riscv64:") })
  }

  @Test("ptkit image runs operations on the example as on the kit's own code")
  func image() throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.build(in: scratch)
    let operations = [
      "riscv64", "map 0x0 0x40000000 4M rw", "map 0x0 0x0 4K r", "unmap 0x200000 2M", "phys 0x1000",
    ]
    let run = try Run.ptkit(["image", "--target", "lib:\(library)"] + operations)
    #expect(run.status == 0, "\(run.errors)")
    let kit = try Run.ptkit(["image"] + operations)
    func words(_ run: Run) -> [Substring?] { run.lines.map { $0.split(separator: "  ! ").first } }
    #expect(run.lines.count >= 8)
    #expect(words(run) == words(kit))
  }

  @Test(
    "ptkit image says what a library that crashes or hangs was doing",
    arguments: [("*(volatile int *)8 = 0;", "signal 11"), ("for (;;) {}", "hangs")])
  func imageOfCrash(statement: String, problem: String) throws {
    let scratch = try Scratch()
    let library = try build(ExampleLibrary.start, "\(ExampleLibrary.start) \(statement)", in: scratch)
    let run = try Run.ptkit([
      "image", "--target", "lib:\(library)", "--call-limit", "2", "riscv64", "map 0x0 0x0 4K rw",
      "unmap 0x0 4K",
    ])
    #expect(run.status == 1)
    #expect(run.errors.contains(problem), "\(run.errors)")
    #expect(run.errors.contains("during: unmap 0x0 0x1000"))
    let refused = try Run.ptkit(["image", "--target", "lib:\(library)", "amdv1", "phys 0x0"])
    #expect(refused.status == 65)
    #expect(refused.errors.contains("has no format amdv1"))
  }

  /// The example as a format that the kit does not know, with mistakes.
  private func imaginary(_ mistakes: [(old: String, new: String)]) throws -> Run {
    let scratch = try Scratch()
    let name = ".name = \"riscv64\", .behaviour = \"own\", .configurations = configurations"
    let unknown = ".name = \"imaginary\", .behaviour = \"own\", .configurations = own"
    let own =
      "static const char *const own[] = { \"imaginary:va=39\", NULL };\nstatic const struct ptkit_format format"
    let library = try ExampleLibrary.build(
      [("static const struct ptkit_format format", own), (name, unknown)] + mistakes, in: scratch)
    return try selftest(library, "")
  }

  @Test("a format that the kit does not know gets the laws of all page tables")
  func unknownFormat() throws {
    let run = try imaginary([])
    #expect(run.status == 0, "\(run.output)")
    #expect(run.points.map(\.name) == ["load", "semantics.imaginary.va-39.laws"])
  }

  @Test(
    "the laws see mistakes in a format that the kit does not know",
    arguments: [
      // Every lookup, the second page of a run, a busy range, released tables, what an unmap reports, a roll back.
      ("*pa = address(word) |", "*pa = 4096 + address(word) |", "expected"),
      (
        "leaf_word(pa + done, protection)", "leaf_word(pa + (done == 4096 ? 0 : done), protection)", "phys 0x"
      ),
      (
        "if (old && (!is_pointer(old) || maps(table, address(old), level - 1, iova, NULL)))",
        "if (old && !is_pointer(old))\n\t\told = 0;\n"
          + "\tif (old && maps(table, address(old), level - 1, iova, NULL))",
        "the range is busy"
      ),
      (
        "memory->release(memory->context, gathered->tables[index], PAGE_LOG2);", ";",
        "pages of tables are left"
      ),
      (
        "__atomic_store_n(word, 0, __ATOMIC_RELEASE);\n\t\t\tiova += size;", "iova += size;",
        "is still mapped"
      ),
      ("else if (result && done)", "else if (0)", "expected none"),
    ])
  func unknownMistakes(old: String, new: String, problem: String) throws {
    let run = try imaginary([(old, new)])
    #expect(run.status == 1)
    #expect(run.output.contains(problem), "\(run.output)")
  }

  @Test("a file that is none, and a folder that is no Linux tree, are said to be that")
  func missing() throws {
    let run = try selftest("/nonexistent/x.so", "")
    #expect(run.status == 1)
    #expect(run.output.contains("/nonexistent/x.so"))
    let scratch = try Scratch()
    let tree = try Run.ptkit(["selftest", "--target", "ksrc:\(scratch.folder.path)"])
    #expect(tree.status == 65)
    #expect(tree.streamDefects == [])
    #expect(tree.errors.contains("no Linux tree"))
  }
}
