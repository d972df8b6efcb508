// SPDX-License-Identifier: GPL-2.0-only

/// A module that tests use.
public struct NeededModule: Hashable, Sendable {
  /// As the kernel writes it.
  public var name: String
  /// The option of the kernel's configuration that builds it.
  public var option: String
  /// What it is wanted for.
  public var purpose: String
  /// What it is inserted with.
  public var parameters = ""
  /// The KUnit suites in it, globs of names; none for a module without tests.
  public var suites: [String] = []

  /// All of them; what others need stands before them.
  public static let all: [NeededModule] = [
    NeededModule(
      name: "vfio", option: "CONFIG_VFIO", purpose: "IOMMU groups and containers for user space"),
    NeededModule(
      name: "vfio_iommu_type1", option: "CONFIG_VFIO_IOMMU_TYPE1",
      purpose: "mapping through VFIO_IOMMU_MAP_DMA"),
    NeededModule(
      name: "vfio_pci_core", option: "CONFIG_VFIO_PCI_CORE", purpose: "what vfio-pci is made of since 5.15"),
    NeededModule(
      name: "vfio_pci", option: "CONFIG_VFIO_PCI", purpose: "the driver that gives a PCI device to user space"
    ),
    NeededModule(
      name: "iommufd", option: "CONFIG_IOMMUFD",
      purpose: "mapping through /dev/iommu; with CONFIG_IOMMUFD_TEST, its mock domain"),
    // Whoever inserts it wants tests to run, also where CONFIG_KUNIT_DEFAULT_ENABLED is off.
    NeededModule(
      name: "kunit", option: "CONFIG_KUNIT", purpose: "runs the kernel's own unit tests",
      parameters: "enable=1"),
    NeededModule(
      name: "iommu_pt_kunit_test", option: "CONFIG_IOMMU_PT_KUNIT_TEST",
      purpose: "KUnit suites of generic_pt", suites: ["*_fmt_test", "*_iommu_test"]),
    NeededModule(
      name: "io_pgtable_arm_selftests", option: "CONFIG_IOMMU_IO_PGTABLE_LPAE_KUNIT_TEST",
      purpose: "KUnit suite of io-pgtable-arm", suites: ["io-pgtable-arm-test"]),
    NeededModule(
      name: "arm_smmu_v3_test", option: "CONFIG_ARM_SMMU_V3_KUNIT_TEST",
      purpose: "KUnit suite of the SMMUv3 driver", suites: ["arm-smmu-v3-kunit-test"]),
  ]
}
