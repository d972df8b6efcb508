// SPDX-License-Identifier: GPL-2.0-only

/// Numbers of include/uapi/linux/vfio.h. All requests are `_IO(';', 100 + n)`.
enum VFIO {
  static func request(_ number: UInt64) -> UInt64 { 0x3b00 | (100 + number) }

  static let getAPIVersion = request(0)
  static let checkExtension = request(1)
  static let setIOMMU = request(2)
  static let groupGetStatus = request(3)
  static let groupSetContainer = request(4)
  static let groupUnsetContainer = request(5)
  static let groupGetDevice = request(6)
  static let deviceGetRegion = request(8)
  static let iommuGetInformation = request(12)
  static let iommuMap = request(13)
  static let iommuUnmap = request(14)
  static let deviceBindIOMMUFD = request(18)
  static let deviceAttach = request(19)
  static let deviceDetach = request(20)

  /// VFIO_TYPE1v2_IOMMU: a driver that unmaps whole mappings only.
  static let type1v2: UInt64 = 3
  /// VFIO_UNMAP_ALL: the extension behind VFIO_DMA_UNMAP_FLAG_ALL.
  static let unmapAllExtension: UInt64 = 9

  static let groupIsViable: UInt32 = 1 << 0
  static let mapRead: UInt32 = 1 << 0
  static let mapWrite: UInt32 = 1 << 1
  static let unmapAllFlag: UInt32 = 1 << 1

  /// Index of the configuration space among the regions of a PCI device; the BARs are 0 to 5.
  static let configurationRegion: UInt32 = 7
  static let regionCanMap: UInt32 = 1 << 2

  /// struct vfio_iommu_type1_dma_map: argsz, flags, vaddr, iova, size.
  static func map(iova: UInt64, address: UInt64, length: UInt64, read: Bool, write: Bool) -> Structure {
    Structure.ofSize(32).u32((read ? mapRead : 0) | (write ? mapWrite : 0)).u64(address).u64(iova).u64(length)
  }

  /// The offset of the IOVA in `map`.
  static let mapIOVAOffset = 16

  /// struct vfio_iommu_type1_dma_unmap: argsz, flags, iova, size.
  static func unmap(iova: UInt64, length: UInt64, flags: UInt32 = 0) -> Structure {
    Structure.ofSize(24).u32(flags).u64(iova).u64(length)
  }

  /// The offsets of the IOVA and of the size, which the kernel sets to the bytes removed, in `unmap`.
  static let unmapIOVAOffset = 8
  static let unmapSizeOffset = 16
}

/// What VFIO_IOMMU_GET_INFO tells of a container.
struct VFIOInformation: Hashable, Sendable {
  /// VFIO_IOMMU_INFO_PGSIZES: the sizes of pages as a bit map.
  var pageSizes: UInt64?
  /// VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE.
  var ranges: [IOVARange] = []
  /// VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL: how many mappings there may be.
  var mappingsLeft: UInt32?
  /// VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION: the sizes of pages whose dirty state is logged, as a bit map.
  var dirtyPageSizes: UInt64?

  /// Bytes that hold all capabilities known, with many ranges.
  static let structureSize = 4096

  /// The structure for the call.
  static var request: Structure { Structure.ofSize(UInt32(structureSize)).padded(to: structureSize) }

  /// Reads struct vfio_iommu_type1_info (argsz, flags, iova_pgsizes, cap_offset) and its chain of capabilities, each with
  /// struct vfio_info_cap_header (id and version of 16 bits, the next one's offset).
  init(_ bytes: [UInt8]) {
    let flags = bytes.u32(at: 4)
    if flags & 1 != 0 { pageSizes = bytes.u64(at: 8) }
    guard flags & 2 != 0 else { return }
    var offset = Int(bytes.u32(at: 16))
    // A chain that turns back must end all the same.
    var links = 0
    while offset >= 24, offset < bytes.count, links < 16 {
      read(capability: bytes.field(at: offset, width: 2), bytes, offset)
      offset = Int(bytes.u32(at: offset + 4))
      links += 1
    }
  }

  private mutating func read(capability: UInt64, _ bytes: [UInt8], _ offset: Int) {
    switch capability {
    case 1:
      let count = min(Int(bytes.u32(at: offset + 8)), max(0, (bytes.count - offset - 16) / 16))
      ranges = (0..<count).map { position in
        let start = offset + 16 + 16 * position
        return IOVARange(first: bytes.u64(at: start), last: bytes.u64(at: start + 8))
      }
    case 2: dirtyPageSizes = bytes.u64(at: offset + 16)
    case 3: mappingsLeft = bytes.u32(at: offset + 8)
    default: break
    }
  }
}
