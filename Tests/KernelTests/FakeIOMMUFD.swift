// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// /dev/iommu of a fake machine, with the mock device. Numbers and layouts are written down here once more, from
/// include/uapi/linux/iommufd.h.
final class FakeIOMMUFD: FakeMappingMachine.File {
  private unowned let machine: FakeMappingMachine
  private var spaces: [UInt32: FakePageTable] = [:]
  private var attached: Set<UInt32> = []
  private var nextID: UInt32 = 1
  /// Copies by their IOVA, with that of the source.
  private var copies: [UInt64: UInt64] = [:]

  init(_ machine: FakeMappingMachine) { self.machine = machine }

  func attach(_ id: UInt32, ranges: [(UInt64, UInt64)] = FakePageTable.usual, page: UInt64 = 4096) {
    attached.insert(id)
    let all: [(UInt64, UInt64)] = [(0, UInt64.max)]
    let isNarrow = !machine.faults.contains(.rangesNotNarrowed)
    if let old = spaces[id] { machine.release(old) }
    spaces[id] = machine.makeTable(ranges: isNarrow ? ranges : all, page: page)
  }

  private func space(_ id: UInt64) throws(MachineError) -> FakePageTable {
    guard let table = spaces[UInt32(truncatingIfNeeded: id)] else { throw machine.refused("space", ENOENT) }
    return table
  }

  func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int {
    guard bytes.number(0, 4) == UInt64(bytes.count) else { throw machine.refused("size", EINVAL) }
    switch request {
    case 0x3b80: try destroy(UInt32(bytes.number(4, 4)))
    case 0x3b81:
      spaces[nextID] = machine.makeTable(ranges: [(0, UInt64.max)])
      bytes.set(UInt64(nextID), at: 8, 4)
      nextID += 1
    case 0x3b83: try copy(&bytes)
    case 0x3b84: try ranges(&bytes)
    case 0x3b85: try map(&bytes)
    case 0x3b86: try unmap(&bytes)
    case 0x3ba0: try test(&bytes)
    default: throw machine.refused("ioctl", ENOTTY)
    }
    return 0
  }

  private func destroy(_ id: UInt32) throws(MachineError) {
    if attached.contains(id), !machine.faults.contains(.destroyInUse) {
      throw machine.refused("destroy", EBUSY)
    }
    guard let table = spaces.removeValue(forKey: id) else { throw machine.refused("destroy", ENOENT) }
    machine.release(table)
  }

  private func ranges(_ bytes: inout [UInt8]) throws(MachineError) {
    let ranges = try space(bytes.number(4, 4)).ranges
    bytes.set(UInt64(ranges.count), at: 8, 4)
    var array = [UInt8](repeating: 0, count: 16 * ranges.count)
    for (position, range) in ranges.enumerated() {
      array.set(range.first, at: 16 * position, 8)
      array.set(range.last, at: 16 * position + 8, 8)
    }
    try machine.store(array, at: bytes.word(at: 16))
  }

  private func map(_ bytes: inout [UInt8]) throws(MachineError) {
    let table = try space(bytes.number(8, 4))
    let flags = bytes.number(4, 4)
    if flags & ~7 != 0, !machine.faults.contains(.unknownFlagAccepted) {
      throw machine.refused("map", EOPNOTSUPP)
    }
    var iova = bytes.word(at: 32)
    let length = bytes.word(at: 24)
    if flags & 1 == 0 {
      let start = max(0x10_0000, table.ranges[0].first)
      iova = machine.faults.contains(.chosenOverlaps) ? start : (table.areas.last?.last ?? start - 1) + 1
      bytes.set(iova, at: 32, 8)
      if machine.faults.contains(.chosenOverlaps) { return }
    }
    let area = machine.area(iova, bytes.word(at: 16), length, read: flags & 4 != 0, write: flags & 2 != 0)
    let error = table.map(area)
    guard error == 0 else { throw machine.refused("IOMMU_IOAS_MAP", error) }
  }

  private func unmap(_ bytes: inout [UInt8]) throws(MachineError) {
    let table = try space(bytes.number(4, 4))
    let (iova, length) = (bytes.word(at: 8), bytes.word(at: 16))
    if iova == 0, length == UInt64.max {
      let forgets = machine.faults.contains(.unmapAllForgets)
      bytes.set(table.remove(forgets ? Array(table.areas.dropLast()) : table.areas), at: 16, 8)
      return
    }
    let (error, removed) = table.unmap(iova, length, .iommufd)
    guard error == 0 else { throw machine.refused("IOMMU_IOAS_UNMAP", error) }
    if machine.faults.contains(.copyFollowsSource) {
      for (copy, source) in copies where source == iova {
        let gone = table.areas.filter { $0.iova == copy }
        _ = table.remove(gone)
      }
    }
    bytes.set(removed, at: 16, 8)
  }

