// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// A PCI device in sysfs.
struct PCIDevice {
  /// Domain, bus, device and function, for example `0000:00:04.0`.
  let address: String
  let machine: any Machine

  private var folder: String { "/sys/bus/pci/devices/\(address)" }

  var isThere: Bool { machine.isThere(folder) }

  /// The driver that it is bound to; nil for none.
  var driver: String? { base(ofLink: "driver") }

  /// The IOMMU group; nil where no IOMMU translates for it.
  var group: Int? { base(ofLink: "iommu_group").flatMap { Int($0) } }

  /// The one driver that may be bound to it; nil for any that knows it.
  var override: String? {
    get throws(MachineError) {
      let text = try machine.line(of: "\(folder)/driver_override")
      return text.isEmpty || text == "(null)" ? nil : text
    }
  }

  /// Whether it is a bridge, whose driver VFIO lets be.
  var isBridge: Bool { (try? machine.line(of: "\(folder)/class"))?.hasPrefix("0x0604") ?? false }

  private func base(ofLink name: String) -> String? {
    (try? machine.destination(ofLink: "\(folder)/\(name)"))?.split(separator: "/").last.map(String.init)
  }

  /// Takes it from its driver and gives it to another, whatever devices that driver knows (driver_override, Linux 3.16).
  func bind(to driver: String) throws {
    try machine.write(driver, to: "\(folder)/driver_override")
    try unbind()
    try machine.write(address, to: "/sys/bus/pci/drivers_probe")
    guard self.driver == driver else {
      throw KernelSkip(
        .group, "\(address) was offered to \(driver), and is bound to \(self.driver ?? "no driver")")
    }
  }

  /// Gives it back to the driver that it had; nil for none.
  func restore(driver: String?, override: String?) throws {
    let found: String?
    do {
      found = try self.override
    } catch {
      // It was taken out.
      if error.number == ENOENT { return }
      throw error
    }
    if self.driver != driver { try unbind() }
    if found != override { try machine.write(override ?? "\n", to: "\(folder)/driver_override") }
    guard let driver, self.driver != driver else { return }
    try machine.write(address, to: "/sys/bus/pci/drivers/\(driver)/bind")
    guard self.driver == driver else {
      throw KernelFailure("\(address) was bound to \(driver), and is bound to \(self.driver ?? "no driver")")
    }
  }

  private func unbind() throws {
    guard let driver else { return }
    try machine.write(address, to: "/sys/bus/pci/drivers/\(driver)/unbind")
  }
}
