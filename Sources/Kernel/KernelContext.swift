// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// What the command line says about a run.
public struct KernelOptions: Hashable, Sendable {
  /// Whether modules that are missing are inserted, and removed again.
  public var loadsModules: Bool
  /// The IOMMU group to use; nil for the first usable one.
  public var group: Int?
  /// PCI devices to bind to vfio-pci, and back again, for example `0000:00:04.0`.
  public var bindings: [String]

  public init(loadsModules: Bool = false, group: Int? = nil, bindings: [String] = []) {
    self.loadsModules = loadsModules
    self.group = group
    self.bindings = bindings
  }
}

/// What the tests of one run have in common. To be used by one thread.
public final class KernelContext {
  /// The machine whose kernel is tested.
  public let machine: any Machine
  public let options: KernelOptions
  /// Everything that is changed on the machine is changed through it.
  public let journal: Journal
  /// The kernel's modules.
  public let modules: Modules
  /// The kernel's release, for example `7.2.4+deb13-amd64`.
  public let release: String
  /// The processor's architecture as `uname -m` prints it.
  public let architecture: String
  /// Throws `KernelInterruption` when the run is to end.
  private let interruption: () throws(KernelInterruption) -> Void
  private var chosenGroup: Result<IOMMUGroup, KernelSkip>?

  /// A run on a machine.
  ///
  /// - Parameters:
  ///   - source: where modules come from; the files of /lib/modules on that machine by default.
  ///   - journal: where changes are written down; only in memory by default, as for a machine that is thrown away.
  ///   - interruption: throws when the run is to end.
  public init(
    machine: any Machine, options: KernelOptions = KernelOptions(), source: (any ModuleSource)? = nil,
    journal: Journal? = nil, interruption: @escaping () throws(KernelInterruption) -> Void = {}
  ) throws(MachineError) {
    (release, architecture) = try machine.identity()
    self.machine = machine
    self.options = options
    let journal = journal ?? Journal(machine: machine)
    self.journal = journal
    modules = Modules(source: source ?? ModuleFiles(machine: machine, release: release), journal: journal)
    self.interruption = interruption
  }

  /// To be called now and then by what takes long, about once a second.
  ///
  /// - Throws: `KernelInterruption` when the run is to end.
  public func checkpoint() throws(KernelInterruption) { try interruption() }

  /// The kernel's version as findings have it: `7.2` of `7.2.4+deb13-amd64`.
  public var version: String {
    release.split(separator: ".", maxSplits: 2).prefix(2).map { $0.prefix(while: \.isNumber) }
      .joined(separator: ".")
  }

  /// The user that the process on the machine runs as; 0 is root.
  public var user: Int {
    get throws {
      guard machine.isThere("/proc/self/status") else {
        throw KernelSkip(.file, "there is no /proc/self/status: mount /proc")
      }
      let status = try machine.text(of: "/proc/self/status")
      let line = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }
      // Real, effective, saved, file system: the effective one counts.
      let numbers = line?.split(whereSeparator: \.isWhitespace).dropFirst() ?? []
      guard let user = numbers.dropFirst().first.flatMap({ Int($0) }) else {
        throw KernelSkip(.file, "/proc/self/status has no line Uid:")
      }
      return user
    }
  }

  public var isRoot: Bool { get throws { try user == 0 } }

  /// The IOMMU group that tests use: its number, and the devices in it. /dev/vfio/NUMBER is there.
  ///
  /// - Throws: `KernelSkip` where there is none, which says how to bind a device.
  public func group() throws -> IOMMUGroup {
    if let chosenGroup { return try chosenGroup.get() }
    do {
      let group = try findGroup()
      chosenGroup = .success(group)
      return group
    } catch let skip as KernelSkip {
      chosenGroup = .failure(skip)
      throw skip
    }
  }
}
