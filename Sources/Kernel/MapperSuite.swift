// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// How tests come to the page table of one kind.
struct MapperSuite: Sendable {
  let kind: MapperKind
  /// What must be there.
  let needs: [KernelNeed]
  /// Opens a page table in which nothing is mapped.
  let open: @Sendable (KernelContext) throws -> any Mapper
  /// Opens the registers of the device behind the page table; nil where that has none.
  let openDevice: (@Sendable (KernelContext, any Mapper) throws -> DMADevice)?

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

  /// A container with the group of the run.
  static let vfio = MapperSuite(
    kind: .vfio, needs: [.root, .module("vfio_iommu_type1"), .group],
    open: { context in try VFIOMapper(machine: context.machine, group: String(context.group().number)) },
    openDevice: { context, mapper in
      try DMADevice(vfio: mapper, EduDevice.address(among: context.group().devices, context.machine))
    })

  /// The kit's own module, with the device that the DMA tests use.
  static let module = MapperSuite(
    kind: .module, needs: [.root, .device(ModuleInterface.path)],
    open: { context in
      try ModuleMapper(machine: context.machine, device: EduDevice.address(on: context.machine))
    },
    openDevice: { context, _ in
      try DMADevice(sysfs: EduDevice.address(on: context.machine), on: context.machine)
    })
}
