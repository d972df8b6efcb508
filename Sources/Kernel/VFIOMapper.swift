// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// The page table of a VFIO container, by its type 1 driver.
public final class VFIOMapper: Mapper, VFIODeviceSource {
  public let kind = MapperKind.vfio
  public let machine: any Machine
  public let ranges: [IOVARange]
  public let pageSizes: UInt64?
  /// How many mappings the driver allows at a time; nil where it does not tell.
  public let mappingsLeft: UInt32?
  /// The group, as /dev/vfio has it.
  public let group: String

  private let container: Int32
  private let groupFile: Int32
  private var devices: [Int32] = []
  private var isClosed = false
  private let canUnmapAll: Bool

  /// Opens a container, puts the group in it and makes its page table.
  ///
  /// - Parameter group: the group's name in /dev/vfio.
  /// - Throws: `KernelSkip` when something is missing, `MachineError` when a call fails that must not.
  public init(machine: any Machine, group: String) throws {
    let container = try machine.openInterface("/dev/vfio/vfio")
    var groupFile: Int32?
    do {
      guard try machine.control(container, VFIO.checkExtension, value: VFIO.type1v2) > 0 else {
        throw KernelSkip(.module, "the container has no type 1 driver (vfio_iommu_type1)")
      }
      let file = try machine.openInterface("/dev/vfio/\(group)")
      groupFile = file
      try Self.join(group: file, named: group, container: container, machine)
      canUnmapAll = try machine.control(container, VFIO.checkExtension, value: VFIO.unmapAllExtension) > 0
      let reply = try machine.control(container, VFIO.iommuGetInformation, VFIOInformation.request)
      let information = VFIOInformation(reply)
      ranges = information.ranges.isEmpty ? [IOVARange(first: 0, last: (1 << 39) - 1)] : information.ranges
      pageSizes = information.pageSizes
      mappingsLeft = information.mappingsLeft
      self.groupFile = file
    } catch {
      if let groupFile { machine.close(groupFile) }
      machine.close(container)
      throw error
    }
    self.machine = machine
    self.group = group
    self.container = container
  }

  deinit { close() }

  private static func join(group: Int32, named name: String, container: Int32, _ machine: any Machine) throws
  {
    let status = try machine.control(group, VFIO.groupGetStatus, Structure.ofSize(8).u32(0)).u32(at: 4)
    guard status & VFIO.groupIsViable != 0 else {
      throw KernelSkip(.group, "group \(name) is not viable: not all of its devices are bound to VFIO")
    }
    do {
      // The argument is a pointer to the container's descriptor.
      var file = ControlArgument.bytes(Structure().u32(UInt32(bitPattern: container)).bytes)
      _ = try machine.control(group, VFIO.groupSetContainer, &file)
      _ = try machine.control(container, VFIO.setIOMMU, value: VFIO.type1v2)
    } catch {
      guard error.number != nil else { throw error }
      throw KernelSkip(
        .group, "\(error); without interrupt remapping vfio_iommu_type1 needs allow_unsafe_interrupts=1")
    }
  }

  public func map(iova: UInt64, address: UInt64, length: UInt64, read: Bool, write: Bool) throws(MachineError)
  {
    let structure = VFIO.map(iova: iova, address: address, length: length, read: read, write: write)
    _ = try machine.control(container, VFIO.iommuMap, structure)
  }

  public func unmap(iova: UInt64, length: UInt64) throws(MachineError) -> UInt64 {
    try machine.control(container, VFIO.iommuUnmap, VFIO.unmap(iova: iova, length: length))
      .u64(at: VFIO.unmapSizeOffset)
  }

  public func unmapAll() throws(MachineError) -> UInt64? {
    guard canUnmapAll else { return nil }
    let structure = VFIO.unmap(iova: 0, length: 0, flags: VFIO.unmapAllFlag)
    return try machine.control(container, VFIO.iommuUnmap, structure).u64(at: VFIO.unmapSizeOffset)
  }

  public func translates(iova: UInt64, to address: UInt64, length: UInt64) throws(MachineError) -> Bool? {
    nil
  }

  public func stressSteps(iova: UInt64, address: UInt64, length: UInt64, stride: UInt64) -> [SweepStep] {
    let map = VFIO.map(iova: iova, address: address, length: length, read: true, write: true)
    let unmap = VFIO.unmap(iova: iova, length: length)
    return [
      SweepStep(
        descriptor: container, request: VFIO.iommuMap, bytes: map.bytes, movingOffset: VFIO.mapIOVAOffset,
        stride: stride),
      SweepStep(
        descriptor: container, request: VFIO.iommuUnmap, bytes: unmap.bytes,
        movingOffset: VFIO.unmapIOVAOffset,
        stride: stride, expected: (VFIO.unmapSizeOffset, length)),
    ]
  }

  func device(_ address: String) throws(MachineError) -> Int32 {
    var argument = ControlArgument.bytes(Structure().text(address, size: address.utf8.count + 1).bytes)
    let file = Int32(truncatingIfNeeded: try machine.control(groupFile, VFIO.groupGetDevice, &argument))
    devices.append(file)
    return file
  }

  public func close() {
    guard !isClosed else { return }
    isClosed = true
    for device in devices { machine.close(device) }
    machine.close(groupFile)
    machine.close(container)
  }
}
