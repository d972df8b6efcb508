// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import ReferenceSpecs
import Synchronization
import Testing

@testable import Selftests

/// Each theme fails when what it guards is broken.
@Suite("mutants are caught")
struct MutationTests {
  private static let tests = Selftests.all()
  /// The tests that are known to pass without a fault.
  private static let passing = Mutex<Set<String>>([])

  /// The failures of tests on a target.
  private func failures(_ name: String, on target: any TargetFactory, shrinkLimit: Int = 0) throws -> [String]
  {
    let context = SelftestContext(seed: 1, target: target, library: .embedded, shrinkLimit: shrinkLimit)
    return try Selftests.select([name], from: Self.tests).flatMap { test -> [String] in
      if case .fail(let details) = test.run(context) { details } else { [] }
    }
  }

  private func expectCaught(_ name: String, _ mutant: MutantFactory) throws {
    let details = try failures(name, on: mutant)
    #expect(!details.isEmpty, "\(name) does not see it")
    guard Self.passing.withLock({ $0.insert(name).inserted }) else { return }
    #expect(try failures(name, on: MutantFactory()).isEmpty, "\(name) fails without a fault, too")
  }

  @Test(
    "a wrong bit in a leaf",
    arguments: [
      ("amdv1", 60), ("amdv1_mock", 61), ("x86_64", 2), ("x86_64", 6), ("vtdss", 62), ("riscv64.sv39", 4),
      ("riscv64.sv39", 9), ("armv8.s1.4k.ias48.oas48", 10), ("armv8.s2.16k.ias48.oas48", 7),
      ("armv8.s1.64k.ias48.oas48", 11), ("arm_lpae32.s2.ias40.oas40", 6), ("armv7s.ias32.oas32", 9),
      ("armv7s.ias34.oas35.no_perms-mtk_ext", 5), ("mali.ias33.oas40", 8), ("dart.v1.4k.ias32.oas36", 40),
      ("dart.v2.16k.ias32.oas42", 1),
    ])
  func leafBit(slug: String, bit: Int) throws {
    try expectCaught("roundtrip.\(slug)", MutantFactory(format: .leafBit(bit)))
  }

  @Test(
    "a wrong bit in a table pointer",
    arguments: [
      ("amdv1", 61), ("x86_64", 6), ("vtdss", 1), ("riscv64.sv39", 4), ("armv8.s1.4k.ias48.oas48", 59),
      ("armv7s.ias32.oas32.ns", 3), ("mali.ias48.oas40", 59), ("dart.v1.16k.ias32.oas36", 63),
    ])
  func tableBit(slug: String, bit: Int) throws {
    try expectCaught("roundtrip.\(slug)", MutantFactory(format: .tableBit(bit)))
  }

  @Test(
    "a format whose walks end elsewhere",
    arguments: [
      ("amdv1", FormatFault.tableAddressBit(51)), ("armv8.s1.64k.ias52.oas52", .rawTableAddress),
      ("x86_64", .tableAddressBit(12)), ("riscv64.sv48", .shortLeafAddress(44)), ("vtdss", .readGrantsWrite),
      ("amdv1_mock", .noSizeMark), ("armv8.s1.4k.ias48.oas48.contig1", .noSizeMark), ("x86_64", .leafBit(1)),
      ("armv7s.ias32.oas32", .noSizeMark), ("armv7s.ias34.oas35.no_perms-mtk_ext", .shortLeafAddress(34)),
      ("armv7s.ias34.oas35.no_perms-mtk_ext-mtk_ttbr_ext", .tableAddressBit(9)),
      ("armv7s.ias32.oas32", .tableAddressBit(10)), ("armv7s.ias32.oas32", .halfTables),
      ("mali.ias33.oas40", .halfTables), ("dart.v2.16k.ias42.oas42", .halfTables),
      ("dart.v1.4k.ias32.oas36", .oneRoot), ("dart.v1.4k.ias31.oas36", .rootsReversed),
      ("dart.v2.16k.ias32.oas42", .shortLeafAddress(41)),
    ])
  func walks(slug: String, fault: FormatFault) throws {
    try expectCaught("walker.\(slug)", MutantFactory(format: fault))
  }

  @Test("dirty state that is lost or sticks", arguments: [FormatFault.neverDirty, .neverClean])
  func dirty(fault: FormatFault) throws {
    try expectCaught("semantics.vtdss.dirty_set_and_clear", MutantFactory(format: fault))
  }

  @Test(
    "memory used in the wrong order",
    arguments: [
      ("amdv1", MemoryFault.syncsLate), ("x86_64", .neverSyncs), ("vtdss", .syncsLittle),
      ("amdv1_mock", .syncsEarly), ("vtdss.flush_range-dma_incoherent", .neverFlushes),
      ("armv8.s1.4k.ias48.oas48.coherent0", .flushesEntriesOnly), ("riscv64.sv39", .leaks),
      ("riscv64.sv39", .leaksSome), ("armv7s.ias32.oas32", .syncsLate),
      ("armv7s.ias32.oas32.coherent0", .neverFlushes),
      ("armv7s.ias32.oas32", .leaks), ("dart.v1.4k.ias32.oas36", .neverSyncs),
      ("mali.ias33.oas40.coherent0", .flushesEntriesOnly),
    ])
  func events(slug: String, fault: MemoryFault) throws {
    try expectCaught("events.\(slug)", MutantFactory(memory: fault))
  }

