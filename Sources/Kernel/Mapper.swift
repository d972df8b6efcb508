// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// The ways into the page table of a device.
public enum MapperKind: String, Hashable, Sendable, CaseIterable {
  /// A VFIO container with the type 1 driver (include/uapi/linux/vfio.h).
  case vfio
  /// /dev/iommu with a VFIO device (include/uapi/linux/iommufd.h).
  case iommufd
  /// /dev/iommu with the mock device of CONFIG_IOMMUFD_TEST (drivers/iommu/iommufd/iommufd_test.h).
  case mock
  /// The kit's own module, which calls iommu_map() and iommu_unmap().
  case module
}

/// IOVAs from the first to the last, both included, in bytes.
public struct IOVARange: Hashable, Sendable {
  public var first: UInt64
  public var last: UInt64

  public init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
  }

  /// Whether `length` bytes from `iova` on lie in it.
  public func contains(_ iova: UInt64, length: UInt64) -> Bool {
    guard length > 0, iova >= first, iova <= last else { return false }
    return length &- 1 <= last &- iova
  }
}

extension [IOVARange] {
  /// The first IOVA of the ranges, aligned to `alignment`, from which `length` bytes lie in one of them, at or above `start`.
  func room(_ length: UInt64, alignment: UInt64, from start: UInt64 = 0) -> UInt64? {
    guard alignment.nonzeroBitCount == 1 else { return nil }
    for range in self {
      let (sum, isOver) = Swift.max(range.first, start).addingReportingOverflow(alignment - 1)
      let iova = sum & ~(alignment - 1)
      if !isOver, range.contains(iova, length: length) { return iova }
    }
    return nil
  }
}

/// One page table of a device, into which memory of the machine's process is mapped. To be used by one thread, and closed.
public protocol Mapper: AnyObject {
  var kind: MapperKind { get }
  var machine: any Machine { get }

  /// The IOVAs that may be mapped, ascending.
  var ranges: [IOVARange] { get }

  /// The sizes of pages that the IOMMU has, as a bit map; nil where that is not told.
  var pageSizes: UInt64? { get }

  /// Lets the device access `length` bytes of memory at `address` by the IOVAs from `iova` on.
  func map(iova: UInt64, address: UInt64, length: UInt64, read: Bool, write: Bool) throws(MachineError)

  /// Takes the mappings of a range away. Returns the bytes that were mapped there.
  func unmap(iova: UInt64, length: UInt64) throws(MachineError) -> UInt64

  /// Takes all mappings away. Returns the bytes that were mapped; nil where the interface has no such call.
  func unmapAll() throws(MachineError) -> UInt64?

  /// Whether the page table translates `length` bytes from `iova` on to the memory at `address`; nil where the interface cannot tell.
  func translates(iova: UInt64, to address: UInt64, length: UInt64) throws(MachineError) -> Bool?

  /// The calls that map `length` bytes at `address` and unmap them again, at IOVAs that start with `iova` and grow by `stride`.
  func stressSteps(iova: UInt64, address: UInt64, length: UInt64, stride: UInt64) -> [SweepStep]

  /// Gives the page table back, with all that is mapped in it, and the device.
  func close()
}

extension Mapper {
  /// The smallest page that can be mapped, in bytes; that of the processor where the IOMMU's is smaller, as memory comes in whole ones.
  public var pageSize: UInt64 {
    guard let sizes = pageSizes, sizes != 0 else { return 4096 }
    return max(4096, sizes & (~sizes &+ 1))
  }

  /// Whether the IOMMU has leaves of a size, in bytes; true where its sizes are not told.
  public func hasLeaves(of size: UInt64) -> Bool { pageSizes.map { $0 & size != 0 } ?? true }

  /// The first IOVA, aligned to `alignment`, at which `length` bytes can be mapped, at or above `start`; nil for none.
  public func room(_ length: UInt64, alignment: UInt64, from start: UInt64 = 0) -> UInt64? {
    ranges.room(length, alignment: alignment, from: start)
  }
}

extension KernelSkip {
  /// Why a file of an interface could not be opened, where that is no fault of the kernel.
  init(opening error: MachineError) {
    switch error.number {
    case ErrorNumber.notPermitted, ErrorNumber.accessDenied: self.init(.root, "\(error)")
    case ErrorNumber.busy: self.init(.group, "\(error)")
    default: self.init(.device, "\(error)")
    }
  }
}

extension Machine {
  /// Opens a file of an interface.
  ///
  /// - Throws: `KernelSkip` where that cannot be, and `MachineError` where the machine is lost.
  func openInterface(_ path: String) throws -> Int32 {
    do {
      return try open(path, .readWrite)
    } catch {
      if error.number == nil { throw error }
      throw KernelSkip(opening: error)
    }
  }
}

/// Linux's error numbers that the tests look at (include/uapi/asm-generic/errno-base.h and errno.h).
enum ErrorNumber {
  static let notPermitted: Int32 = 1
  static let notFound: Int32 = 2
  static let noMemory: Int32 = 12
  static let accessDenied: Int32 = 13
  static let badAddress: Int32 = 14
  static let busy: Int32 = 16
  static let exists: Int32 = 17
  static let invalid: Int32 = 22
  static let notTerminal: Int32 = 25
  static let outOfRange: Int32 = 34
  static let overflow: Int32 = 75
  static let notSupported: Int32 = 95
  static let addressInUse: Int32 = 98

  /// How messages name a number.
  static func name(_ number: Int32) -> String {
    let names: [Int32: String] = [
      1: "EPERM", 2: "ENOENT", 12: "ENOMEM", 13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST",
      22: "EINVAL",
      25: "ENOTTY", 28: "ENOSPC", 34: "ERANGE", 75: "EOVERFLOW", 95: "EOPNOTSUPP", 98: "EADDRINUSE",
    ]
    return names[number] ?? "error \(number)"
  }
}
