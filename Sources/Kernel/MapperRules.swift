// SPDX-License-Identifier: GPL-2.0-only

/// What an interface answers to calls that it must refuse: the error numbers that are right.
struct MapperRules: Sendable {
  /// A range that overlaps a mapping.
  var overlap: Set<Int32> = [ErrorNumber.exists]
  /// A length of zero, to map or to unmap.
  var zeroLength: Set<Int32> = [ErrorNumber.invalid]
  /// An address or a length that is no multiple of the page.
  var misaligned: Set<Int32> = [ErrorNumber.invalid]
  /// A range that goes on past the last IOVA of 64 bits.
  var wraps: Set<Int32> = [ErrorNumber.invalid, ErrorNumber.overflow]
  /// A range that is not, or not all, in those that may be mapped.
  var beyond: Set<Int32> = [ErrorNumber.invalid]
  /// Neither reading nor writing.
  var noPermission: Set<Int32> = [ErrorNumber.invalid]
  /// An unmap that takes a part of a mapping.
  var cut: Set<Int32> = [ErrorNumber.invalid]
  /// An unmap where nothing is mapped; empty where that is no error and removes 0 bytes.
  var nothing: Set<Int32> = []

  init(_ kind: MapperKind) {
    switch kind {
    case .vfio:
      // A kernel may serve the container through iommufd (CONFIG_IOMMUFD_VFIO_CONTAINER), with iommufd's errors.
      cut = [ErrorNumber.invalid, ErrorNumber.notFound]
    case .iommufd, .mock:
      // "ENOENT: An ID or IOVA provided does not exist", include/uapi/linux/iommufd.h, for what is not there as a whole.
      cut = [ErrorNumber.notFound]
      nothing = [ErrorNumber.notFound]
    case .module:
      // iommu_map()'s own errors may come through: drivers of before the generic code have others.
      overlap = [ErrorNumber.exists, ErrorNumber.addressInUse]
      beyond = [ErrorNumber.invalid, ErrorNumber.outOfRange, ErrorNumber.badAddress, ErrorNumber.overflow]
    }
  }
}