  @Test(
    "an incoherent walker that reads old words", arguments: [MemoryFault.neverFlushes, .flushesEntriesOnly])
  func staleWalk(fault: MemoryFault) throws {
    try expectCaught("walker.vtdss.flush_range-dma_incoherent", MutantFactory(memory: fault))
  }

  @Test(
    "operations that do or return something else",
    arguments: [
      (OperationFault.unmapReturnsMore, "unmap_returns_bytes"), (.unmapsOneLess, "unmap_returns_bytes"),
      (.unmapReturnsLength, "unmap_ends_inside_leaf"), (.unmapPassesHoles, "unmap_stops_at_hole"),
      (.keepsWhatFailed, "busy_midway_rolls_back"), (.mapsOverLeaves, "busy_same"),
      (.hidesNoMemory, "no_memory_rolls_back"), (.wrongPrecedence, "precedence"),
      (.losesLastPage, "first_and_last_page"), (.zeroIsNone, "output_zero"),
      (.emptyMapSucceeds, "zero_length"),
      (.clearsNothing, "dirty_set_and_clear"),
    ])
  func operations(fault: OperationFault, name: String) throws {
    try expectCaught("semantics.vtdss.\(name)", MutantFactory(operation: fault))
  }

  @Test(
    "random operations see faults, too",
    arguments: [
      OperationFault.unmapReturnsMore, .unmapsOneLess, .unmapPassesHoles, .keepsWhatFailed, .mapsOverLeaves,
      .emptyMapSucceeds,
    ])
  func random(fault: OperationFault) throws {
    try expectCaught("walker.x86_64", MutantFactory(operation: fault))
  }

  @Test(
    "allocation failures that are not cleaned up after",
    arguments: [
      MutantFactory(memory: .leaks), MutantFactory(operation: .keepsWhatFailed),
      MutantFactory(operation: .hidesNoMemory),
    ])
  func allocationFailures(mutant: MutantFactory) throws {
    try expectCaught("allocfail.x86_64", mutant)
  }

  @Test(
    "threads that meet faults",
    arguments: [
      MutantFactory(memory: .leaks), MutantFactory(memory: .leaksSome),
      MutantFactory(operation: .forgetsNeighbour),
    ])
  func concurrency(mutant: MutantFactory) throws {
    try expectCaught("concurrency.riscv64.sv39", mutant)
  }

  @Test(
    "growth without a bound, and a bound that holds by chance",
    arguments: [
      ("bounded_64", MutantFactory(reclaim: .never)), ("eager", MutantFactory(reclaim: .never)),
      ("eager", MutantFactory(memory: .leaks)), ("never_exceeds_bound", MutantFactory(reclaim: .eager)),
    ])
  func growth(name: String, mutant: MutantFactory) throws {
    try expectCaught("iova_stress.armv8.s1.64k.ias48.oas48.\(name)", mutant)
  }

  @Test(
    "empty tables that stay",
    arguments: [
      "semantics.vtdss.eager_keeps_none", "semantics.vtdss.bounded_keeps_few",
      "walker.armv8.s1.16k.ias48.oas48",
      "allocfail.vtdss",
    ])
  func reclaim(name: String) throws {
    try expectCaught(name, MutantFactory(reclaim: .never))
  }

  @Test("kept tables that are not used again")
  func reuse() throws {
    try expectCaught("semantics.vtdss.bounded_reuses", MutantFactory(reclaim: .eager))
  }

  @Test(
    "invalidations that say too little or cover too much",
    arguments: [
      ("riscv64.sv39.sync_tells_leaf_levels", MemoryFault.hidesLevels),
      ("riscv64.sv48.sync_tells_table_levels", .hidesLevels),
      ("riscv64.sv57.sync_tells_levels_together", .hidesLevels),
      ("amdv1.dynamic_top-flush_range_no_gaps-encrypt_tables-force_coherence.sync_passes_no_gap", .syncsMuch),
      ("amdv1.sync_of_hole", .syncsMuch), ("vtdss.sync_of_pruned_tables", .neverSyncs),
    ])
  func invalidations(name: String, fault: MemoryFault) throws {
    try expectCaught("semantics.\(name)", MutantFactory(memory: fault))
  }

  @Test("a failure comes with few operations and the command line that shows it")
  func reproducer() throws {
    let details = try failures(
      "walker.amdv1_mock", on: MutantFactory(operation: .unmapReturnsMore), shrinkLimit: 600)
    let command = try #require(details.first { $0.hasPrefix("ptkit image 'amdv1_mock") })
    let operations = command.split(separator: "'").filter { $0.contains("map") }
    #expect(operations.count <= 3, "\(command)")
    #expect(details.contains("ptkit selftest --seed 0x1 walker.amdv1_mock"))
  }
}
