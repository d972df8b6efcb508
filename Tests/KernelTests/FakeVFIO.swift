// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// VFIO's files of a fake machine. Numbers and layouts are written down here once more, from include/uapi/linux/vfio.h.
enum FakeVFIO {
  /// /dev/vfio/vfio.
  final class Container: FakeMappingMachine.File {
    private unowned let machine: FakeMappingMachine
    var table: FakePageTable?
    var hasGroup = false

    init(_ machine: FakeMappingMachine) { self.machine = machine }

    func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int {
      switch request {
      case 0x3b65: return [3, 9].contains(value) ? 1 : 0
      case 0x3b66:
        guard hasGroup, value == 3 else { throw machine.refused("VFIO_SET_IOMMU", ENODEV) }
        table = machine.makeTable()
        return 0
      case 0x3b70: return try information(&bytes)
      case 0x3b71: return try map(bytes)
      case 0x3b72: return try unmap(&bytes)
      default: throw machine.refused("ioctl", ENOTTY)
      }
    }

    private func needTable() throws(MachineError) -> FakePageTable {
      guard let table else { throw machine.refused("ioctl", EINVAL) }
      return table
    }

    private func information(_ bytes: inout [UInt8]) throws(MachineError) -> Int {
      let table = try needTable()
      bytes.set(3, at: 4, 4)
      bytes.set(0x4020_1000, at: 8, 8)
      bytes.set(64, at: 16, 4)
      // A capability that says how many mappings are left, then the ranges.
      bytes.set(3, at: 64, 2)
      bytes.set(96, at: 68, 4)
      bytes.set(65535, at: 72, 4)
      bytes.set(1, at: 96, 2)
      bytes.set(UInt64(table.ranges.count), at: 104, 4)
      for (position, range) in table.ranges.enumerated() {
        bytes.set(range.first, at: 112 + 16 * position, 8)
        let touches = machine.faults.contains(.rangesTouch) && position == 0
        bytes.set(touches ? table.ranges[1].first : range.last, at: 120 + 16 * position, 8)
      }
      return 0
    }

    private func map(_ bytes: [UInt8]) throws(MachineError) -> Int {
      guard bytes.number(0, 4) >= 32 else { throw machine.refused("map", EINVAL) }
      let flags = bytes.number(4, 4)
      let area = machine.area(
        bytes.word(at: 16), bytes.word(at: 8), bytes.word(at: 24), read: flags & 1 != 0, write: flags & 2 != 0
      )
      let error = try needTable().map(area)
      guard error == 0 else { throw machine.refused("VFIO_IOMMU_MAP_DMA", error) }
      return 0
    }

    private func unmap(_ bytes: inout [UInt8]) throws(MachineError) -> Int {
      let table = try needTable()
      guard bytes.number(0, 4) >= 24 else { throw machine.refused("unmap", EINVAL) }
      if bytes.number(4, 4) & 2 != 0 {
        let forgets = machine.faults.contains(.unmapAllForgets)
        bytes.set(table.remove(forgets ? Array(table.areas.dropLast()) : table.areas), at: 16, 8)
        return 0
      }
      let (iova, length) = (bytes.word(at: 8), bytes.word(at: 16))
      if (iova | length) & 4095 != 0 { throw machine.refused("VFIO_IOMMU_UNMAP_DMA", EINVAL) }
      let (error, removed) = table.unmap(iova, length, .type1)
      guard error == 0 else { throw machine.refused("VFIO_IOMMU_UNMAP_DMA", error) }
      bytes.set(removed, at: 16, 8)
      return 0
    }

    func read(count: Int, at offset: UInt64) -> [UInt8] { [] }
    func write(_ bytes: [UInt8], at offset: UInt64) {}
    func closed() { if let table { machine.release(table) } }
  }

  /// /dev/vfio/7.
  final class Group: FakeMappingMachine.File {
    private unowned let machine: FakeMappingMachine
    init(_ machine: FakeMappingMachine) { self.machine = machine }

    func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int {
      switch request {
      case 0x3b67: bytes.set(1, at: 4, 4)
      case 0x3b68:
        let descriptor = Int32(truncatingIfNeeded: bytes.number(0, 4))
        guard let container = machine.open[descriptor] as? Container else {
          throw machine.refused("group", EINVAL)
        }
        container.hasGroup = true
      case 0x3b6a:
        guard bytes == Array(FakeMappingMachine.device.utf8) + [0] else {
          throw machine.refused("device", ENODEV)
        }
        return Int(machine.add(Device(machine)))
      default: throw machine.refused("ioctl", ENOTTY)
      }
      return 0
    }
    func read(count: Int, at offset: UInt64) -> [UInt8] { [] }
    func write(_ bytes: [UInt8], at offset: UInt64) {}
    func closed() {}
  }

  /// The file of the device, by whichever way: its configuration space is at 7 << 40, as vfio-pci has it, and in sysfs at 0.
  final class Device: FakeMappingMachine.File {
    private unowned let machine: FakeMappingMachine
    private var isBound = false
    init(_ machine: FakeMappingMachine) { self.machine = machine }

    func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int {
      switch request {
      case 0x3b6c:
        let index = bytes.number(8, 4)
        bytes.set(index == 0 ? 7 : 3, at: 4, 4)
        bytes.set(index == 0 ? 1 << 20 : 256, at: 16, 8)
        bytes.set(index << 40, at: 24, 8)
      case 0x3b76:
        guard machine.open[Int32(truncatingIfNeeded: bytes.number(8, 4))] is FakeIOMMUFD else {
          throw machine.refused("bind", EINVAL)
        }
        isBound = true
      case 0x3b77:
        let file = machine.open.values.compactMap { $0 as? FakeIOMMUFD }.first
        guard isBound, let file else { throw machine.refused("attach", EINVAL) }
        file.attach(UInt32(bytes.number(8, 4)))
      default: throw machine.refused("ioctl", ENOTTY)
      }
      return 0
    }
    func read(count: Int, at offset: UInt64) -> [UInt8] {
      offset & 0xff == 4 ? [UInt8(machine.edu.command & 0xff), UInt8(machine.edu.command >> 8)] : []
    }
    func write(_ bytes: [UInt8], at offset: UInt64) {
      if offset & 0xff == 4 { machine.edu.command = bytes.number(0, 2) }
    }
    func closed() {}
  }
}

extension [UInt8] {
  /// The field of `width` bytes at an offset; 0 where there is none.
  func number(_ offset: Int, _ width: Int) -> UInt64 {
    guard offset >= 0, offset + width <= count else { return 0 }
    return self[offset..<offset + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Sets the field of `width` bytes at an offset.
  mutating func set(_ value: UInt64, at offset: Int, _ width: Int) {
    guard offset >= 0, offset + width <= count else { return }
    for byte in 0..<width { self[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte))) }
  }
}
