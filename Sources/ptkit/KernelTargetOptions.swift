// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Kernel
import Machine
import PageTable

/// What the tests of the running kernel may change and use.
struct KernelTargetOptions: ParsableArguments {
  @Flag(help: "With kernel: insert modules that are missing; they are removed again.")
  var load = false

  @Option(help: "With kernel: the IOMMU group to use; the first that VFIO offers when left out.")
  var group: Int?

  @Option(
    name: .customLong("bind"),
    help: ArgumentHelp(
      "With kernel: bind a PCI device to vfio-pci; it gets its driver back. May be repeated.",
      valueName: "address"))
  var bindings: [String] = []

  @Option(
    help: """
      With kernel: where changes are written down before they are made; /run/ptkit/journal when left out \
      ($XDG_RUNTIME_DIR/ptkit/journal of users).
      """,
    completion: .file())
  var journal: String?

  @Option(
    help: "With kernel: bytes of IOVA that iova_stress goes through; 1024G when left out.",
    transform: Arguments.size)
  var stressSpace: UInt64?

  /// The first of these options that was given.
  var firstGiven: String? {
    if load { return "--load" }
    if group != nil { return "--group" }
    if !bindings.isEmpty { return "--bind" }
    if journal != nil { return "--journal" }
    return stressSpace == nil ? nil : "--stress-space"
  }

  func validate() throws {
    for address in bindings where !Self.isAddress(address) {
      throw ValidationError("'--bind \(address)': expected a PCI address as 0000:00:04.0")
    }
    if let group, group < 0 { throw ValidationError("'--group \(group)': expected a number from 0 on") }
  }

  /// Whether a text is domain:bus:device.function as sysfs writes it.
  private static func isAddress(_ text: String) -> Bool {
    let words = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "." }
    guard words.count == 4, text.dropLast(2).count(where: { $0 == ":" }) == 2, text.dropLast().last == "."
    else {
      return false
    }
    let isHex = { (word: Substring) in word.allSatisfy { "0123456789abcdef".contains($0) } }
    return words[0].count >= 4 && words[1].count == 2 && words[2].count == 2 && words[3].count == 1
      && words.allSatisfy(isHex)
  }

  var options: KernelOptions { KernelOptions(loadsModules: load, group: group, bindings: bindings) }

  /// Sees that what was named is there: a mistyped name is no reason to skip tests.
  ///
  /// - Throws: `InputError` where it is not.
  func check(on machine: any Machine) throws {
    for address in bindings where !machine.isThere("/sys/bus/pci/devices/\(address)") {
      throw InputError("'--bind \(address)': there is no such PCI device")
    }
    let groups = IOMMUGroup.all(on: machine).map(\.number)
    if let group, !groups.isEmpty, !groups.contains(group) {
      let known = groups.map(String.init).joined(separator: ", ")
      throw InputError("'--group \(group)': there is no such IOMMU group; groups are \(known)")
    }
  }
}
