// SPDX-License-Identifier: GPL-2.0-only

import LibraryTarget
import PageTable

/// The code of libraries and kernel trees in `ptkit image`, in a process of its own.
struct ImageTarget {
  var target: TargetName
  var tree: KernelTreeOptions
  var added: AddedFormatOptions

  /// Runs operations on a new page table.
  ///
  /// - Throws: `InputError` where there is no such page table, `LibraryError` where the code crashed or hangs.
  func run(_ task: ImageTask) throws -> ImageReport {
    let report = try library(task.configuration.format).image(task)
    guard let refusal = report.refusal else { return report }
    throw InputError("\(task.configuration) with table memory at \(Numbers.hex(task.base)): \(refusal)")
  }

  private func library(_ format: String) throws -> Supervisor {
    let options = added.files.flatMap { ["--spec", $0] }
    switch target {
    case .sim: break
    case .kernel: throw TargetName.kernelIsForSelftests
    case .library(let path, _):
      var library = Supervisor(path: path, preload: nil, seed: 0, callLimit: tree.callLimit)
      library.options = options
      return library
    case .tree(let path):
      let built = KernelTree(
        path: path, formats: tree.formats ?? format, options: tree.buildOptions, processOptions: options)
      for part in try built.parts(seed: 0, callLimit: tree.callLimit) {
        if let problem = part.problem { throw InputError(problem) }
        if try part.library.describe().formats.contains(where: { $0.name == format }) { return part.library }
      }
    }
    throw InputError("\(target.text) has no \(format)")
  }
}
