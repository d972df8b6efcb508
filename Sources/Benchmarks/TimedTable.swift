// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import LegacyPT
import LibraryTarget
import PageTable
import Simulator

/// A page table whose operations are timed one call at a time: as iommu_map() and iommu_unmap(), none becomes part of
/// its caller.
protocol TimedTable {
  /// Maps a range for reading and writing; false when that fails.
  func map(_ iova: UInt64, _ pa: UInt64, _ length: UInt64) -> Bool
  /// Unmaps a range and synchronises; returns how many bytes.
  func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64
}

extension TimedTable {
  /// Maps each range; returns how many maps succeeded.
  @inline(never)
  func mapAll(_ addresses: [Addresses], _ length: UInt64) -> Int {
    var done = 0
    for address in addresses { done &+= map(address.iova, address.pa, length) ? 1 : 0 }
    return done
  }

  /// Unmaps each range; returns how many bytes.
  @inline(never)
  func unmapAll(_ addresses: [Addresses], _ length: UInt64) -> UInt64 {
    var unmapped: UInt64 = 0
    for address in addresses { unmapped &+= unmap(address.iova, length) }
    return unmapped
  }
}

/// The generic algorithms.
struct TimedGeneric<Format: PageTableFormat>: TimedTable {
  let table: GenericPageTable<Format, PlainMemory>

  @inline(never)
  func map(_ iova: UInt64, _ pa: UInt64, _ length: UInt64) -> Bool {
    table.map(iova: iova, pa: pa, length: length, protection: [.read, .write]) == nil
  }

  @inline(never)
  func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64 { table.unmap(iova: iova, length: length) }
}

/// The kit's model of a driver's own code.
struct TimedLegacy<Table: LegacyPageTable>: TimedTable {
  let table: Table

  @inline(never)
  func map(_ iova: UInt64, _ pa: UInt64, _ length: UInt64) -> Bool {
    table.map(iova: iova, pa: pa, length: length, protection: [.read, .write]) == nil
  }

  @inline(never)
  func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64 { table.unmap(iova: iova, length: length) }
}

/// Code of a library, called through the pointers that it gives.
struct TimedLibrary: TimedTable {
  let handle: OpaquePointer
  let mapFunction: TimedLibraryTable.Map
  let unmapFunction: TimedLibraryTable.Unmap

  init(_ table: TimedLibraryTable) {
    handle = table.handle
    mapFunction = table.map
    unmapFunction = table.unmap
  }

  @inline(__always)
  func map(_ iova: UInt64, _ pa: UInt64, _ length: UInt64) -> Bool {
    let protection: Protection = [.read, .write]
    return mapFunction(handle, iova, pa, length, protection.rawValue, nil) == 0
  }

  @inline(__always)
  func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64 { unmapFunction(handle, iova, length, nil) }
}

/// One implementation beside others; its rounds are code that is specialised for it.
struct Contestant {
  /// What messages call it.
  let name: String
  /// The page sizes in use, a bitmap of bytes; 0 where that is not known.
  let pageSizes: UInt64
  /// The library that it is, for the supervisor of its process.
  let library: TimedLibraryTable?
  private let mapAll: (_ addresses: [Addresses], _ length: UInt64) -> Int
  private let unmapAll: (_ addresses: [Addresses], _ length: UInt64) -> UInt64

  init(_ name: String, _ table: some TimedTable, pageSizes: UInt64, library: TimedLibraryTable? = nil) {
    self.name = name
    self.pageSizes = pageSizes
    self.library = library
    mapAll = { table.mapAll($0, $1) }
    unmapAll = { table.unmapAll($0, $1) }
  }

  /// Maps and unmaps one range after the other, so that a crash is known by its operation; makes the tables in which the
  /// timed rounds map.
  func prepare(_ addresses: [Addresses], _ length: UInt64) throws {
    for address in addresses {
      library?.begin(
        .map(iova: address.iova, pa: address.pa, length: length, protection: [.read, .write]))
      let isMapped = mapAll([address], length) == 1
      library?.end()
      guard isMapped else {
        throw TargetBenchmarkError(
          "\(name): map \(Numbers.hex(address.iova)) of \(Numbers.size(length)) fails")
      }
    }
    for address in addresses {
      library?.begin(.unmap(iova: address.iova, length: length))
      let unmapped = unmapAll([address], length)
      library?.end()
      guard unmapped == length else {
        throw TargetBenchmarkError(
          "\(name): unmap \(Numbers.hex(address.iova)) of \(Numbers.size(length)) unmaps \(Numbers.hex(unmapped))"
        )
      }
    }
  }

  /// One round: all maps, then all unmaps.
  func round(_ addresses: [Addresses], _ length: UInt64) throws -> (map: Duration, unmap: Duration) {
    var mapped = 0
    var unmapped: UInt64 = 0
    library?.beginRound(isMap: true)
    let map = measure { mapped = mapAll(addresses, length) }
    library?.beginRound(isMap: false)
    let unmap = measure { unmapped = unmapAll(addresses, length) }
    library?.end()
    guard mapped == addresses.count, unmapped == length &* UInt64(addresses.count) else {
      throw TargetBenchmarkError("\(name): a map or unmap fails that succeeded before")
    }
    return (map, unmap)
  }
}

/// Why an implementation cannot be timed.
public struct TargetBenchmarkError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
