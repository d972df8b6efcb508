// SPDX-License-Identifier: GPL-2.0-only

import Kernel

/// A kernel to boot, with the modules that its guest gets.
public struct KernelImage: Hashable, Sendable {
  /// The file that QEMU loads.
  public var file: String
  /// The folder with modules.dep, which is named by the kernel's release; nil for none.
  public var modules: String?

  /// The modules that tests insert, with `-` for `_`; what they depend on comes with them.
  static let wanted =
    NeededModule.all.map { KernelImage.name($0.name) } + ["iommufd-vfio", "ptkit-iommu"]

  /// A kernel as lab/fetch lays it out.
  init(folder: String) throws(LabError) {
    file = "\(folder)/vmlinuz"
    modules = "\(folder)/lib/modules/\(try HostFile.line("\(folder)/release"))"
  }

  /// A developer's kernel.
  ///
  /// - Parameter modules: where `make modules_install INSTALL_MOD_PATH=` put them, or the folder of the release itself;
  ///   nil for a kernel that has all built in.
  public init(file: String, modules: String?) throws(LabError) {
    guard HostFile.isThere(file) else { throw LabError("\(file): there is no such kernel") }
    self.file = file
    self.modules = nil
    guard let modules else { return }
    let inside = HostFile.files(below: "\(modules)/lib/modules").filter { $0.hasSuffix("/modules.dep") }
    if HostFile.isThere("\(modules)/modules.dep") {
      self.modules = modules
    } else if let first = inside.first, inside.count == 1 {
      self.modules = "\(modules)/lib/modules/\(first.split(separator: "/").dropLast().joined(separator: "/"))"
    } else {
      throw LabError(
        "\(modules): expected modules.dep there, or in one folder lib/modules/RELEASE; found \(inside.count) of them"
      )
    }
  }

  /// Adds the modules that tests need to the first files of a guest.
  ///
  /// - Parameters:
  ///   - excluded: modules to leave out.
  ///   - more: files of modules that stand elsewhere and need no others.
  func addModules(to files: inout InitialFiles, excluded: Set<String>, more: [String]) throws(LabError) {
    guard let modules, let release = modules.split(separator: "/").last else { return }
    var needs: [String: [String]] = [:]
    var lines: [String: String] = [:]
    for line in String(decoding: try HostFile.read("\(modules)/modules.dep"), as: UTF8.self).split(
      separator: "\n")
    {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard let path = parts.first.map(String.init) else { continue }
      needs[path] = parts.count > 1 ? parts[1].split(separator: " ").map(String.init) : []
      lines[path] = String(line)
    }
    let chosen = needs.keys.filter {
      Self.wanted.contains(Self.name($0)) && !excluded.contains(Self.name($0))
    }
    let all = Set(chosen).union(chosen.flatMap { needs[$0] ?? [] }).filter {
      !excluded.contains(Self.name($0))
    }
    let folder = "lib/modules/\(release)"
    for path in all.sorted() { files.add(file: "\(folder)/\(path)", try HostFile.read("\(modules)/\(path)")) }
    var kept = all.sorted().compactMap { lines[$0] }.map { $0 + "\n" }.joined()
    for file in more {
      let path = "extra/\(file.split(separator: "/").last ?? "")"
      files.add(file: "\(folder)/\(path)", try HostFile.read(file))
      kept += "\(path):\n"
    }
    files.add(file: "\(folder)/modules.dep", Array(kept.utf8))
    for name in ["modules.builtin", "modules.order"] where HostFile.isThere("\(modules)/\(name)") {
      files.add(file: "\(folder)/\(name)", try HostFile.read("\(modules)/\(name)"))
    }
  }

  /// The name of a module's file, with `-` for `_`.
  static func name(_ path: String) -> String {
    let file = path.split(separator: "/").last ?? ""
    return String(file.prefix { $0 != "." }.map { $0 == "_" ? "-" : $0 })
  }
}
