// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// How tests come to the page table of one kind.
struct MapperSuite: Sendable {
  let kind: MapperKind
  /// What must be there.
  let needs: [KernelNeed]
  /// Opens a page table in which nothing is mapped.
  let open: @Sendable (KernelContext) throws -> any Mapper
  /// The PCI address of the device behind the page table.
  let device: @Sendable (KernelContext) throws -> String

  /// A test of this kind: `kernel.KIND.NAME`, on a page table of its own.
  func test(
    _ name: String, needs: [KernelNeed] = [],
    _ body: @escaping @Sendable (MapperBench) throws -> KernelOutcome
  ) -> KernelTest {
    contextTest(name, needs: needs) { context in
      try MapperBench.run(open(context)) { try body($0) }
    }
  }

  /// A test that opens page tables by itself.
  func contextTest(
    _ name: String, needs: [KernelNeed] = [],
    _ body: @escaping @Sendable (KernelContext) throws -> KernelOutcome
  ) -> KernelTest {
    KernelTest("kernel.\(kind.rawValue).\(name)", needs: self.needs + needs, body)
  }

  /// Opens the registers of the device behind a page table of this kind.
  func openDevice(_ context: KernelContext, _ mapper: any Mapper) throws -> DMADevice {
    let address = try EduDevice.address(among: [device(context)], context.machine)
    if kind == .module { return try DMADevice(sysfs: address, on: context.machine) }
    return try DMADevice(vfio: mapper, address)
  }

  /// A container with the group of the run.
  static let vfio = MapperSuite(
    kind: .vfio, needs: [.root, .module("vfio_iommu_type1"), .group],
    open: { context in try VFIOMapper(machine: context.machine, group: String(context.group().number)) },
    device: device(ofGroup:))

  /// An address space of iommufd with a device of the group of the run.
  static let iommufd = MapperSuite(
    kind: .iommufd, needs: [.root, .module("iommufd"), .device(IOMMUFD.path), .group],
    open: { context in try IOMMUFDMapper(machine: context.machine, device: device(ofGroup: context)) },
    device: device(ofGroup:))

  /// An address space of iommufd with the kernel's mock device.
  static let mock = MapperSuite(
    kind: .mock, needs: [.root, .module("iommufd"), .device(IOMMUFD.path)],
    open: { context in try IOMMUFDMapper(mockOn: context.machine) },
    device: { _ in throw KernelSkip(.device, "the mock device is in the kernel only") })

  /// The kit's own module, with the device that the DMA tests use.
  static let module = MapperSuite(
    kind: .module, needs: [.root, .module("ptkit_iommu"), .device(ModuleInterface.path)],
    open: { context in
      try ModuleMapper(machine: context.machine, device: EduDevice.address(on: context.machine))
    },
    device: { context in try EduDevice.address(on: context.machine) })

  /// The device of the group that is of use: the `edu` device where it has one, else the first.
  @Sendable private static func device(ofGroup context: KernelContext) throws -> String {
    let group = try context.group()
    if let edu = try? EduDevice.address(among: group.devices, context.machine) { return edu }
    guard let first = group.devices.first else { throw KernelSkip(.group, "group \(group.number) is empty") }
    return first
  }
}
