// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// What a kernel does with modules, PCI devices, huge pages and mounts, on a fake machine.
final class FakeKernel {
  unowned let machine: FakeMachine
  /// Files of modules that can be inserted, by name, with the names that they need.
  private var available: [String: (file: String, needs: [String])] = [:]
  /// What is inserted, in order.
  private(set) var loaded: [String] = []
  /// What happens when a module is inserted or removed.
  var onInsert: [String: () -> Void] = [:]
  var onRemove: [String: () -> Void] = [:]
  /// Files that a file system shows when it is mounted, by its name.
  var fileSystems: [String: [String: String]] = [:]
  private var mounts: [(folder: String, fileSystem: String)] = []

  init(_ machine: FakeMachine) {
    self.machine = machine
    machine.kernel = self
    machine.folder("/sys/module")
    machine["/proc/modules"] = ""
    machine["/proc/self/mounts"] = "proc /proc proc rw 0 0\n"
    machine["/proc/cmdline"] = "quiet\n"
    machine["\(folder)/modules.dep"] = ""
    machine["\(folder)/modules.builtin"] = ""
    machine.file("/sys/bus/pci/drivers_probe") { _, address in try self.probe(address) }
  }

  private var folder: String { "/lib/modules/\(machine.release)" }

  // MARK: Modules

  /// Adds a module's file, its name written with dashes as files have it.
  func addModule(_ fileName: String, needs: [String] = [], ending: String = ".ko") {
    let path = "kernel/\(fileName)\(ending)"
    let name = Self.name(fileName)
    available[name] = ("\(folder)/\(path)", needs.map(Self.name))
    let all = needs.map { "kernel/\($0)\(ending)" }.joined(separator: " ")
    machine["\(folder)/modules.dep", default: ""] += "\(path): \(all)\n"
  }

  /// Adds a module that is linked into the kernel.
  func addBuiltIn(_ fileName: String) {
    machine["\(folder)/modules.builtin", default: ""] += "kernel/\(fileName).ko\n"
  }

  private static func name(_ file: String) -> String { String(file.map { $0 == "-" ? "_" : $0 }) }

  func insert(_ file: String, _ parameters: String) throws(MachineError) {
    guard let (name, module) = available.first(where: { $0.value.file == file }) else {
      throw machine.refused("insert \(file)", ENOENT)
    }
    try machine.change("insert \(name)" + (parameters.isEmpty ? "" : " \(parameters)"))
    guard !loaded.contains(name) else { throw machine.refused("insert \(name)", EEXIST) }
    // The kernel finds no symbol of what is not there.
    guard module.needs.allSatisfy(loaded.contains) else { throw machine.refused("insert \(name)", ENOENT) }
    loaded.append(name)
    showModules()
    onInsert[name]?()
  }

  func remove(_ name: String) throws(MachineError) {
    try machine.change("remove \(name)")
    guard let index = loaded.firstIndex(of: name) else { throw machine.refused("remove \(name)", ENOENT) }
    let isUsed = loaded.contains { available[$0]?.needs.contains(name) ?? false }
    guard !isUsed else { throw machine.refused("remove \(name)", EAGAIN) }
    loaded.remove(at: index)
    showModules()
    onRemove[name]?()
  }

  private func showModules() {
    machine.remove("/sys/module")
    machine.folder("/sys/module")
    for name in loaded { machine["/sys/module/\(name)/initstate"] = "live\n" }
    machine["/proc/modules"] = loaded.map { "\($0) 4096 0 - Live 0x0\n" }.joined()
  }

  // MARK: PCI

  /// Adds a device, bound to a driver or to none, in an IOMMU group or in none.
  func addDevice(_ address: String, driver: String?, group: Int?, classCode: String = "0x00ff00") {
    let folder = "/sys/bus/pci/devices/\(address)"
    machine["\(folder)/class"] = classCode + "\n"
    machine.file("\(folder)/driver_override", "(null)\n") { machine, text in
      machine["\(folder)/driver_override"] = text == "\n" ? "(null)\n" : text + "\n"
    }
    if let group {
      machine.link("\(folder)/iommu_group", to: "../../../kernel/iommu_groups/\(group)")
      machine.link(
        "/sys/kernel/iommu_groups/\(group)/devices/\(address)", to: "../../../../devices/\(address)")
    }
    for name in [driver, "vfio-pci"] { if let name { addDriver(name) } }
    if let driver { attach(address, driver) }
  }

