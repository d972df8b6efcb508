// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Simulator

/// Watches one side's IOTLB and paging-structure caches.
struct TranslationWatch {
  private var caches: TranslationCaches
  private var late: CacheViolation?

  init(_ reference: ReferenceFormat) {
    caches = TranslationCaches(walker: reference)
  }

  /// The device accesses addresses before an operation.
  mutating func access(_ addresses: [UInt64], _ table: any SimulatedTarget) {
    caches.touch(addresses, roots: table.roots, memory: table.memory)
  }

  /// Takes in the events of an operation: syncs invalidate, and what they do not cover stays.
  mutating func digest(_ events: [MemoryEvent]) {
    if let violation = caches.apply(events).first, late == nil { late = violation }
  }

  /// What the caches still say and must not, or nil.
  mutating func stale(
    _ addresses: [UInt64], _ reach: ClosedRange<UInt64>, _ table: any SimulatedTarget
  ) -> String? {
    if let late { return "\(late)" }
    return caches.check(
      addresses, first: reach.lowerBound, last: reach.upperBound, roots: table.roots, memory: table.memory
    ).first.map { "\($0)" }
  }
}
