// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// A mapper that has the files of devices behind its page table.
protocol VFIODeviceSource: Mapper {
  /// The file of a device; closed with the mapper.
  ///
  /// - Parameter address: the PCI address, for example `0000:00:04.0`.
  func device(_ address: String) throws(MachineError) -> Int32
}

/// A PCI device's registers of BAR 0 and the part of its configuration space that lets it access memory. To be closed before the
/// mapper whose page table it uses.
final class DMADevice {
  let machine: any Machine
  /// Where BAR 0 is mapped in the machine's process.
  private var registers: UInt64 = 0
  private let registerBytes: UInt64
  private let configuration: (file: Int32, offset: UInt64)
  /// Files that are closed with it.
  private let files: [Int32]
  /// The command register as it was.
  private var command: UInt64 = 0
  private var isClosed = false

  /// A device that VFIO has, by its file (VFIO_DEVICE_GET_REGION_INFO).
  convenience init(vfio mapper: any Mapper, _ address: String) throws {
    guard let source = mapper as? any VFIODeviceSource else {
      throw KernelSkip(.device, "\(mapper.kind.rawValue) has no file of \(address)")
    }
    let machine = mapper.machine
    let file = try source.device(address)
    let space = try Self.region(VFIO.configurationRegion, of: file, machine)
    let bar = try Self.region(0, of: file, machine)
    guard bar.flags & VFIO.regionCanMap != 0, bar.size > 0 else {
      throw KernelSkip(.device, "BAR 0 of \(address) cannot be mapped")
    }
    try self.init(
      machine, configuration: (file, space.offset), bar: (file, bar.offset, bar.size), files: [])
  }

  /// A device without a driver, by the files `config` and `resource0` of sysfs.
  convenience init(sysfs address: String, on machine: any Machine) throws {
    let folder = "/sys/bus/pci/devices/\(address)"
    let space = try machine.openInterface("\(folder)/config")
    do {
      let bar = try machine.openInterface("\(folder)/resource0")
      try self.init(
        machine, configuration: (space, 0), bar: (bar, 0, EduDevice.registerBytes), files: [bar, space])
    } catch {
      // The other initializer has closed both where it was reached.
      if error is KernelSkip { machine.close(space) }
      throw error
    }
  }

  private init(
    _ machine: any Machine, configuration: (file: Int32, offset: UInt64),
    bar: (file: Int32, offset: UInt64, byteCount: UInt64), files: [Int32]
  ) throws {
    self.machine = machine
    self.configuration = configuration
    self.files = files
    registerBytes = bar.byteCount
    do {
      command = try machine.read(configuration.file, count: 2, at: configuration.offset + 4)
        .field(at: 0, width: 2)
      // Memory space and bus master (PCI Local Bus Specification 3.0, 6.2.2).
      try setCommand(command | 0x6)
      registers = try machine.mapDevice(bar.file, offset: bar.offset, byteCount: bar.byteCount)
    } catch {
      for file in files { machine.close(file) }
      isClosed = true
      throw error
    }
  }

  deinit { close() }

  private static func region(
    _ index: UInt32, of file: Int32, _ machine: any Machine
  ) throws(MachineError) -> (flags: UInt32, size: UInt64, offset: UInt64) {
    // struct vfio_region_info: argsz, flags, index, cap_offset, size, offset.
    let request = Structure.ofSize(32).u32(0).u32(index).u32(0).u64(0).u64(0)
    let reply = try machine.control(file, VFIO.deviceGetRegion, request)
    return (reply.u32(at: 4), reply.u64(at: 16), reply.u64(at: 24))
  }

  private func setCommand(_ value: UInt64) throws(MachineError) {
    let bytes = [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
    _ = try machine.write(configuration.file, bytes, at: configuration.offset + 4)
  }

  func load(_ offset: UInt64, width: Int) throws(MachineError) -> UInt64 {
    try machine.loadRegister(registers + offset, width: width)
  }

  func store(_ value: UInt64, at offset: UInt64, width: Int) throws(MachineError) {
    try machine.storeRegister(value, at: registers + offset, width: width)
  }

  /// Stops the device from accessing memory, as it was before, and gives its files back.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    machine.deallocate(registers, byteCount: registerBytes)
    try? setCommand(command)
    for file in files { machine.close(file) }
  }
}
