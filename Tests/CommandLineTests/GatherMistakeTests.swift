// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// Mistakes in gathers of the example, which unmaps that synchronise themselves do not show.
@Suite("gathers of a library")
struct GatherMistakeTests {
  /// What is put into the example: `faulty` stands in the place of its sync.
  private static let faulty = """
    static void nothing(void *context, const struct ptkit_invalidation *invalidation)
    {
    	(void)context, (void)invalidation;
    }

    static void faulty(struct ptkit_table *table, struct ptkit_gather *from)
    {
    	const struct ptkit_memory *memory = table->memory;
    	struct ptkit_memory quiet = *memory;
    	struct gathered *gathered = from->data;

    	quiet.invalidate = nothing;
    	if (CONDITION)
    		table->memory = &quiet;
    	if (LEAK && gathered)
    		gathered->count = 0;
    	sv_sync(table, from);
    	table->memory = memory;
    }


    """

  private func run(_ changes: [(old: String, new: String)]) throws -> Run {
    let scratch = try Scratch()
    let library = try ExampleLibrary.build(changes, in: scratch)
    return try Run.ptkit(["selftest", "--target", "lib:\(library)", "events.riscv64.sv39"])
  }

  /// The text that puts the sync with a fault into the example.
  private func sync(quietIf condition: String, leaks: Bool = false) -> [(old: String, new: String)] {
    let start = "static const char *const configurations[]"
    let code = Self.faulty.replacingOccurrences(of: "CONDITION", with: condition)
      .replacingOccurrences(of: "LEAK", with: leaks ? "1" : "0")
    return [(start, code + start), (".sync = sv_sync", ".sync = faulty")]
  }

  private func expectCaught(_ changes: [(old: String, new: String)]) throws {
    let run = try run(changes)
    #expect(run.streamDefects == [])
    #expect(
      run.points.first { $0.name == "events.riscv64.sv39" }?.isOK == true, "seen without a gather, too")
    #expect(run.points.first { $0.name == "events.riscv64.sv39.gather" }?.isOK == false, "\(run.output)")
  }

  @Test("a sync that invalidates nothing is found")
  func lostInvalidation() throws { try expectCaught(sync(quietIf: "1")) }

  @Test("a sync of a flush queue that invalidates nothing is found")
  func lostQueue() throws { try expectCaught(sync(quietIf: "from->flags & PTKIT_GATHER_QUEUED")) }

  @Test("tables that a sync does not release are found")
  func leak() throws { try expectCaught(sync(quietIf: "0", leaks: true)) }

  @Test("an unmap that releases what it should gather is found")
  func earlyRelease() throws {
    let release = """
      for (struct gathered *now = into ? into->data : NULL; now && now->count;)
      		table->memory->release(table->memory->context, now->tables[--now->count], PAGE_LOG2);
      	sv_sync(table, &own);
      """
    try expectCaught([("sv_sync(table, &own);", release)])
  }
}
