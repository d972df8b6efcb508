// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// The modules of the tested kernel. What is inserted is in the journal, and so is removed again: exactly that, last first.
public final class Modules {
  private let source: any ModuleSource
  private let journal: Journal

  public init(source: any ModuleSource, journal: Journal) {
    self.source = source
    self.journal = journal
  }

  /// Where a module is.
  public func state(of module: String) throws -> ModuleState {
    try source.state(of: ModuleName.canonical(module))
  }

  /// Sees that a module is in the kernel.
  ///
  /// - Parameter inserts: whether it is inserted where it is not.
  /// - Throws: `KernelSkip` where it cannot be.
  public func require(_ module: String, inserts: Bool) throws {
    switch try state(of: module) {
    case .builtIn, .loaded: return
    case .missing: throw KernelSkip(.module, Self.missing(module))
    case .available(let file):
      guard inserts else {
        throw KernelSkip(.notLoaded, "\(file) is not loaded; --load inserts it, and removes it afterwards")
      }
      try load(module)
    }
  }

  private static func missing(_ module: String) -> String {
    let option = NeededModule.all.first { $0.name == ModuleName.canonical(module) }?.option
    return "the kernel has no module \(module)" + (option.map { " (\($0))" } ?? "")
  }

  /// Inserts a module and all that it needs and that is not in the kernel.
  ///
  /// - Returns: what was inserted, in that order.
  /// - Throws: `KernelSkip` where one is missing or the kernel refuses it; what was inserted before is removed.
  @discardableResult
  public func load(_ module: String) throws -> [String] {
    let module = ModuleName.canonical(module)
    let mark = journal.mark
    var inserted: [String] = []
    do {
      for name in try source.dependencies(of: module) + [module] where try insert(name, for: module) {
        inserted.append(name)
      }
      return inserted
    } catch {
      let problems = journal.undo(to: mark)
      guard problems.isEmpty else { throw KernelFailure(details: ["\(error)"] + problems) }
      throw error
    }
  }

  /// Inserts one module; false where it was in the kernel.
  private func insert(_ name: String, for module: String) throws -> Bool {
    switch try source.state(of: name) {
    case .builtIn, .loaded: return false
    case .missing: throw KernelSkip(.module, "\(module) needs \(name), which is missing")
    case .available: break
    }
    let parameters = NeededModule.all.first { $0.name == name }?.parameters ?? ""
    do {
      try journal.make(.module(name), isAtomic: true) { try source.insert(name, parameters: parameters) }
      return true
    } catch let error as MachineError {
      // Another process was faster; then it is not ours to remove.
      if error.number == EEXIST { return false }
      if case .refused = error { throw KernelSkip(.module, "\(name) cannot be inserted: \(error)") }
      throw error
    }
  }

  /// The table of the needed modules.
  public func table() throws -> [(module: NeededModule, state: ModuleState)] {
    try NeededModule.all.map { ($0, try state(of: $0.name)) }
  }
}
