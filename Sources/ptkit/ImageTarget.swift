// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import LibraryTarget
import PageTable
import ReferenceSpecs
import Selftests

/// The code of libraries and kernel trees in `ptkit image`. It runs in ptkit itself, which a crash of it ends, and gets
/// all requests as they are.
enum ImageTarget {
  /// An empty page table of a library's code.
  ///
  /// - Parameters:
  ///   - configuration: in the generic vocabulary.
  ///   - base: the physical address of table memory.
  static func table(_ target: TargetName, _ configuration: Configuration, base: UInt64) throws
    -> any SimulatedTarget
  {
    let library = try library(target, configuration)
    guard let calls = CallPage() else { throw InputError("no memory") }
    let factory = LibraryFactory(name: target.text, library, calls: calls, .embedded)
    var options = TargetOptions(physicalBase: base)
    options.isGuarded = false
    do {
      guard let table = try factory.make(configuration, options) as? any SimulatedTarget else {
        throw InputError("\(target.text) makes page tables without a log")
      }
      return table
    } catch {
      throw InputError("\(configuration) with table memory at \(Numbers.hex(base)): \(error)")
    }
  }

  private static func library(_ target: TargetName, _ configuration: Configuration) throws -> Library {
    do {
      switch target {
      case .library(let path, _): return try Library(path: path)
      case .kernel: throw TargetName.kernelIsForSelftests
      case .sim: break
      case .tree(let path):
        let tree = KernelTree(path: path, formats: configuration.format)
        for part in try tree.parts(seed: 0, callLimit: 20) {
          if let problem = part.problem { throw InputError(problem) }
          let library = try Library(path: part.library.path)
          if library.formats.contains(where: { $0.name == configuration.format }) { return library }
        }
      }
    } catch let error as LibraryError {
      throw InputError("\(error)")
    }
    throw InputError("\(target.text) has no \(configuration.format)")
  }
}
