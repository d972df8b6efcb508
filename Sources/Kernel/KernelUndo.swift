// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// Puts back what changes have changed. What is as it was already, or is not there any more, is fine, for a run may
/// have been killed before it made the change, or after it undid it.
struct KernelUndo {
  let machine: any Machine

  func undo(_ change: KernelChange) throws {
    switch change {
    case .module(let name): try removeModule(name)
    case .driver(let device, let driver, let override):
      try PCIDevice(address: device, machine: machine).restore(driver: driver, override: override)
    case .setting(let file, let value): try restore(file, value)
    case .mount(let folder):
      if try Mounts.isMounted(folder, on: machine) { try machine.unmount(folder) }
    }
  }

  private func removeModule(_ name: String) throws {
    do {
      try machine.removeModule(name)
    } catch {
      if error.number != ENOENT { throw error }
    }
  }

  private func restore(_ file: String, _ value: String) throws {
    do {
      if try machine.line(of: file) == value { return }
    } catch {
      if error.number == ENOENT { return }
      throw error
    }
    try machine.write(value, to: file)
    let found = try machine.line(of: file)
    guard found == value else {
      throw KernelFailure("\(value) was written to \(file), and it reads \(found)")
    }
  }
}

/// What is mounted.
enum Mounts {
  /// Whether a file system is mounted on a folder.
  static func isMounted(_ folder: String, on machine: any Machine) throws -> Bool {
    try machine.text(of: "/proc/self/mounts").split(separator: "\n").contains { line in
      let words = line.split(separator: " ")
      return words.count > 1 && words[1] == folder
    }
  }
}
