// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// An address space of /dev/iommu, with a VFIO device or the mock device attached.
public final class IOMMUFDMapper: Mapper, VFIODeviceSource {
  public let kind: MapperKind
  public let machine: any Machine
  public private(set) var ranges: [IOVARange] = []
  /// iommufd does not tell them.
  public let pageSizes: UInt64? = nil
  /// The address space's number, and /dev/iommu.
  let space: UInt32
  let file: Int32

  private var deviceFile: Int32?
  /// The number of the mock's page table.
  private var mockTable: UInt32 = 0
  private var isClosed = false

  /// The address space of a device that is bound to VFIO.
  ///
  /// - Parameter device: the PCI address, for example `0000:00:04.0`.
  /// - Throws: `KernelSkip` when something is missing, `MachineError` when a call fails that must not.
  public convenience init(machine: any Machine, device: String) throws {
    let folder = "/sys/bus/pci/devices/\(device)/vfio-dev"
    guard let name = (try? machine.entries(of: folder))?.first else {
      throw KernelSkip(
        .device, "\(device) has no \(folder): CONFIG_VFIO_DEVICE_CDEV is off, or VFIO does not have it")
    }
    let path = "/dev/vfio/devices/\(name)"
    try self.init(machine, .iommufd)
    deviceFile = try machine.openInterface(path)
    guard let deviceFile else { return }
    do {
      // struct vfio_device_bind_iommufd: argsz, flags, iommufd, out_devid; vfio_device_attach_iommufd_pt: argsz, flags, pt_id.
      _ = try machine.control(
        deviceFile, VFIO.deviceBindIOMMUFD, Structure.ofSize(16).u32(0).u32(UInt32(bitPattern: file)).u32(0))
      _ = try machine.control(deviceFile, VFIO.deviceAttach, Structure.ofSize(12).u32(0).u32(space))
    } catch {
      guard error.number != nil else { throw error }
      throw KernelSkip(.group, "\(path): \(error)")
    }
    ranges = try readRanges(of: space)
  }

  /// The address space of the mock device of CONFIG_IOMMUFD_TEST.
  ///
  /// - Throws: `KernelSkip` when the kernel has none.
  public convenience init(mockOn machine: any Machine) throws {
    try self.init(machine, .mock)
    do {
      mockTable = try machine.control(file, IOMMUFD.test, IOMMUFD.makeMock(space)).u32(at: 20)
    } catch {
      guard error.number != nil else { throw error }
      throw KernelSkip(.kernel, "CONFIG_IOMMUFD_TEST is off, or its interface differs: \(error)")
    }
    ranges = try readRanges(of: space)
  }

  private init(_ machine: any Machine, _ kind: MapperKind) throws {
    self.machine = machine
    self.kind = kind
    let file = try machine.openInterface(IOMMUFD.path)
    do {
      space = try Self.newSpace(file, machine)
    } catch {
      machine.close(file)
      throw error
    }
    self.file = file
  }

  deinit { close() }

  private static func newSpace(_ file: Int32, _ machine: any Machine) throws(MachineError) -> UInt32 {
    // struct iommu_ioas_alloc: size, flags, out_ioas_id.
    try machine.control(file, IOMMUFD.allocate, Structure.ofSize(12).u32(0).u32(0)).u32(at: 8)
  }

  /// Another address space, to which no device is attached.
  func newSpace() throws(MachineError) -> UInt32 { try Self.newSpace(file, machine) }

  /// Destroys an object by its number.
  func destroy(_ object: UInt32) throws(MachineError) {
    _ = try machine.control(file, IOMMUFD.destroy, Structure.ofSize(8).u32(object))
  }

  /// The ranges of an address space that may be mapped (struct iommu_ioas_iova_ranges: size, ioas_id, num_iovas, reserved,
  /// allowed_iovas, out_iova_alignment).
  func readRanges(of space: UInt32) throws(MachineError) -> [IOVARange] {
    let capacity: UInt32 = 256
    let array = try machine.allocate(byteCount: UInt64(capacity) * 16, pageSize: 4096)
    defer { machine.deallocate(array, byteCount: UInt64(capacity) * 16) }
    let request = Structure.ofSize(32).u32(space).u32(capacity).u32(0).u64(array).u64(0)
    let count = Int(min(capacity, try machine.control(file, IOMMUFD.ranges, request).u32(at: 8)))
    let bytes = try machine.load(array, byteCount: count * 16)
    return (0..<count).map { IOVARange(first: bytes.u64(at: $0 * 16), last: bytes.u64(at: $0 * 16 + 8)) }
  }

  public func map(iova: UInt64, address: UInt64, length: UInt64, read: Bool, write: Bool) throws(MachineError)
  {
    let flags = IOMMUFD.flags(read: read, write: write) | IOMMUFD.fixedIOVA
    _ = try machine.control(
      file, IOMMUFD.map, IOMMUFD.map(space, iova: iova, address: address, length: length, flags: flags))
  }

  public func unmap(iova: UInt64, length: UInt64) throws(MachineError) -> UInt64 {
    try machine.control(file, IOMMUFD.unmap, IOMMUFD.unmap(space, iova: iova, length: length))
      .u64(at: IOMMUFD.unmapLengthOffset)
  }

  /// "The values 0 to U64_MAX will unmap everything", include/uapi/linux/iommufd.h.
  public func unmapAll() throws(MachineError) -> UInt64? { try unmap(iova: 0, length: UInt64.max) }

  public func translates(iova: UInt64, to address: UInt64, length: UInt64) throws(MachineError) -> Bool? {
    guard kind == .mock else { return nil }
    do {
      _ = try machine.control(
        file, IOMMUFD.test, IOMMUFD.checkMock(mockTable, iova: iova, length: length, address: address))
      return true
    } catch {
      if error.number == ErrorNumber.invalid { return false }
      throw error
    }
  }

  public func stressSteps(iova: UInt64, address: UInt64, length: UInt64, stride: UInt64) -> [SweepStep] {
    let flags = IOMMUFD.flags(read: true, write: true) | IOMMUFD.fixedIOVA
    let map = IOMMUFD.map(space, iova: iova, address: address, length: length, flags: flags)
    let unmap = IOMMUFD.unmap(space, iova: iova, length: length)
    return [
      SweepStep(
        descriptor: file, request: IOMMUFD.map, bytes: map.bytes, movingOffset: IOMMUFD.mapIOVAOffset,
        stride: stride),
      SweepStep(
        descriptor: file, request: IOMMUFD.unmap, bytes: unmap.bytes, movingOffset: IOMMUFD.unmapIOVAOffset,
        stride: stride, expected: (IOMMUFD.unmapLengthOffset, length)),
    ]
  }

  func device(_ address: String) throws(MachineError) -> Int32 {
    guard let deviceFile else { throw .refused(call: "the file of \(address)", error: ErrorNumber.notFound) }
    return deviceFile
  }

  public func close() {
    guard !isClosed else { return }
    isClosed = true
    if let deviceFile { machine.close(deviceFile) }
    machine.close(file)
  }
}
