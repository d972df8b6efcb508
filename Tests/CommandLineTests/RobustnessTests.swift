// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// What a library may do to the process it runs in: the test at hand fails and says why, the others run.
@Suite("libraries that misbehave")
struct RobustnessTests {
  private static let unmapping = "semantics.riscv64.sv39.unmap_stops_at_missing_table"
  private static let other = "semantics.riscv64.sv39.zero_length"

  @Test(
    "in a call",
    arguments: [
      ("_exit(0);", "ended with status 0"),
      ("for (int file = 0; file < 4096; file++) close(file);", "closed a file descriptor"),
      ("raise(SIGSTOP);", "hangs"),
      (
        "volatile char frame[65536]; frame[0] = 0; sv_unmap(table, iova + frame[0], length, into);",
        "signal 11"
      ),
      ("((volatile char *)table->memory->window)[-1] = 0;", "signal 11"),
      ("((volatile char *)table->memory->window)[table->memory->window_bytes] = 0;", "signal 11"),
      ("for (;;) memset(malloc(1 << 24), 1, 1 << 24);", "more than 256 MiB of memory"),
      ("if (fork()) _exit(0); for (;;) pause();", "ended with status 0"),
      ("signal(SIGTERM, SIG_IGN); raise(SIGFPE);", "signal 8"),
    ])
  func call(statement: String, problem: String) throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.unmapping(statement).build(in: scratch)
    let run = try ExampleLibrary.selftest(library, [Self.unmapping, Self.other], ["--memory-limit", "256M"])
    #expect(run.status == 1)
    #expect(run.output.contains(problem), "\(run.output)")
    if !statement.contains("close") {
      // That shows when the call has returned.
      #expect(run.lines.contains { $0.hasPrefix("# during: unmap 0x") && $0.hasSuffix(" 0x200000") })
    }
    #expect(run.points.first { $0.name == Self.unmapping }?.isOK == false)
    #expect(run.points.first { $0.name == Self.other }?.isOK == true)
  }

  @Test(
    "in a call, without harm",
    arguments: [
      "if (!fork()) for (;;) pause();",
      "for (int file = 0; file < 16; file++) dprintf(file, \"ok 1 garbage\\n1..1\\x1e\\x1f\\xff finished\\x1e\");",
      "puts(\"not ok 7 noise\"); fprintf(stderr, \"TAP version 13\\n\"); fflush(stdout);",
      "alarm(0); sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, NULL);",
    ])
  func harmless(statement: String) throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.unmapping(statement).build(in: scratch)
    let run = try ExampleLibrary.selftest(library, [Self.unmapping, Self.other])
    #expect(run.status == 0, "\(run.output)")
    #expect(run.points.map(\.name) == ["load", Self.unmapping, Self.other])
  }

  @Test(
    "while it is loaded: one failed point",
    arguments: [
      ("exit(0);", "ended with status 0"), ("_exit(0);", "ended with status 0"), ("for (;;) {}", "hangs"),
      ("*(volatile int *)8 = 0;", "signal 11"), ("raise(SIGSTOP);", "hangs"),
      ("for (int file = 0; file < 4096; file++) close(file);", "closed a file descriptor"),
      ("for (;;) memset(malloc(1 << 24), 1, 1 << 24);", "more than 256 MiB of memory"),
    ])
  func load(statement: String, problem: String) throws {
    let scratch = try Scratch()
    let library = try ExampleLibrary.loading(statement).build(in: scratch)
    let run = try ExampleLibrary.selftest(library, [Self.other], ["--memory-limit", "256M"])
    #expect(run.status == 1)
    #expect(run.points.map(\.name) == ["load"])
    #expect(run.points.first?.isOK == false)
    #expect(run.output.contains(problem), "\(run.output)")
  }

  @Test("an entry point that loops, a symbol that is nowhere, and a file that is no library")
  func unusable() throws {
    let scratch = try Scratch()
    let entry = "return abi_version =="
    func text(_ library: String) throws -> String {
      let run = try ExampleLibrary.selftest(library, [])
      #expect(run.status == 1)
      #expect(run.points.map(\.name) == ["load"])
      return run.output
    }
    let loops = ExampleLibrary(changes: [(entry, "for (;;) {} \(entry)")])
    #expect(try text(loops.build(in: scratch)).contains("hangs"))
    let unresolved = ExampleLibrary(changes: [(entry, "nowhere(); \(entry)")], flags: ["-Wl,-z,lazy"])
    #expect(try text(unresolved.build(in: scratch)).contains("undefined symbol: nowhere"))
    let words = try scratch.write(String(repeating: "no library\n", count: 100), to: "words.so")
    #expect(try text(words).contains("invalid ELF header"))
    let short = try scratch.write("\u{7f}ELF", to: "short.so")
    #expect(try text(short).contains("file too short"))
  }

  @Test(
    "answers that make no sense fail tests, not the process",
    arguments: [
      (
        "roots[0] = (struct ptkit_root){ .physical = table->root,",
        "return 0; roots[0] = (struct ptkit_root){"
      ),
      (".level = table->top_level };\n\treturn 1;", ".level = table->top_level };\n\treturn 4000;"),
      (".level = table->top_level };\n\treturn 1;", ".level = 0xfffffff0 };\n\treturn 1;"),
      (".physical = table->root,", ".physical = 0xdeadbeefdeadbeef,"),
      ("*pa = address(word) | iova % item_size(level);", "*pa = 0x8badf00d8badf00d;"),
      ("iova_to_phys(struct ptkit_table *table, uint64_t iova, uint64_t *pa)\n{", "$& *pa = 1; return 7;"),
    ])
  func answers(old: String, new: String) throws {
    let scratch = try Scratch()
    let text = new.replacingOccurrences(of: "$&", with: old)
    let library = try ExampleLibrary(changes: [(old, text)]).build(in: scratch)
    let run = try ExampleLibrary.selftest(library, ["walker.riscv64.sv39", Self.other])
    #expect(run.status == 1)
    #expect(run.points.first { $0.name == "walker.riscv64.sv39" }?.isOK == false)
    #expect(!run.output.contains("signal"), "\(run.output)")
    #expect(run.points.first { $0.name == Self.other } != nil)
  }

  @Test(
    "callbacks called with nonsense are told",
    arguments: [
      ("memory->release(memory->context, 0x123456789000, 12);", "release"),
      ("memory->release(memory->context, table->root + 8, 99);", "release"),
      ("memory->flush(memory->context, 0, ~0ull >> 2);", "flush"),
      ("uint64_t none; if (memory->allocate(memory->context, 63, &none)) abort();", "63"),
      ("memory->invalidate(memory->context, NULL);", ""),
      ("memory->change_top(memory->context, 0xdead000, ~0u);", "top"),
      ("if (memory->phys_to_virt(memory->context, 1)) abort();", ""),
    ])
  func callbacks(statement: String, problem: String) throws {
    let scratch = try Scratch()
    let start = "uint64_t unmapped = 0, last = iova + length - 1;"
    let text = "\(start) const struct ptkit_memory *memory = table->memory; \(statement)"
    let library = try ExampleLibrary(changes: [(start, text)]).build(in: scratch)
    let run = try ExampleLibrary.selftest(library, ["events.riscv64.sv39", Self.other])
    #expect(!run.output.contains("signal"), "\(run.output)")
    guard !problem.isEmpty else { return }
    #expect(run.status == 1)
    #expect(run.points.first { $0.name == "events.riscv64.sv39" }?.isOK == false)
    #expect(run.output.contains(problem), "\(run.output)")
  }

  @Test("the runtime of AddressSanitizer is found by what the library needs, and its report is shown")
  func sanitizer() throws {
    let scratch = try Scratch()
    var library = ExampleLibrary.unmapping("char *words = malloc(40); words[length / length * 40] = 1;")
    library.flags = ["-fsanitize=address", "-g"]
    let run = try ExampleLibrary.selftest(try library.build(in: scratch), [Self.unmapping, Self.other])
    #expect(run.status == 1)
    #expect(run.lines.contains { $0.hasPrefix("#") && $0.contains("AddressSanitizer: heap-buffer-overflow") })
    #expect(run.points.map(\.isOK) == [true, false, true], "\(run.output)")
  }
}
