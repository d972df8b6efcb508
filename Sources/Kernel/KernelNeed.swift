// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What a test needs of the machine.
public enum KernelNeed: Hashable, Sendable {
  /// To be run by root.
  case root
  /// A module that is built in or loaded; `--load` inserts it. Its name, with `_` for `-`.
  case module(String)
  /// A group that VFIO can open: `--group`, that of `--bind`, or the first usable one. `KernelContext.group()` has it.
  case group
  /// A device file.
  case device(String)
  /// A file of procfs, sysfs or debugfs.
  case file(String)
  /// Huge pages that are free: their size in bytes, and how many. They are reserved where they are not.
  case hugepages(size: UInt64, count: UInt64)

  /// For the list of tests.
  public var text: String {
    switch self {
    case .root: "root"
    case .module(let name): "module \(name)"
    case .group: "IOMMU group"
    case .device(let path), .file(let path): path
    case .hugepages(let size, let count): "\(count) pages of \(Numbers.size(size))"
    }
  }
}

extension KernelContext {
  /// Sees that something is there, and makes it where that is asked for.
  ///
  /// - Throws: `KernelSkip` where it is not.
  public func satisfy(_ need: KernelNeed) throws {
    switch need {
    case .root:
      guard try isRoot else { throw KernelSkip(.root, "the process runs as user \(try user)") }
    case .module(let name): try modules.require(name, inserts: options.loadsModules)
    case .group: _ = try group()
    case .device(let path):
      guard machine.isThere(path) else { throw KernelSkip(.device, "there is no \(path)") }
    case .file(let path):
      guard machine.isThere(path) else { throw KernelSkip(.file, "there is no \(path)") }
    case .hugepages(let size, let count):
      try Hugepages(machine: machine, journal: journal).reserve(size: size, count: count)
    }
  }
}
