// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import LegacyPT
import PageTable
import ReferenceSpecs
import Simulator
import TAP
import Testing

@testable import Conformance
@testable import Selftests

/// The kit's models of drivers' own code as a target, with one fault.
struct DriverMutantFactory: TargetFactory {
  let name = "driver mutant"
  let capabilities: TargetCapabilities = [
    .eventLog, .faultInjection, .accounting, .placement, .creationFaults,
  ]
  var memory: MemoryFault?
  var operation: OperationFault?
  /// The error of a creation that finds no memory, instead of ENOMEM.
  var creationError: LinuxErrno?

  func driver(of configuration: Configuration) throws -> Configuration? {
    try LegacyVocabulary.legacy(of: configuration).first
  }

  func encoder(_ configuration: Configuration) throws -> GenericEncoder? { nil }

  func make(_ configuration: Configuration, _ options: TargetOptions) throws -> any PageTableUnderTest {
    struct Wrap: LegacyFunction {
      let configuration: Configuration
      let recorder: RecordingMemory

      func callAsFunction<Table: LegacyPageTable>(_ table: Table) -> any SimulatedTarget {
        SimulatedLegacyTable(table, configuration, recorder)
      }
    }
    let own = try #require(try driver(of: configuration))
    let machine = try SimulatedMachine(physicalBase: options.physicalBase, reserve: options.reserve)
    let recorder = RecordingMemory(machine: machine, incoherent: own.text("coherent") == "0")
    let table: any SimulatedTarget
    do {
      table = try machine.lend(options.creationBudget) {
        try LegacyList.apply(
          Wrap(configuration: own, recorder: recorder), to: own, memory: MutantMemory(recorder, memory))
      }
    } catch let shortage as CreationShortage {
      throw creationError ?? shortage
    }
    return operation.map { FaultyTable(table, $0) } ?? table
  }
}

/// The themes see faults of drivers' own code.
@Suite("mutants of drivers' own code are caught")
struct DriverMutationTests {
  private static let tests = ["armv8", "arm_lpae32", "armv7s", "mali", "dart", "amdv1", "riscv64"].flatMap {
    format in
    Selftests.foreign(format: format, .driver, configurations: [], golden: nil, library: .embedded) { all in
      all.filter { (try? LegacyVocabulary.legacy(of: $0)) != nil && !$0.slug.contains("contig") }
    }
  }

  private func failures(_ name: String, on target: DriverMutantFactory) throws -> [String] {
    let context = SelftestContext(seed: 1, target: target, library: .embedded, shrinkLimit: 0)
    return try Selftests.select([name], from: Self.tests).flatMap { test -> [String] in
      if case .fail(let details) = test.run(context) { details } else { [] }
    }
  }

  @Test(
    "without a fault, all pass",
    arguments: ["walker", "semantics", "allocfail", "compare", "events"],
    [
      "armv8.s1.4k.ias48.oas48", "armv8.s2.16k.ias48.oas48", "arm_lpae32.s1.ias32.oas40", "mali.ias48.oas40",
      "dart.v1.16k.ias32.oas36", "armv8.s1.4k.ias39.oas48.ttbr1", "armv8.s1.4k.ias48.oas48.coherent0",
    ])
  func passes(theme: String, slug: String) throws {
    #expect(try failures("\(theme).\(slug)", on: DriverMutantFactory()) == [])
  }

  @Test(
    "operations that do or return something else",
    arguments: [
      (OperationFault.unmapReturnsMore, "unmap_returns_bytes"), (.unmapsOneLess, "unmap_returns_bytes"),
      (.unmapPassesHoles, "unmap_stops_at_hole"), (.keepsWhatFailed, "busy_in_next_table"),
      (.mapsOverLeaves, "busy_same"),
      (.hidesNoMemory, "no_memory_rolls_back"), (.losesLastPage, "first_and_last_page"),
      (.zeroIsNone, "output_zero"), (.forgetsNeighbour, "neighbours_stay"),
    ])
  func operations(fault: OperationFault, name: String) throws {
    let name = "semantics.armv8.s1.4k.ias48.oas48.\(name)"
    #expect(try failures(name, on: DriverMutantFactory(operation: fault)) != [])
  }

  @Test("a lookup that goes wrong at the last byte of 64 bits")
  func lastByte() throws {
    let name = "semantics.armv8.s1.4k.ias39.oas48.ttbr1.last_byte"
    #expect(try failures(name, on: DriverMutantFactory(operation: .lastByteIsNone)) != [])
  }

  @Test(
    "random operations and comparisons see faults, too",
    arguments: [
      "walker.armv8.s1.4k.ias48.oas48", "compare.armv8.s1.4k.ias48.oas48.generic",
      "compare.armv8.s1.4k.ias48.oas48.legacy",
    ], [OperationFault.unmapReturnsMore, .unmapsOneLess, .keepsWhatFailed, .mapsOverLeaves])
  func random(name: String, fault: OperationFault) throws {
    #expect(try failures(name, on: DriverMutantFactory(operation: fault)) != [])
  }

  @Test(
    "allocation failures that are not cleaned up after",
    arguments: [
      DriverMutantFactory(memory: .leaks), DriverMutantFactory(operation: .keepsWhatFailed),
      DriverMutantFactory(operation: .hidesNoMemory),
    ])
  func allocationFailures(mutant: DriverMutantFactory) throws {
    #expect(try failures("allocfail.armv8.s1.4k.ias48.oas48", on: mutant) != [])
  }

  @Test(
    "creations that fail, and leave something behind or say something else",
    arguments: [
      (
        DriverMutantFactory(memory: .leaksUnused), "dart.v1.4k.ias32.oas36",
        "pages of tables are left after ENOMEM"
      ),
      (DriverMutantFactory(creationError: .einval), "armv7s.ias32.oas32", "expected ENOMEM, found"),
    ])
  func creation(mutant: DriverMutantFactory, slug: String, problem: String) throws {
    let details = try failures("allocfail.\(slug)", on: mutant)
    #expect(details.first?.contains(problem) == true)
    #expect(details.contains { $0.contains("is made, table memory at") })
    #expect(try failures("allocfail.\(slug)", on: DriverMutantFactory()) == [])
  }

  @Test(
    "memory used in the wrong order",
    arguments: [
      ("armv8.s1.4k.ias48.oas48", MemoryFault.neverSyncs), ("armv8.s1.4k.ias48.oas48", .syncsLittle),
      ("armv8.s1.4k.ias48.oas48", .leaks), ("armv8.s1.4k.ias48.oas48.coherent0", .neverFlushes),
    ])
  func events(slug: String, fault: MemoryFault) throws {
    #expect(try failures("events.\(slug)", on: DriverMutantFactory(memory: fault)) != [])
  }

  @Test("names are valid and unique, and what is missing is there to be skipped")
  func names() {
    #expect(Self.tests.allSatisfy { TAPName.isValid($0.name) })
    #expect(Set(Self.tests.map { TAPName.identity($0.name) }).count == Self.tests.count)
    let context = SelftestContext(seed: 1, target: DriverMutantFactory(), library: .embedded)
    for name in ["walker.armv8.s1.4k.ias48.oas48.contig1", "semantics.amdv1.oa48", "roundtrip.mali"] {
      let outcome = Self.tests.first { $0.name == name }?.run(context)
      guard case .skip = outcome else {
        Issue.record("\(name) is not skipped")
        continue
      }
    }
  }
}
