// SPDX-License-Identifier: GPL-2.0-only

/// Numbers of include/uapi/linux/iommufd.h and of drivers/iommu/iommufd/iommufd_test.h. All requests are `_IO(';', n)`; every
/// structure starts with its size, and the kernel takes longer ones whose rest is zero.
enum IOMMUFD {
  static let path = "/dev/iommu"

  static let destroy: UInt64 = 0x3b80
  static let allocate: UInt64 = 0x3b81
  static let copy: UInt64 = 0x3b83
  static let ranges: UInt64 = 0x3b84
  static let map: UInt64 = 0x3b85
  static let unmap: UInt64 = 0x3b86
  static let test: UInt64 = 0x3ba0

  static let fixedIOVA: UInt32 = 1 << 0
  static let writable: UInt32 = 1 << 1
  static let readable: UInt32 = 1 << 2

  /// struct iommu_ioas_map: size, flags, ioas_id, reserved, user_va, length, iova.
  static func map(
    _ space: UInt32, iova: UInt64, address: UInt64, length: UInt64, flags: UInt32
  ) -> Structure {
    Structure.ofSize(40).u32(flags).u32(space).u32(0).u64(address).u64(length).u64(iova)
  }

  /// The offset of the IOVA in `map`.
  static let mapIOVAOffset = 32

  static func flags(read: Bool, write: Bool) -> UInt32 { (read ? readable : 0) | (write ? writable : 0) }

  /// struct iommu_ioas_unmap: size, ioas_id, iova, length, which the kernel sets to the bytes removed.
  static func unmap(_ space: UInt32, iova: UInt64, length: UInt64) -> Structure {
    Structure.ofSize(24).u32(space).u64(iova).u64(length)
  }

  /// The offsets of the IOVA and the length in `unmap`.
  static let unmapIOVAOffset = 8
  static let unmapLengthOffset = 16

  /// struct iommu_ioas_copy: size, flags, dst_ioas_id, src_ioas_id, length, dst_iova, src_iova.
  static func copy(
    from source: (space: UInt32, iova: UInt64), to destination: (space: UInt32, iova: UInt64), length: UInt64,
    flags: UInt32
  ) -> Structure {
    Structure.ofSize(40).u32(flags).u32(destination.space).u32(source.space).u64(length)
      .u64(destination.iova).u64(source.iova)
  }

  /// IOMMU_TEST_OP_MOCK_DOMAIN: makes a device that is none and attaches it; answers with its id at 16 and its page table's at 20.
  static func makeMock(_ space: UInt32) -> Structure { testCommand(2, space) }

  /// IOMMU_TEST_OP_MD_CHECK_MAP: EINVAL unless the mock page table translates a range to that memory.
  static func checkMock(_ table: UInt32, iova: UInt64, length: UInt64, address: UInt64) -> Structure {
    testCommand(3, table).u64(iova).u64(length).u64(address).padded(to: testSize)
  }

  /// struct iommu_test_cmd: size, op, id, reserved, and a union that has grown from release to release.
  private static func testCommand(_ operation: UInt32, _ id: UInt32) -> Structure {
    let head = Structure.ofSize(UInt32(testSize)).u32(operation).u32(id).u32(0)
    return operation == 2 ? head.padded(to: testSize) : head
  }

  private static let testSize = 128
}
