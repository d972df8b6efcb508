// SPDX-License-Identifier: GPL-2.0-only

import CMachine
import Glibc

/// Memory of this process.
extension LocalMachine {
  public func allocate(byteCount: UInt64, pageSize: UInt64) throws(MachineError) -> UInt64 {
    let call = "mmap \(byteCount) bytes in pages of \(pageSize)"
    let isHuge = pageSize > UInt64(getpagesize())
    guard pageSize.nonzeroBitCount == 1, byteCount > 0, byteCount % pageSize == 0,
      let count = Int(exactly: byteCount)
    else { throw .refused(call: call, error: EINVAL) }
    var flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE
    // The size's logarithm in the upper bits (MAP_HUGE_SHIFT, mmap(2)).
    if isHuge { flags |= MAP_HUGETLB | Int32(pageSize.trailingZeroBitCount) << 26 }
    guard let memory = mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
      throw Self.failed(call)
    }
    // MAP_LOCKED says nothing when it fails, and the kernel may give what is not locked other pages.
    guard mlock(memory, count) == 0 else {
      let error = errno
      munmap(memory, count)
      throw .refused(call: "mlock \(byteCount) bytes", error: error)
    }
    return UInt64(UInt(bitPattern: memory))
  }

  public func mapDevice(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(MachineError) -> UInt64
  {
    guard let count = Int(exactly: byteCount), let offset = off_t(exactly: offset) else {
      throw .refused(call: "mmap", error: EINVAL)
    }
    guard let memory = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, offset),
      memory != MAP_FAILED
    else { throw Self.failed("mmap") }
    return UInt64(UInt(bitPattern: memory))
  }

  public func deallocate(_ address: UInt64, byteCount: UInt64) {
    guard let memory = UnsafeMutableRawPointer(bitPattern: UInt(address)) else { return }
    munmap(memory, Int(clamping: byteCount))
  }

  public func load(_ address: UInt64, byteCount: Int) throws(MachineError) -> [UInt8] {
    guard let memory = UnsafeRawPointer(bitPattern: UInt(address)), byteCount >= 0 else {
      throw .refused(call: "load", error: EFAULT)
    }
    return Array(UnsafeRawBufferPointer(start: memory, count: byteCount))
  }

  public func store(_ bytes: [UInt8], at address: UInt64) throws(MachineError) {
    guard let memory = UnsafeMutableRawPointer(bitPattern: UInt(address)) else {
      throw .refused(call: "store", error: EFAULT)
    }
    bytes.withUnsafeBytes {
      memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count)
    }
  }

  public func loadRegister(_ address: UInt64, width: Int) throws(MachineError) -> UInt64 {
    machine_load(address, try Self.width(width, address))
  }

  public func storeRegister(_ value: UInt64, at address: UInt64, width: Int) throws(MachineError) {
    machine_store(address, try Self.width(width, address), value)
  }

  /// A width that one access has.
  private static func width(_ width: Int, _ address: UInt64) throws(MachineError) -> Int32 {
    guard [1, 2, 4, 8].contains(width), address != 0, address % UInt64(width) == 0 else {
      throw .refused(call: "access of \(width) bytes", error: EINVAL)
    }
    return Int32(width)
  }
}
