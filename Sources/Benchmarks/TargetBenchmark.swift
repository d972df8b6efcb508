// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import LegacyPT
import LibraryTarget
import PageTable
import Simulator

/// What one operation takes on each implementation, in ns for one page.
public struct TargetRow: Hashable, Sendable, Codable {
  /// The configuration's slug.
  public var configuration: String
  /// `map` or `unmap`.
  public var operation: String
  /// The workload's name.
  public var workload: String
  /// Pages of one operation.
  public var pages: Int
  /// The generic algorithms.
  public var generic = Timing()
  /// The kit's model of the driver's own code; nil where there is none.
  public var legacy: Timing?
  /// The slug of its configuration.
  public var legacyConfiguration: String?
  /// The libraries, in the order in which they were given.
  public var libraries: [Timing]
}

/// Times map and unmap of the generic algorithms, of the kit's legacy code and of libraries side by side, in one process.
public enum TargetBenchmark {
  /// Rounds of one implementation before the next one's turn: the first fetches its tables into the cache.
  private static let roundsOfTurn = 2

  /// Rows for a page and for 256 pages, map and unmap each.
  ///
  /// - Parameters:
  ///   - targets: the libraries.
  ///   - rounds: how often each workload is repeated.
  /// - Throws: `ConfigurationError`, `TargetGap`, `LibraryError`, `MachineError`, `TargetBenchmarkError`, or
  ///   `LinuxErrno.enomem`.
  public static func run(
    _ configuration: Configuration, targets: [LibraryFactory], rounds: Int
  ) throws -> [TargetRow] {
    let generic = try FormatList.apply(GenericContestant(), to: configuration)
    var libraries: [Contestant] = []
    var driver = (try? LegacyVocabulary.legacy(of: configuration))?.first
    for target in targets {
      let table = try target.timed(configuration)
      if target.isLegacy(configuration.format) { driver = table.configuration }
      libraries.append(
        Contestant(target.name, TimedLibrary(table), pageSizes: table.pageSizes, library: table))
    }
    let legacy = try driver.map { driver in
      try LegacyList.apply(
        LegacyContestant(), to: driver, memory: PlainMemory(machine: try generic.machine()))
    }
    return try generic.workloads.flatMap { workload -> [TargetRow] in
      let addresses = generic.addresses(workload)
      let all = [generic.contestant] + libraries + (legacy.map { [$0] } ?? [])
      let hasSize = all.allSatisfy { $0.pageSizes == 0 || $0.pageSizes >> UInt64(workload.leafLog2) & 1 == 1 }
      guard hasSize, !addresses.isEmpty else { return [] }
      let timings = try time(all, workload, addresses, rounds)
      return ["map", "unmap"].enumerated().map { kind, operation in
        TargetRow(
          configuration: configuration.slug, operation: operation, workload: workload.name,
          pages: workload.leaves, generic: timings[0][kind],
          legacy: legacy.flatMap { _ in timings.last?[kind] },
          legacyConfiguration: legacy.flatMap { _ in driver?.slug },
          libraries: timings[1...libraries.count].map { $0[kind] })
      }
    }
  }

  /// The timings of map and unmap of each contestant. They take turns, so that a noisy machine disturbs all alike, in an
  /// order that changes, so that none always follows the same other.
  private static func time(
    _ all: [Contestant], _ workload: Workload, _ addresses: [Addresses], _ rounds: Int
  ) throws -> [[Timing]] {
    let length = workload.length
    for contestant in all { try contestant.prepare(addresses, length) }
    var timings = all.map { _ in [Timing(), Timing()] }
    let pages = addresses.count * workload.leaves
    let turns = max(1, rounds / roundsOfTurn)
    for turn in 0..<turns {
      for position in all.indices {
        let index = (position + turn) % all.count
        for _ in 0..<roundsOfTurn {
          let (map, unmap) = try all[index].round(addresses, length)
          timings[index][0].add(map, operations: pages, rounds: turns * roundsOfTurn)
          timings[index][1].add(unmap, operations: pages, rounds: turns * roundsOfTurn)
        }
      }
    }
    return timings
  }
}

/// The generic algorithms, and what there is to time.
private struct GenericContestant: FormatFunction {
  struct Output {
    var contestant: Contestant
    var workloads: [Workload]
    var addresses: (Workload) -> [Addresses]
    /// Makes a machine for a page table of the format.
    var machine: () throws -> SimulatedMachine
  }

  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> Output {
    let machine = { try SimulatedMachine.forBenchmark(format) }
    // As kernel code is used: threads on ranges that do not overlap.
    let table = try GenericPageTable(format, memory: PlainMemory(machine: machine()), sharing: .shared)
    let workloads = [1, 256].map { Workload(leafLog2: Format.granuleLog2, leaves: $0) }
    return Output(
      contestant: Contestant("generic", TimedGeneric(table: table), pageSizes: table.pageSizes),
      workloads: workloads,
      addresses: { workload in
        workload.addresses(
          count: workload.leaves == 1 ? 128 : 8, indexBits: Format.indexBits, within: format.geometry.aperture
        )
      }, machine: machine)
  }
}

/// A driver's own code.
private struct LegacyContestant: LegacyFunction {
  func callAsFunction<Table: LegacyPageTable>(_ table: Table) -> Contestant {
    Contestant("legacy", TimedLegacy(table: table), pageSizes: table.pageSizes)
  }
}
