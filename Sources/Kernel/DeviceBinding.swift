// SPDX-License-Identifier: GPL-2.0-only

import Machine

extension KernelContext {
  /// Binds the devices of `--bind`, and finds the group to use.
  func findGroup() throws -> IOMMUGroup {
    let groups = IOMMUGroup.all(on: machine)
    guard !groups.isEmpty else {
      throw KernelSkip(
        .group,
        "the machine has no IOMMU, or it is not on (intel_iommu=on, amd_iommu=on): \(IOMMUGroup.folder) is empty"
      )
    }
    for address in options.bindings { try bind(address) }
    return try chooseGroup(groups)
  }

  private func bind(_ address: String) throws {
    let device = PCIDevice(address: address, machine: machine)
    guard device.isThere else { throw KernelSkip(.device, "there is no PCI device \(address)") }
    guard device.group != nil else { throw KernelSkip(.group, "\(address) is in no IOMMU group") }
    guard device.driver != "vfio-pci" else { return }
    try satisfy(.root)
    try modules.require("vfio_pci", inserts: options.loadsModules)
    let change = KernelChange.driver(device: address, driver: device.driver, override: try device.override)
    try journal.make(change) { try device.bind(to: "vfio-pci") }
  }

  private func chooseGroup(_ groups: [IOMMUGroup]) throws -> IOMMUGroup {
    let bound = options.bindings.first.flatMap { PCIDevice(address: $0, machine: machine).group }
    if let number = options.group ?? bound {
      guard let group = groups.first(where: { $0.number == number }) else {
        throw KernelSkip(
          .group,
          "there is no group \(number); groups are \(groups.map { String($0.number) }.joined(separator: ", "))"
        )
      }
      try check(group)
      return group
    }
    let usable = groups.first { $0.isOffered(on: machine) && $0.obstacles(on: machine).isEmpty }
    if let usable { return usable }
    throw KernelSkip(.group, advice(groups))
  }

  /// Sees that VFIO can open a group that was asked for.
  private func check(_ group: IOMMUGroup) throws {
    if let device = group.obstacles(on: machine).first {
      throw KernelSkip(
        .group,
        "group \(group.number) has \(device.address), which is bound to \(device.driver ?? "a driver"): "
          + "give --bind \(device.address), too")
    }
    guard group.isOffered(on: machine) else {
      let devices = group.devices.map { "--bind \($0)" }.joined(separator: " ")
      throw KernelSkip(
        .group,
        "no device of group \(group.number) is bound to vfio-pci: there is no /dev/vfio/\(group.number); give \(devices)"
      )
    }
  }

  /// How to get a group: a device that nothing uses is best.
  private func advice(_ groups: [IOMMUGroup]) -> String {
    let free = groups.first { group in
      !group.devices.isEmpty && group.obstacles(on: machine).isEmpty
        && group.devices.contains { PCIDevice(address: $0, machine: machine).isThere }
    }
    let devices = free?.devices.filter { !PCIDevice(address: $0, machine: machine).isBridge } ?? []
    let example =
      devices.first.map { "--bind \($0), which no driver uses" }
      ?? "--bind and the address of a device to spare"
    return "no device is bound to vfio-pci; give \(example)"
  }
}
