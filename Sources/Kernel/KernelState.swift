// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// What runs may change on a machine, as it is at one time: whoever forgets to undo something is seen by it.
public struct KernelState: Hashable, Sendable {
  /// What there is, by its name in messages: `module vfio_pci`, a file and its text, …
  private var values: [String: String] = [:]

  /// Reads what can be read.
  public init(of machine: any Machine) {
    for line in Self.lines("/proc/modules", machine) {
      if let name = line.split(separator: " ").first { values["module \(name)"] = "loaded" }
    }
    for line in Self.lines("/proc/self/mounts", machine) {
      let words = line.split(separator: " ")
      if words.count > 2 { values["mount on \(words[1])"] = String(words[2]) }
    }
    let devices = "/sys/bus/pci/devices"
    for address in Self.entries(devices, machine) {
      let device = PCIDevice(address: address, machine: machine)
      values["driver of \(address)"] = device.driver
      values["driver_override of \(address)"] = (try? device.override) ?? nil
    }
    readHugepages("/sys/kernel/mm/hugepages", machine)
    for node in Self.entries("/sys/devices/system/node", machine) {
      readHugepages("/sys/devices/system/node/\(node)/hugepages", machine)
    }
  }

  private mutating func readHugepages(_ folder: String, _ machine: any Machine) {
    for size in Self.entries(folder, machine) {
      let file = "\(folder)/\(size)/nr_hugepages"
      if let count = try? machine.line(of: file) { values[file] = count }
    }
  }

  private static func lines(_ path: String, _ machine: any Machine) -> [Substring] {
    (try? machine.text(of: path))?.split(separator: "\n") ?? []
  }

  private static func entries(_ folder: String, _ machine: any Machine) -> [String] {
    (try? machine.entries(of: folder)) ?? []
  }

  /// What differs in a later state, a line each.
  public func differences(from later: KernelState) -> [String] {
    Set(values.keys).union(later.values.keys).sorted().compactMap { name in
      let (before, after) = (values[name], later.values[name])
      return before == after ? nil : "\(name): before \(before ?? "nothing"), now \(after ?? "nothing")"
    }
  }
}
