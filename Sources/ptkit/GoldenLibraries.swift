// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import LibraryTarget
import Reference

/// Libraries as what golden vectors bind.
struct GoldenLibraries {
  private let parts: [(supervisor: GoldenSupervisor, formats: [LibraryFormat])]
  /// The one configuration to check; nil for all.
  private let configuration: String?
  /// What keeps libraries from being checked, by the names of results.
  private(set) var problems: [(name: String, details: [String])] = []

  /// The kit's specifications, and those of added formats.
  private let specifications: SpecificationLibrary

  /// - Parameter divergences: the table of known ones; nil for none.
  init(
    _ target: TargetName, _ tree: KernelTreeOptions, _ added: AddedFormatOptions, files: [String],
    divergences: String?
  ) throws {
    var libraries: [LibraryPart] = []
    let options = added.files.flatMap { ["--spec", $0] }
    specifications = try added.library()
    switch target {
    case .sim: configuration = nil
    case .kernel: throw TargetName.kernelIsForSelftests
    case .library(let path, let configuration):
      var library = Supervisor(path: path, preload: nil, seed: 0, callLimit: tree.callLimit)
      library.options = options
      libraries = [LibraryPart(library)]
      self.configuration = configuration.map { (try? FormatList.configuration($0).description) ?? $0 }
    case .tree(let path):
      let built = KernelTree(
        path: path, formats: tree.formats, options: tree.buildOptions, processOptions: options)
      libraries = try built.parts(seed: 0, callLimit: tree.callLimit)
      configuration = nil
    }
    var parts: [(GoldenSupervisor, [LibraryFormat])] = []
    for part in libraries {
      do {
        if let problem = part.problem { throw InputError(problem) }
        let supervisor = GoldenSupervisor(library: part.library, files: files, divergences: divergences)
        parts.append((supervisor, try part.library.describe().formats))
      } catch {
        problems.append((name: part.name("load"), details: ["\(error)"]))
      }
    }
    self.parts = parts
  }

  /// Checks what binds any of them; the rest is skipped.
  func check(_ plan: GoldenPlan) -> (GoldenGroup) -> GoldenGroupReport {
    var reports: [String: GoldenItemReport] = [:]
    for part in parts {
      let items = plan.groups.filter(isWanted).flatMap(\.items).filter { item in
        reports[item.name] == nil && part.formats.contains { $0.isBound(by: item, specifications) }
      }
      part.supervisor.run(items.map { ($0.name, $0.location) }) { reports[$0.name] = $0 }
    }
    return { group in
      let items = group.items.map { item in
        reports[item.name]
          ?? GoldenItemReport(name: item.name, location: item.location, outcome: .skip(.notBound))
      }
      return GoldenGroupReport(name: group.name, items: items)
    }
  }

  private func isWanted(_ group: GoldenGroup) -> Bool {
    guard let configuration else { return true }
    return (try? group.configuration.get().description) == configuration
  }
}
