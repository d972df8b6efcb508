// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

/// The timings of one workload on one format.
public struct MapRow: Hashable, Sendable, Codable {
  /// The configuration's slug.
  public var configuration: String
  /// The workload's name.
  public var workload: String
  /// Words written by one operation at least.
  public var words: Int
  /// Bytes of a word.
  public var wordBytes: Int
  /// With the tables in place.
  public var map: Timing
  public var unmap: Timing
  /// The least that the hardware needs for the same stores, in the same run.
  public var mapFloor: Timing
  public var unmapFloor: Timing
  /// With the tables allocated by the map and released by the unmap.
  public var mapFresh: Timing
  public var unmapFresh: Timing

  /// The fastest rounds beside their floors'; what else the machine does disturbs averages.
  public var mapRatio: Double { map.minimum / mapFloor.minimum }
  public var unmapRatio: Double { unmap.minimum / unmapFloor.minimum }
  /// The targets that the ratios should not exceed: 4 for single leaves, 2.5 and 3 for runs; of words half as wide the
  /// floor is half as high, and what a map costs once is the same: 3.5.
  public var mapTarget: Double { words == 1 ? 4 : wordBytes == 8 ? 2.5 : 3.5 }
  public var unmapTarget: Double { words == 1 ? 4 : 3 }
}

/// Times map and unmap of a format.
public struct MapBenchmark: FormatFunction {
  let configuration: Configuration
  let rounds: Int

  /// Times every workload that a configuration has.
  ///
  /// - Parameter rounds: how often each workload is repeated; 1000 take some tens of milliseconds.
  /// - Throws: `ConfigurationError`, `MachineError`, or `LinuxErrno.enomem`.
  public static func run(_ configuration: Configuration, rounds: Int) throws -> [MapRow] {
    // Called in this module, so that the function is specialised for each format.
    try FormatList.apply(MapBenchmark(configuration: configuration, rounds: rounds), to: configuration)
  }

  public func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> [MapRow] {
    let table = try Self.makeTable(format, reclaim: .never)
    return try Workload.all(for: table).compactMap { try row($0, format) }
  }

  private static func makeTable<Format: PageTableFormat>(
    _ format: Format, reclaim: Reclaim
  ) throws -> GenericPageTable<Format, PlainMemory> {
    let machine = try SimulatedMachine.forBenchmark(format)
    return try GenericPageTable(format, memory: PlainMemory(machine: machine), reclaim: reclaim)
  }

  private func row<Format: PageTableFormat>(_ workload: Workload, _ format: Format) throws -> MapRow? {
    let table = try Self.makeTable(format, reclaim: .never)
    let fresh = try Self.makeTable(format, reclaim: .eager)
    let addresses = workload.addresses(
      count: workload.leaves == 1 ? 128 : 8, indexBits: Format.indexBits,
      within: format.geometry.aperture)
    // Too narrow an address space has no room for the workload.
    guard !addresses.isEmpty else { return nil }
    // Puts the tables in place: unmapping part of a table keeps it.
    Self.mapAll(table, addresses, workload.length)
    Self.unmapAll(table, addresses, workload.length)
    let level = Format.level(ofSizeLog2: workload.leafLog2)
    let floor = Floor(format: format, memory: table.memory, root: table.root, level: level)
    let value = format.leafBits(
      sizeLog2: workload.leafLog2, level: level,
      attributes: (try? format.attributes([.read, .write])) ?? 0)
    var row = MapRow(
      configuration: configuration.slug, workload: workload.name, words: workload.leaves,
      wordBytes: 1 << Format.Word.bytesLog2, map: Timing(),
      unmap: Timing(), mapFloor: Timing(), unmapFloor: Timing(), mapFresh: Timing(), unmapFresh: Timing())
    // Implementation and floor alternate, so that a noisy machine disturbs both alike.
    for _ in 0..<rounds {
      let count = addresses.count
      row.map.add(
        measure { Self.mapAll(table, addresses, workload.length) }, operations: count, rounds: rounds)
      row.unmap.add(
        measure { Self.unmapAll(table, addresses, workload.length) }, operations: count, rounds: rounds)
      if workload.leaves == 1 {
        row.mapFloor.add(measure { floor.store(addresses, value: value) }, operations: count, rounds: rounds)
        row.unmapFloor.add(measure { floor.store(addresses, value: 0) }, operations: count, rounds: rounds)
      } else {
        let step = Format.addressStep(level: level)
        row.mapFloor.add(
          measure { floor.fill(addresses, count: workload.leaves, value: value, step: step) },
          operations: count,
          rounds: rounds)
        row.unmapFloor.add(
          measure { floor.clear(addresses, count: workload.leaves) }, operations: count, rounds: rounds)
      }
      addFresh(&row, fresh, addresses, workload.length)
    }
    return row
  }

  /// Times each operation with tables that it allocates itself; a few suffice, as each takes long.
  private func addFresh<Format: PageTableFormat>(
    _ row: inout MapRow, _ table: GenericPageTable<Format, PlainMemory>,
    _ addresses: [(iova: UInt64, pa: UInt64)],
    _ length: UInt64
  ) {
    var map = Duration.zero
    var unmap = Duration.zero
    let some = addresses.prefix(8)
    for address in some {
      let one = [address]
      map += measure { Self.mapAll(table, one, length) }
      unmap += measure { Self.unmapAll(table, one, length) }
    }
    row.mapFresh.add(map, operations: some.count, rounds: rounds)
    row.unmapFresh.add(unmap, operations: some.count, rounds: rounds)
  }

  @inline(never)
  static func mapAll<Format: PageTableFormat>(
    _ table: GenericPageTable<Format, PlainMemory>, _ addresses: [(iova: UInt64, pa: UInt64)],
    _ length: UInt64
  ) {
    var failures = 0
    for address in addresses
    where table.map(iova: address.iova, pa: address.pa, length: length, protection: [.read, .write]) != nil {
      failures += 1
    }
    precondition(failures == 0, "a benchmark's map failed")
  }

  @inline(never)
  static func unmapAll<Format: PageTableFormat>(
    _ table: GenericPageTable<Format, PlainMemory>, _ addresses: [(iova: UInt64, pa: UInt64)],
    _ length: UInt64
  ) {
    var unmapped: UInt64 = 0
    for address in addresses { unmapped &+= table.unmap(iova: address.iova, length: length) }
    precondition(unmapped == length &* UInt64(addresses.count), "a benchmark's unmap missed something")
  }
}
