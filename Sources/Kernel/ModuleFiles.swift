// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// Modules as the files of a machine have them: /proc/modules and /sys/module for what is in the kernel, and the text files
/// of /lib/modules/RELEASE, which depmod writes, for what could be. It serves where libkmod cannot be linked, in a static
/// program, and for machines behind an agent.
public final class ModuleFiles: ModuleSource {
  private let machine: any Machine
  private let folder: String
  private lazy var index = ModuleIndex(machine: machine, folder: folder)

  /// The modules of a kernel's release.
  ///
  /// - Parameter folder: where they are; /lib/modules/RELEASE by default.
  public init(machine: any Machine, release: String, folder: String? = nil) {
    self.machine = machine
    self.folder = folder ?? "/lib/modules/\(release)"
  }

  public func state(of module: String) -> ModuleState {
    // The kernel tells no state of what is built in.
    if let state = try? machine.line(of: "/sys/module/\(module)/initstate") {
      return state == "live" ? .loaded : inFile(module)
    }
    if isListed(module) { return .loaded }
    // What is built in and has no parameters has no folder in /sys/module.
    if index.builtIn.contains(module) || machine.isThere("/sys/module/\(module)") { return .builtIn }
    return inFile(module)
  }

  private func inFile(_ module: String) -> ModuleState {
    index.files[module].map { .available(file: $0.path) } ?? .missing
  }

  /// Where sysfs is not mounted, procfs tells.
  private func isListed(_ module: String) -> Bool {
    guard !machine.isThere("/sys/module"), let text = try? machine.text(of: "/proc/modules") else {
      return false
    }
    return text.split(separator: "\n").contains { line in
      let words = line.split(separator: " ")
      return words.count > 4 && words[0] == module && words[4] == "Live"
    }
  }

  public func dependencies(of module: String) -> [String] {
    ModuleOrder.dependencies(of: module) { index.files[$0]?.needs ?? [] }
  }

  public func insert(_ module: String, parameters: String) throws {
    guard let file = index.files[module]?.path else {
      throw KernelSkip(.module, "\(folder) has no module \(module)")
    }
    do {
      let own = KernelCommandLine.parameters(of: module, on: machine)
      let all = [parameters, own].filter { !$0.isEmpty }.joined(separator: " ")
      try machine.insertModule(file: file, parameters: all)
    } catch {
      guard ModuleCompression(file: file) != nil, [ENOEXEC, EOPNOTSUPP, EINVAL].contains(error.number) else {
        throw error
      }
      throw KernelSkip(
        .module,
        "\(file) is compressed, and the kernel does not unpack modules (CONFIG_MODULE_DECOMPRESS): \(error)")
    }
  }
}

/// What modules.dep and modules.builtin say.
struct ModuleIndex {
  /// A module's file, and the modules that it needs.
  struct Module {
    var path: String
    var needs: [String]
  }

  private(set) var files: [String: Module] = [:]
  private(set) var builtIn: Set<String> = []

  init(machine: any Machine, folder: String) {
    for line in Self.lines("\(folder)/modules.dep", machine) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let path = line[..<colon]
      let needs = line[colon...].dropFirst().split(separator: " ").map { ModuleName.canonical($0) }
      let file = path.hasPrefix("/") ? String(path) : "\(folder)/\(path)"
      files[ModuleName.canonical(path)] = Module(path: file, needs: needs)
    }
    builtIn = Set(Self.lines("\(folder)/modules.builtin", machine).map { ModuleName.canonical($0) })
  }

  private static func lines(_ path: String, _ machine: any Machine) -> [Substring] {
    (try? machine.text(of: path))?.split(separator: "\n") ?? []
  }
}

/// How the file of a module is compressed; the kernel can unpack it itself (finit_module(2), since Linux 5.17).
public enum ModuleCompression: String, CaseIterable, Sendable {
  case gzip = ".gz"
  case xz = ".xz"
  case zstd = ".zst"

  /// By the end of a file's name; nil for a file that is not compressed.
  public init?(file: String) {
    guard let known = Self.allCases.first(where: { file.hasSuffix(".ko" + $0.rawValue) }) else { return nil }
    self = known
  }
}

/// The kernel's command line.
enum KernelCommandLine {
  /// The parameters of a module: `MODULE.key=value`. The kernel gives them to what is built in only.
  static func parameters(of module: String, on machine: any Machine) -> String {
    guard let line = try? machine.line(of: "/proc/cmdline") else { return "" }
    return line.split(separator: " ").compactMap { word in
      guard let dot = word.firstIndex(of: "."), ModuleName.canonical(word[..<dot]) == module else {
        return nil
      }
      return String(word[dot...].dropFirst())
    }.joined(separator: " ")
  }
}
