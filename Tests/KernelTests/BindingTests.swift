// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine
import Testing

@testable import Kernel

@Suite("Devices and groups")
struct BindingTests {
  let host = FakeHost()
  private let load = KernelOptions(loadsModules: true)

  private func options(_ bindings: [String], group: Int? = nil) -> KernelOptions {
    KernelOptions(loadsModules: true, group: group, bindings: bindings)
  }

  private func reason(_ body: () throws -> Void) -> KernelSkip? {
    do {
      try body()
      return nil
    } catch { return error as? KernelSkip }
  }

  @Test("a device is bound to vfio-pci, and gets its driver back")
  func bind() throws {
    let context = try host.context(options([FakeHost.device]))
    #expect(try context.group() == IOMMUGroup(number: 3, devices: [FakeHost.device]))
    #expect(host.kernel.driver(of: FakeHost.device) == "vfio-pci")
    #expect(context.journal.changes.last == .driver(device: FakeHost.device, driver: "e1000e", override: nil))
    #expect(context.journal.undoAll() == [])
    #expect(host.kernel.driver(of: FakeHost.device) == "e1000e")
    #expect(host.machine["/sys/bus/pci/devices/\(FakeHost.device)/driver_override"] == "(null)\n")
    #expect(host.kernel.loaded == [])
  }

  @Test("a device without driver has none afterwards, and its override is kept")
  func noDriver() throws {
    host.machine["/sys/bus/pci/devices/0000:00:05.0/driver_override"] = "mine\n"
    let context = try host.context(options(["0000:00:05.0"]))
    #expect(try context.group().number == 5)
    #expect(context.journal.undoAll() == [])
    #expect(host.kernel.driver(of: "0000:00:05.0") == nil)
    #expect(host.machine["/sys/bus/pci/devices/0000:00:05.0/driver_override"] == "mine\n")
  }

  @Test("where binding fails, the driver comes back at once")
  func fails() throws {
    host.machine.refusals["write /sys/bus/pci/drivers_probe \(FakeHost.device)"] = EIO
    let context = try host.context(options([FakeHost.device]))
    #expect(throws: MachineError.self) { try context.group() }
    #expect(host.kernel.driver(of: FakeHost.device) == "e1000e")
  }

  @Test("a device that vfio-pci has already is not touched")
  func alreadyBound() throws {
    host.kernel.addDevice("0000:00:06.0", driver: "vfio-pci", group: 6)
    let context = try host.context(options(["0000:00:06.0"]))
    #expect(try context.group().number == 6)
    #expect(host.machine.log == [])
  }

  @Test("the first group that VFIO offers is used; another one may share no device with a driver")
  func firstUsable() throws {
    host.kernel.addDevice("0000:00:06.0", driver: "vfio-pci", group: 6)
    host.kernel.addDevice("0000:00:06.1", driver: "snd", group: 6)
    host.kernel.addDevice("0000:00:07.0", driver: "vfio-pci", group: 11)
    host.kernel.addDevice("0000:00:07.1", driver: "pcieport", group: 11, classCode: "0x060400")
    #expect(try host.context().group().number == 11)
    let skip = reason { _ = try host.context(KernelOptions(group: 6)).group() }
    #expect(skip?.detail == "group 6 has 0000:00:06.1, which is bound to snd: give --bind 0000:00:06.1, too")
  }

  @Test("without a group it is said how to get one")
  func advice() throws {
    let skip = reason { _ = try host.context().group() }
    #expect(skip?.reason == .group)
    #expect(skip?.detail == "no device is bound to vfio-pci; give --bind 0000:00:05.0, which no driver uses")
    let other = reason { _ = try host.context(KernelOptions(group: 5)).group() }
    #expect(other?.detail.hasSuffix("there is no /dev/vfio/5; give --bind 0000:00:05.0") == true)
    #expect(
      reason { _ = try host.context(KernelOptions(group: 9)).group() }?.detail
        == "there is no group 9; groups are 3, 5")
  }

  @Test("no IOMMU, no module, no root: each is a skip of its own, and nothing is changed")
  func skips() throws {
    let empty = FakeMachine()
    #expect(reason { _ = try KernelContext(machine: empty).group() }?.reason == .group)
    let notLoaded = KernelOptions(bindings: [FakeHost.device])
    #expect(reason { _ = try host.context(notLoaded).group() }?.reason == .notLoaded)
    host.machine["/proc/self/status"] = "Uid:\t7\t7\t7\t7\n"
    #expect(reason { _ = try host.context(options([FakeHost.device])).group() }?.reason == .root)
    #expect(host.machine.log == [])
  }

  @Test("huge pages come back to the nodes that they were on")
  func hugepages() throws {
    let context = try host.context()
    try context.satisfy(.hugepages(size: 2 << 20, count: 10))
    let folder = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    #expect(try host.machine.line(of: "\(folder)/nr_hugepages") == "10")
    #expect(context.journal.undoAll() == [])
    let nodes = try (0...1).map {
      try host.machine.line(of: "/sys/devices/system/node/node\($0)/hugepages/hugepages-2048kB/nr_hugepages")
    }
    #expect(nodes == ["3", "0"])
  }

  @Test(
    "pages that are free are used; more than there is memory for, or of a size that there is not, are a skip")
  func hugepageSkips() throws {
    let context = try host.context()
    try context.satisfy(.hugepages(size: 2 << 20, count: 3))
    #expect(host.machine.log == [])
    let before = KernelState(of: host.machine)
    #expect(reason { try context.satisfy(.hugepages(size: 2 << 20, count: 5000)) }?.reason == .hugepages)
    #expect(before.differences(from: KernelState(of: host.machine)) == [])
    #expect(reason { try context.satisfy(.hugepages(size: 1 << 30, count: 1)) }?.reason == .hugepages)
  }
}