  private func addDriver(_ driver: String) {
    let folder = "/sys/bus/pci/drivers/\(driver)"
    machine.file("\(folder)/bind") { _, address in try self.bind(address, driver) }
    machine.file("\(folder)/unbind") { _, address in
      guard self.driver(of: address) == driver else { throw self.machine.refused("unbind", ENODEV) }
      self.machine.link("/sys/bus/pci/devices/\(address)/driver", to: nil)
      self.showGroups()
    }
  }

  /// The driver of a device.
  func driver(of address: String) -> String? {
    (try? machine.destination(ofLink: "/sys/bus/pci/devices/\(address)/driver"))?
      .split(separator: "/").last.map(String.init)
  }

  private func probe(_ address: String) throws {
    let override = try machine.line(of: "/sys/bus/pci/devices/\(address)/driver_override")
    guard override != "(null)", driver(of: address) == nil else { return }
    if override == "vfio-pci", !loaded.contains("vfio_pci") { return }
    attach(address, override)
  }

  private func bind(_ address: String, _ driver: String) throws {
    let override = try machine.line(of: "/sys/bus/pci/devices/\(address)/driver_override")
    guard self.driver(of: address) == nil, override == "(null)" || override == driver else {
      throw machine.refused("bind", ENODEV)
    }
    attach(address, driver)
  }

  private func attach(_ address: String, _ driver: String) {
    machine.link("/sys/bus/pci/devices/\(address)/driver", to: "../../../bus/pci/drivers/\(driver)")
    showGroups()
  }

  /// VFIO offers the groups of the devices that it has.
  private func showGroups() {
    let groups = (try? machine.entries(of: "/sys/kernel/iommu_groups")) ?? []
    for group in groups {
      let devices = (try? machine.entries(of: "/sys/kernel/iommu_groups/\(group)/devices")) ?? []
      let isOffered = devices.contains { driver(of: $0) == "vfio-pci" }
      if isOffered, machine["/dev/vfio/\(group)"] == nil { machine["/dev/vfio/\(group)"] = "" }
      if !isOffered { machine["/dev/vfio/\(group)"] = nil }
    }
  }

  // MARK: Huge pages

  /// Adds pages of a size in kilobytes, so many reserved on each node, of which at most `limit` can be had in all.
  func addHugepages(kilobytes: Int, onNodes nodes: [Int], limit: Int = 1000) {
    let folder = "/sys/kernel/mm/hugepages/hugepages-\(kilobytes)kB"
    let files = nodes.indices.map {
      "/sys/devices/system/node/node\($0)/hugepages/hugepages-\(kilobytes)kB/nr_hugepages"
    }
    let show = { (machine: FakeMachine, counts: [Int]) in
      for (file, count) in zip(files, counts) { machine[file] = "\(count)\n" }
      machine["\(folder)/nr_hugepages"] = "\(counts.reduce(0, +))\n"
      machine["\(folder)/free_hugepages"] = "\(counts.reduce(0, +))\n"
    }
    let counts = { (machine: FakeMachine) in files.map { Int((try? machine.line(of: $0)) ?? "0") ?? 0 } }
    machine["\(folder)/resv_hugepages"] = "0\n"
    machine.file("\(folder)/nr_hugepages") { machine, text in
      // As the kernel does it, spread over the nodes, whatever they had.
      let wanted = min(Int(text) ?? 0, limit)
      guard wanted != counts(machine).reduce(0, +) else { return }
      show(machine, nodes.indices.map { (wanted + nodes.count - 1 - $0) / nodes.count })
    }
    for (index, file) in files.enumerated() {
      machine.file(file) { machine, text in
        var all = counts(machine)
        all[index] = Int(text) ?? 0
        show(machine, all)
      }
    }
    show(machine, nodes)
  }

  // MARK: Mounts

  func mount(_ fileSystem: String, _ folder: String) throws(MachineError) {
    try machine.change("mount \(fileSystem) \(folder)")
    mounts.append((folder, fileSystem))
    for (path, text) in fileSystems[fileSystem] ?? [:] { machine["\(folder)/\(path)"] = text }
    showMounts()
  }

  func unmount(_ folder: String) throws(MachineError) {
    try machine.change("umount \(folder)")
    guard let index = mounts.lastIndex(where: { $0.folder == folder }) else {
      throw machine.refused("umount \(folder)", EINVAL)
    }
    mounts.remove(at: index)
    machine.remove(folder)
    machine.folder(folder)
    showMounts()
  }

  private func showMounts() {
    machine["/proc/self/mounts"] =
      "proc /proc proc rw 0 0\n" + mounts.map { "none \($0.folder) \($0.fileSystem) rw 0 0\n" }.joined()
  }
}

extension FakeMachine {
  /// The text of a file, for changing it in place.
  subscript(path: String, default text: String) -> String {
    get { self[path] ?? text }
    set { self[path] = newValue }
  }
}