  private func copy(_ bytes: inout [UInt8]) throws(MachineError) {
    let destination = try space(bytes.number(8, 4))
    let source = try space(bytes.number(12, 4))
    let (length, to, from) = (bytes.word(at: 16), bytes.word(at: 24), bytes.word(at: 32))
    guard length > 0 else { throw machine.refused("copy", EINVAL) }
    guard let area = source.areas.first(where: { $0.iova <= from && from + length - 1 <= $0.last }) else {
      throw machine.refused("copy", ENOENT)
    }
    if machine.faults.contains(.copyOverMapping),
      destination.areas.contains(where: { $0.iova <= to && to <= $0.last })
    {
      return
    }
    var copy = area
    copy.address += from - area.iova
    copy.iova = to
    copy.length = length
    let error = destination.map(copy)
    guard error == 0 else { throw machine.refused("copy", error) }
    copies[to] = from
  }

  /// IOMMU_TEST_OP_MOCK_DOMAIN and IOMMU_TEST_OP_MD_CHECK_MAP.
  private func test(_ bytes: inout [UInt8]) throws(MachineError) {
    guard machine.hasMock else { throw machine.refused("IOMMU_TEST_CMD", ENOTTY) }
    let id = UInt32(bytes.number(8, 4))
    guard bytes.number(4, 4) == 3 else {
      attach(id, ranges: [(1 << 24, (1 << 31) - 1)], page: 2048)
      bytes.set(UInt64(id) + 1000, at: 20, 4)
      return
    }
    let table = try space(UInt64(id) - 1000)
    let (iova, length, address) = (bytes.word(at: 16), bytes.word(at: 24), bytes.word(at: 32))
    for offset in stride(from: 0, to: length, by: 4096) {
      var found = table.translate(iova + offset)?.address
      if machine.faults.contains(.physicalWrong), iova + offset & 0x1000 != 0 {
        found = found.map { $0 + 4096 }
      }
      guard found == address + offset else { throw machine.refused("check", EINVAL) }
    }
  }

  func read(count: Int, at offset: UInt64) -> [UInt8] { [] }
  func write(_ bytes: [UInt8], at offset: UInt64) {}
  func closed() { for table in spaces.values { machine.release(table) } }
}

/// /dev/ptkit_iommu of a fake machine.
final class FakeModuleFile: FakeMappingMachine.File {
  private unowned let machine: FakeMappingMachine
  private var table: FakePageTable?

  init(_ machine: FakeMappingMachine) { self.machine = machine }

  func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int {
    if request == 0x4020_5000 {
      let name = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      guard bytes.count == 32, name == FakeMappingMachine.device else {
        throw machine.refused("attach", ENODEV)
      }
      table = machine.makeTable(ranges: [(0, (1 << 39) - 1)])
      return 0
    }
    guard let table else { throw machine.refused("ioctl", EINVAL) }
    switch request {
    case 0x8020_5001:
      bytes.set(0x4020_1000, at: 0, 8)
      bytes.set(0, at: 8, 8)
      bytes.set((1 << 39) - 1, at: 16, 8)
    case 0x4020_5002:
      let prot = bytes.number(24, 4)
      let area = machine.area(
        bytes.word(at: 0), bytes.word(at: 8), bytes.word(at: 16), read: prot & 1 != 0, write: prot & 2 != 0)
      let error = table.map(area)
      guard error == 0 else { throw machine.refused("map", error) }
    case 0xc018_5003:
      let (error, removed) = table.unmap(bytes.word(at: 0), bytes.word(at: 8), .type1)
      guard error == 0 else { throw machine.refused("unmap", error) }
      bytes.set(removed, at: 16, 8)
    case 0xc010_5004:
      let iova = bytes.word(at: 0)
      var physical = table.translate(iova).flatMap { machine.memory.physical($0.address) } ?? 0
      if machine.faults.contains(.physicalWrong), iova & 0x1000 != 0 { physical += 4096 }
      bytes.set(physical, at: 8, 8)
    default: throw machine.refused("ioctl", ENOTTY)
    }
    return 0
  }

  func read(count: Int, at offset: UInt64) -> [UInt8] { [] }
  func write(_ bytes: [UInt8], at offset: UInt64) {}
  func closed() { if let table { machine.release(table) } }
}
