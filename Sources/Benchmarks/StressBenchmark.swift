// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

/// The rate of iova_stress: one page mapped and unmapped every 2 MiB.
public struct StressRow: Hashable, Sendable, Codable {
  /// The configuration's slug.
  public var configuration: String
  /// Pages mapped and unmapped in the run with `bounded:64`.
  public var pairs: Int
  /// Seconds for them.
  public var seconds: Double
  /// The most table pages there were at once.
  public var peakPages: Int
  /// Nanoseconds for a pair over tables that stay, in each of them one page mapped all the time.
  public var inPlaceNever: Timing
  public var inPlaceBounded: Timing

  /// What reclaim costs where nothing is reclaimed: 1.05 is 5 %.
  public var reclaimRatio: Double { inPlaceBounded.minimum / inPlaceNever.minimum }
}

/// Times iova_stress on a format.
public struct StressBenchmark: FormatFunction {
  let configuration: Configuration
  let tebibytes: Int

  static var strideLog2: UInt64 { 21 }
  /// Bytes of table memory at most; what is not touched costs nothing.
  private static var reserve: UInt64 { 64 << 30 }

  /// Runs over `tebibytes` of IOVA with `bounded:64`, then over 1 TiB with the tables in place; nil where there is less
  /// address space than that, or a table spans more than 2 MiB.
  ///
  /// - Throws: `ConfigurationError`, `MachineError`, or `LinuxErrno.enomem`.
  public static func run(_ configuration: Configuration, tebibytes: Int) throws -> StressRow? {
    try FormatList.apply(
      StressBenchmark(configuration: configuration, tebibytes: tebibytes), to: configuration)
  }

  public func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> StressRow? {
    guard Format.itemLog2(level: 1) == Self.strideLog2, format.geometry.iovaBits > 40 else { return nil }
    let pairs = Self.pairs(tebibytes: tebibytes, format)
    let machine = try SimulatedMachine.forBenchmark(format, reserve: Self.reserve)
    let table = try GenericPageTable(
      format, memory: PlainMemory(machine: machine), reclaim: .bounded(64))
    let duration = measure { Self.mapAndUnmap(table, from: 0, pairs: pairs) }
    var row = StressRow(
      configuration: configuration.slug, pairs: pairs, seconds: duration.nanoseconds / 1e9,
      peakPages: machine.peakPages, inPlaceNever: Timing(), inPlaceBounded: Timing())
    try addInPlace(&row, format)
    return row
  }

  /// The pairs that fit into some TiB of the format's address space.
  private static func pairs<Format: PageTableFormat>(tebibytes: Int, _ format: Format) -> Int {
    let aperture = format.geometry.aperture
    let space = (aperture.upperBound - aperture.lowerBound) >> strideLog2 + 1
    return Int(min(UInt64(tebibytes) << (40 - strideLog2), space))
  }

  private func addInPlace<Format: PageTableFormat>(_ row: inout StressRow, _ format: Format) throws {
    let pairs = Self.pairs(tebibytes: 1, format)
    let never = try Self.tablesInPlace(format, .never, pairs: pairs)
    let bounded = try Self.tablesInPlace(format, .bounded(64), pairs: pairs)
    let rounds = 5
    for _ in 0..<rounds {
      row.inPlaceNever.add(
        measure { Self.mapAndUnmap(never, from: 1, pairs: pairs) }, operations: pairs, rounds: rounds)
      row.inPlaceBounded.add(
        measure { Self.mapAndUnmap(bounded, from: 1, pairs: pairs) }, operations: pairs, rounds: rounds)
    }
  }

  /// A page table in which the first page of every 2 MiB is mapped.
  private static func tablesInPlace<Format: PageTableFormat>(
    _ format: Format, _ reclaim: Reclaim, pairs: Int
  ) throws -> GenericPageTable<Format, PlainMemory> {
    let machine = try SimulatedMachine.forBenchmark(format, reserve: Self.reserve)
    let table = try GenericPageTable(format, memory: PlainMemory(machine: machine), reclaim: reclaim)
    let granule: UInt64 = 1 << UInt64(Format.granuleLog2)
    let base = table.format.geometry.aperture.lowerBound
    for position in 0..<pairs {
      let iova = base + UInt64(position) << strideLog2
      if let errno = table.map(iova: iova, pa: 0, length: granule, protection: [.read, .write]) {
        throw errno
      }
    }
    return table
  }

  /// Maps and unmaps page number `from` of every 2 MiB.
  @inline(never)
  static func mapAndUnmap<Format: PageTableFormat>(
    _ table: GenericPageTable<Format, PlainMemory>, from page: Int, pairs: Int
  ) {
    let granule: UInt64 = 1 << UInt64(Format.granuleLog2)
    let base = table.format.geometry.aperture.lowerBound
    var failures = 0
    for position in 0..<pairs {
      let iova = base + UInt64(position) << strideLog2 &+ UInt64(page) &* granule
      if table.map(iova: iova, pa: 0, length: granule, protection: [.read, .write]) != nil { failures += 1 }
      if table.unmap(iova: iova, length: granule) != granule { failures += 1 }
    }
    precondition(failures == 0, "a benchmark's map or unmap failed")
  }
}
