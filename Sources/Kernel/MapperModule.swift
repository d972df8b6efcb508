// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// The numbers of the kit's own module (its header has the same): ioctls of type 'P' on /dev/ptkit_iommu.
enum ModuleInterface {
  static let path = "/dev/ptkit_iommu"
  /// _IOW: char device[32].
  static let attach: UInt64 = 0x4020_5000
  /// _IOR: u64 pgsize_bitmap, aperture_first, aperture_last; u32 flags, reserved.
  static let information: UInt64 = 0x8020_5001
  /// _IOW: u64 iova, address, length; u32 prot, flags.
  static let map: UInt64 = 0x4020_5002
  /// _IOWR: u64 iova, length, unmapped.
  static let unmap: UInt64 = 0xc018_5003
  /// _IOWR: u64 iova, physical.
  static let physical: UInt64 = 0xc010_5004

  static func map(iova: UInt64, address: UInt64, length: UInt64, read: Bool, write: Bool) -> Structure {
    // IOMMU_READ and IOMMU_WRITE of include/linux/iommu.h.
    Structure().u64(iova).u64(address).u64(length).u32((read ? 1 : 0) | (write ? 2 : 0)).u32(0)
  }

  static func unmap(iova: UInt64, length: UInt64) -> Structure { Structure().u64(iova).u64(length).u64(0) }

  /// The offset of the bytes removed in `unmap`.
  static let unmappedOffset = 16
}

/// A paging domain that the kit's own module makes for a device: where VFIO is not, as on RISC-V.
public final class ModuleMapper: Mapper {
  public let kind = MapperKind.module
  public let machine: any Machine
  public let ranges: [IOVARange]
  public let pageSizes: UInt64?

  private let file: Int32
  private var isClosed = false
  private let physicalAddresses: PhysicalAddresses

  /// Makes a domain and attaches the device to it.
  ///
  /// - Parameter device: the PCI address, for example `0000:00:04.0`.
  /// - Throws: `KernelSkip` when the module is not there or refuses the device.
  public init(machine: any Machine, device: String) throws {
    file = try machine.openInterface(ModuleInterface.path)
    self.machine = machine
    physicalAddresses = PhysicalAddresses(machine: machine)
    do {
      _ = try machine.control(file, ModuleInterface.attach, Structure().text(device, size: 32))
      let reply = try machine.control(file, ModuleInterface.information, Structure().padded(to: 32))
      pageSizes = reply.u64(at: 0)
      ranges = [IOVARange(first: reply.u64(at: 8), last: reply.u64(at: 16))]
    } catch {
      machine.close(file)
      guard error.number != nil else { throw error }
      throw KernelSkip(.hardware, "\(device): \(error)")
    }
  }

  deinit { close() }

  public func map(iova: UInt64, address: UInt64, length: UInt64, read: Bool, write: Bool) throws(MachineError)
  {
    let structure = ModuleInterface.map(
      iova: iova, address: address, length: length, read: read, write: write)
    _ = try machine.control(file, ModuleInterface.map, structure)
  }

  public func unmap(iova: UInt64, length: UInt64) throws(MachineError) -> UInt64 {
    try machine.control(file, ModuleInterface.unmap, ModuleInterface.unmap(iova: iova, length: length))
      .u64(at: ModuleInterface.unmappedOffset)
  }

  public func unmapAll() throws(MachineError) -> UInt64? { nil }

  /// What iommu_iova_to_phys() says of an IOVA; 0 where nothing is mapped.
  func physical(_ iova: UInt64) throws(MachineError) -> UInt64 {
    do {
      return try machine.control(file, ModuleInterface.physical, Structure().u64(iova).u64(0)).u64(at: 8)
    } catch {
      if error.number == nil { throw error }
      return 0
    }
  }

  public func translates(iova: UInt64, to address: UInt64, length: UInt64) throws(MachineError) -> Bool? {
    guard let pages = try physicalAddresses.pages(at: address, byteCount: length) else { return nil }
    for (position, page) in pages.enumerated()
    where try physical(iova &+ UInt64(position) &* PhysicalAddresses.pageSize) != page { return false }
    return true
  }

  public func stressSteps(iova: UInt64, address: UInt64, length: UInt64, stride: UInt64) -> [SweepStep] {
    let map = ModuleInterface.map(iova: iova, address: address, length: length, read: true, write: true)
    let unmap = ModuleInterface.unmap(iova: iova, length: length)
    return [
      SweepStep(
        descriptor: file, request: ModuleInterface.map, bytes: map.bytes, movingOffset: 0, stride: stride),
      SweepStep(
        descriptor: file, request: ModuleInterface.unmap, bytes: unmap.bytes, movingOffset: 0, stride: stride,
        expected: (ModuleInterface.unmappedOffset, length)),
    ]
  }

  public func close() {
    guard !isClosed else { return }
    isClosed = true
    machine.close(file)
  }
}
