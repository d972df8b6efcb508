// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// Where the modules of a kernel come from: libkmod, or the files of /lib/modules read by ourselves. Names have `_` for `-`.
public protocol ModuleSource: AnyObject {
  /// What is known of a module.
  func state(of module: String) throws -> ModuleState

  /// The modules that one needs inserted before itself, in that order; whatever state they are in.
  func dependencies(of module: String) throws -> [String]

  /// Inserts one module, and nothing that it needs. After `parameters` it gets those that the kernel's command line has for
  /// it, which so have the last word.
  func insert(_ module: String, parameters: String) throws
}

/// Where a module is.
public enum ModuleState: Hashable, Sendable {
  /// Linked into the kernel.
  case builtIn
  /// Inserted.
  case loaded
  /// In a file, and not inserted.
  case available(file: String)
  /// Nowhere.
  case missing

  /// The word of the table.
  public var word: String {
    switch self {
    case .builtIn: "built in"
    case .loaded: "loaded"
    case .available: "available"
    case .missing: "missing"
    }
  }

  /// Whether its code is in the kernel now.
  public var isPresent: Bool { self == .builtIn || self == .loaded }
}

/// Names of modules.
public enum ModuleName {
  /// The name of the module of a file, or as the kernel writes it: `vfio_pci` of `…/vfio-pci.ko.xz` and of `vfio-pci`.
  public static func canonical(_ text: some StringProtocol) -> String {
    let file = String(text).split(separator: "/").last ?? ""
    let name = file.split(separator: ".", maxSplits: 1).first ?? ""
    return String(name.map { $0 == "-" ? "_" : $0 })
  }
}

/// The order in which modules can be inserted.
enum ModuleOrder {
  /// What a module needs, each after what it needs itself.
  static func dependencies(
    of module: String, needs: (String) throws -> [String]
  ) rethrows -> [String] {
    var order: [String] = []
    var seen: Set<String> = [module]
    func visit(_ name: String) throws {
      for next in try needs(name) where seen.insert(next).inserted {
        try visit(next)
        order.append(next)
      }
    }
    try visit(module)
    return order
  }
}

/// Which source serves.
public enum ModuleSources {
  /// That of the machine at hand: libkmod where the kit was built with it and depmod has written its indexes, else the files.
  public static func local(_ machine: LocalMachine) throws(MachineError) -> any ModuleSource {
    let release = try machine.identity().release
    #if Kmod
      if machine.isThere("/lib/modules/\(release)/modules.dep.bin") { return try KmodModules() }
    #endif
    return ModuleFiles(machine: machine, release: release)
  }
}
