// SPDX-License-Identifier: GPL-2.0-only

import Machine

extension KernelContext {
  /// Where debugfs is.
  public static let debugfs = "/sys/kernel/debug"

  /// Mounts debugfs where it is not mounted; it is taken off again.
  ///
  /// - Throws: `KernelSkip` where that cannot be done.
  public func mountDebugfs() throws {
    let folder = Self.debugfs
    guard machine.isThere(folder) else {
      throw KernelSkip(.file, "there is no \(folder): CONFIG_DEBUG_FS is off")
    }
    if try Mounts.isMounted(folder, on: machine) { return }
    guard try isRoot else { throw KernelSkip(.root, "debugfs is not mounted") }
    do {
      try journal.make(.mount(folder: folder), isAtomic: true) {
        try machine.mount(fileSystem: "debugfs", on: folder)
      }
    } catch let error as MachineError {
      throw KernelSkip(.file, "debugfs cannot be mounted: \(error)")
    }
  }
}
