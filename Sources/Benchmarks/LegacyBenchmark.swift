// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import LegacyPT
import PageTable
import Simulator

/// The drivers' own code beside the generic algorithms, on one workload, in one run.
public struct LegacyRow: Hashable, Sendable, Codable {
  /// The generic configuration's slug.
  public var configuration: String
  /// The slug of the driver's configuration.
  public var legacy: String
  /// The workload's name.
  public var workload: String
  public var mapOld = Timing()
  public var mapNew = Timing()
  public var unmapOld = Timing()
  public var unmapNew = Timing()

  /// By how much the generic map is faster than the driver's, in percent of the driver's; by the fastest rounds.
  public var mapImprovement: Double { Self.improvement(mapOld, mapNew) }
  public var unmapImprovement: Double { Self.improvement(unmapOld, unmapNew) }
  /// The driver's time over the generic one's, by the fastest rounds; the target is 1 at least.
  public var mapRatio: Double { mapOld.minimum / mapNew.minimum }
  public var unmapRatio: Double { unmapOld.minimum / unmapNew.minimum }

  private static func improvement(_ old: Timing, _ new: Timing) -> Double {
    (old.minimum - new.minimum) / old.minimum * 100
  }
}

/// Times map and unmap of a generic configuration and of the drivers' code that it replaces.
public enum LegacyBenchmark {
  /// A row for each driver and workload; none where no driver's code makes such page tables.
  ///
  /// - Parameter rounds: how often each workload is repeated.
  /// - Throws: `ConfigurationError`, `MachineError`, or `LinuxErrno.enomem`.
  public static func run(_ configuration: Configuration, rounds: Int) throws -> [LegacyRow] {
    guard let drivers = try? LegacyVocabulary.legacy(of: configuration) else { return [] }
    let new = try FormatList.apply(GenericSide(), to: configuration)
    return try drivers.flatMap { (driver) -> [LegacyRow] in
      let old = try LegacyList.apply(LegacySide(), to: driver, memory: PlainMemory(machine: new.machine()))
      return new.workloads.compactMap { (workload) -> LegacyRow? in
        guard old.pageSizes & 1 << UInt64(workload.leafLog2) != 0 else { return nil }
        var row = LegacyRow(
          configuration: configuration.slug, legacy: driver.slug, workload: workload.name)
        let isTimed = time(&row, old, new.side, new.addresses(workload), workload.length, rounds)
        return isTimed ? row : nil
      }
    }
  }

  /// Old and new take turns, so that a noisy machine disturbs both alike; false when there is no room.
  private static func time(
    _ row: inout LegacyRow, _ old: TimedSide, _ new: TimedSide, _ addresses: [Addresses], _ length: UInt64,
    _ rounds: Int
  ) -> Bool {
    guard !addresses.isEmpty else { return false }
    // Puts the tables in place: unmapping part of a table keeps it.
    for side in [old, new] {
      _ = side.map(addresses, length)
      _ = side.unmap(addresses, length)
    }
    for _ in 0..<rounds {
      row.mapOld.add(old.map(addresses, length), operations: addresses.count, rounds: rounds)
      row.mapNew.add(new.map(addresses, length), operations: addresses.count, rounds: rounds)
      row.unmapOld.add(old.unmap(addresses, length), operations: addresses.count, rounds: rounds)
      row.unmapNew.add(new.unmap(addresses, length), operations: addresses.count, rounds: rounds)
    }
    return true
  }
}

/// Where one operation maps from and to.
typealias Addresses = (iova: UInt64, pa: UInt64)

/// One side: what is timed runs in code that is specialised for it, called once for a round.
private struct TimedSide {
  var pageSizes: UInt64
  var map: (_ addresses: [Addresses], _ length: UInt64) -> Duration
  var unmap: (_ addresses: [Addresses], _ length: UInt64) -> Duration
}

/// The generic algorithms, and what there is to time.
private struct GenericSide: FormatFunction {
  struct Output {
    var side: TimedSide
    var workloads: [Workload]
    var addresses: (Workload) -> [Addresses]
    /// Makes a machine for a page table of the format.
    var machine: () throws -> SimulatedMachine
  }

  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> Output {
    let makeMachine = { try SimulatedMachine.forBenchmark(format) }
    let table = try GenericPageTable(format, memory: PlainMemory(machine: makeMachine()))
    let side = TimedSide(pageSizes: table.pageSizes) { addresses, length in
      measure { MapBenchmark.mapAll(table, addresses, length) }
    } unmap: { addresses, length in
      measure { MapBenchmark.unmapAll(table, addresses, length) }
    }
    let addresses = { (workload: Workload) in
      workload.addresses(
        count: workload.leaves == 1 ? 128 : 8, indexBits: Format.indexBits, within: format.geometry.aperture)
    }
    return Output(
      side: side, workloads: Workload.all(for: table), addresses: addresses, machine: makeMachine)
  }
}

/// A driver's own code.
private struct LegacySide: LegacyFunction {
  func callAsFunction<Table: LegacyPageTable>(_ table: Table) -> TimedSide {
    TimedSide(pageSizes: table.pageSizes) { addresses, length in
      measure { Self.mapAll(table, addresses, length) }
    } unmap: { addresses, length in
      measure { Self.unmapAll(table, addresses, length) }
    }
  }

  @inline(never)
  private static func mapAll<Table: LegacyPageTable>(
    _ table: Table, _ addresses: [Addresses], _ length: UInt64
  ) {
    var failures = 0
    for address in addresses
    where table.map(iova: address.iova, pa: address.pa, length: length, protection: [.read, .write]) != nil {
      failures += 1
    }
    precondition(failures == 0, "a benchmark's map failed")
  }

  @inline(never)
  private static func unmapAll<Table: LegacyPageTable>(
    _ table: Table, _ addresses: [Addresses], _ length: UInt64
  ) {
    var unmapped: UInt64 = 0
    for address in addresses { unmapped &+= table.unmap(iova: address.iova, length: length) }
    precondition(unmapped == length &* UInt64(addresses.count), "a benchmark's unmap missed something")
  }
}
