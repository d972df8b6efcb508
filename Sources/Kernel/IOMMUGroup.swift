// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// Devices that an IOMMU cannot tell apart.
public struct IOMMUGroup: Hashable, Sendable {
  /// The name of its file in /dev/vfio.
  public var number: Int
  /// The devices: PCI addresses, or names of platform devices; sorted.
  public var devices: [String]

  static let folder = "/sys/kernel/iommu_groups"

  /// All groups of a machine, by number; none where it has no IOMMU.
  public static func all(on machine: any Machine) -> [IOMMUGroup] {
    let numbers = ((try? machine.entries(of: folder)) ?? []).compactMap { Int($0) }.sorted()
    return numbers.map { number in
      IOMMUGroup(number: number, devices: (try? machine.entries(of: "\(folder)/\(number)/devices")) ?? [])
    }
  }

  /// Whether VFIO offers it.
  func isOffered(on machine: any Machine) -> Bool { machine.isThere("/dev/vfio/\(number)") }

  /// The devices that keep VFIO from opening it: those with a driver that is none of VFIO's.
  func obstacles(on machine: any Machine) -> [PCIDevice] {
    devices.map { PCIDevice(address: $0, machine: machine) }.filter { device in
      guard let driver = device.driver, !device.isBridge else { return false }
      // drivers/vfio/group.c and drivers/pci/pci-stub.c: these make no use of the device's memory.
      return !driver.hasPrefix("vfio") && driver != "pci-stub"
    }
  }
}
