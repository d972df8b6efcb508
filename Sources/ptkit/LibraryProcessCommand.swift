// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import LibraryTarget
import ReferenceSpecs
import Selftests

/// `ptkit library-process`: what `--target lib:` starts to have a library apart from itself.
struct LibraryProcessCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "library-process", abstract: "Run tests of a library; used by ptkit itself.",
    shouldDisplay: false)

  @Flag(help: "Say what the library has.")
  var describe = false

  @Option(help: "The seed of random numbers.", transform: Arguments.word)
  var seed: UInt64 = 0x5eed

  @Flag(help: "Run comparisons, which standard input has.")
  var compare = false

  @Argument(help: "The library.")
  var path = ""

  func run() throws {
    if compare { return LibraryProcess.compare(.embedded) }
    guard !describe else { return LibraryProcess.describe(path: path) }
    try LibraryProcess.run(path: path, seed: seed, specifications: .embedded) { formats, names in
      let golden = names.contains { $0.hasPrefix("golden.") }
      return try LibraryTests.all(formats, withGolden: golden)
    }
  }
}

/// The tests of libraries.
enum LibraryTests {
  /// All tests of some formats.
  static func all(_ formats: [LibraryFormat], withGolden: Bool) throws -> [Selftest] {
    let golden = withGolden ? try GoldenFiles.source(formats: formats.map(\.name)) : nil
    return formats.flatMap { format in
      var tests = Selftests.foreign(
        format: format.name, configurations: format.configurations, golden: golden)
      // Comparisons know the differences of Linux's generic page table from other code, and of no other code; the
      // others state its rules, which drivers' own code never had.
      let foreign: Set<SelftestTheme> =
        switch format.behaviour {
        case .generic: []
        // Its contract says nothing of empty tables.
        case .own: [.compare, .iovaStress]
        case .legacy: [.compare, .walker, .semantics, .allocfail]
        }
      tests.removeAll { foreign.contains($0.theme) && !$0.name.hasSuffix(".laws") }
      guard FormatList.all.contains(where: { $0.name == format.name }) else { return tests }
      guard format.behaviour == .own, !format.configurations.isEmpty else { return tests }
      // The ones that it names; golden vectors are skipped where it refuses them.
      let known = Set(format.configurations.compactMap { try? FormatList.configuration($0).description })
      return tests.filter { $0.theme == .golden || known.contains($0.configuration) }
    }
  }
}

extension GoldenFiles {
  /// The golden files of some formats; nil where there are none.
  static func source(formats: [String]) throws -> GoldenSource? {
    guard let home else { return nil }
    let paths = try GoldenPaths.expand([home]).filter { path in
      path.hasPrefix("\(home)/linux/") || formats.contains { path.hasPrefix("\(home)/\($0)/") }
    }
    return GoldenSource(
      paths: paths, divergences: try Divergences(contentsOf: "\(home)/DIVERGENCES.md"), library: .embedded)
  }
}
