// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import LibraryTarget
import PageTable
import Reference
import Selftests

/// The tests of libraries.
enum LibraryTests {
  /// All tests of some formats.
  static func all(
    _ formats: [LibraryFormat], golden: GoldenSource?, _ specifications: SpecificationLibrary
  ) throws -> [Selftest] {
    formats.flatMap { format in
      Selftests.foreign(
        format: format.name, format.contract, configurations: format.configurations, golden: golden,
        library: specifications
      ) { format.choose($0, specifications) }
    }
  }

  /// The formats of the suite that none of some libraries has, each as a test that is skipped.
  static func missing(_ formats: [LibraryFormat]) -> [String] {
    let names = Set(formats.map(\.name))
    return FormatList.all.map(\.name).filter { !names.contains($0) }
  }
}

extension LibraryFormat {
  /// Whose contract its operations keep.
  fileprivate var contract: ForeignContract {
    switch behaviour {
    case .generic: .generic
    case .legacy: .driver
    case .own: .own
    }
  }

  /// Those of some configurations whose page tables can be asked for.
  fileprivate func choose(_ all: [Configuration], _ specifications: SpecificationLibrary) -> [Configuration] {
    switch behaviour {
    case .generic: return all
    case .own:
      // The ones that it names; all of an added format's, where it names none of them.
      let named = Set(configurations.compactMap { try? specifications.configuration($0).description })
      let known = all.filter { named.contains($0.description) }
      let takesAll = configurations.isEmpty || specifications.hasAdded(name) && known.isEmpty
      return takesAll ? all : known
    case .legacy:
      // What differs in features of the generic algorithms alone is the same to drivers.
      var seen: Set<String> = []
      return all.filter { configuration in
        guard let own = try? self.configurations(of: configuration).first else { return false }
        return seen.insert(own.description).inserted
      }
    }
  }
}
