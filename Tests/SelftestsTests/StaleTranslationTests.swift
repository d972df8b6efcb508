// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import ReferenceSpecs
import Simulator
import Testing

@testable import Selftests

/// A device's caches over page tables whose invalidations go wrong, without any other check.
@Suite("stale translations are seen")
struct StaleTranslationTests {
  /// The rules that operations break.
  private func broken(_ text: String, _ fault: MemoryFault?, _ operations: [PageTable.Operation]) throws
    -> [CacheRule]
  {
    let configuration = try FormatList.configuration(text)
    let context = SelftestContext(seed: 1, target: MutantFactory(memory: fault), library: .embedded)
    let subject = try context.subject(configuration)
    var options = subject.options
    options.reclaim = .eager
    let table = try context.target.makeRecorded(configuration, options)
    var device = DeviceCaches(subject.reference)
    return operations.flatMap { operation -> [CacheRule] in
      device.begin(operation, on: table)
      _ = table.perform(operation)
      return device.end(operation, on: table, table.recorder.takeEvents()).map(\.rule)
    }
  }

  private func map(_ iova: UInt64, _ length: UInt64) -> PageTable.Operation {
    .map(iova: iova, pa: iova, length: length, protection: [.read, .write])
  }

  @Test(
    "a short, a missing and an early sync after an unmap",
    arguments: ["amdv1", "x86_64", "vtdss", "riscv64", "armv8"],
    [(nil, []), (.neverSyncs, [.staleLeaf]), (.syncsLittle, [.staleLeaf]), (.syncsEarly, [.staleLeaf])]
      as [(MemoryFault?, Set<CacheRule>)])
  func unmap(text: String, expected: (fault: MemoryFault?, rules: Set<CacheRule>)) throws {
    let keep = map(0, 0x1000)
    let operations = [keep, map(0x10_1000, 0x3000), .unmap(iova: 0x10_1000, length: 0x3000)]
    let found = try broken(text, expected.fault, operations)
    #expect(Set(found) == expected.rules)
  }

  @Test(
    "a table that goes before its pointers do",
    arguments: [
      (nil, []), (.syncsLate, [.lateInvalidation]),
      (.neverSyncs, [.staleLeaf, .lateInvalidation]), (.syncsEarly, [.staleLeaf, .lateInvalidation]),
    ] as [(MemoryFault?, Set<CacheRule>)])
  func tables(fault: MemoryFault?, rules: Set<CacheRule>) throws {
    let operations = [map(0, 0x1000), map(0x20_0000, 0x20_0000 - 0x1000)]
    let found = try broken("vtdss", fault, operations + [.unmap(iova: 0x20_0000, length: 0x1f_f000)])
    #expect(Set(found).isSuperset(of: rules), "\(found)")
    #expect(found.isEmpty == rules.isEmpty, "\(found)")
  }
}
