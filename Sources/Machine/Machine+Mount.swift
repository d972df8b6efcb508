// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// A machine that mounts no file systems: everything is mounted there from the beginning, or never.
extension Machine {
  public func mount(fileSystem: String, on folder: String) throws(MachineError) {
    throw .refused(call: "mount \(folder)", error: ENOSYS)
  }

  public func unmount(_ folder: String) throws(MachineError) {
    throw .refused(call: "umount \(folder)", error: ENOSYS)
  }
}
