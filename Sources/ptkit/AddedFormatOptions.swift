// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import Reference
import ReferenceSpecs
import Selftests

/// Formats that the kit was not compiled with, as options of several commands.
struct AddedFormatOptions: ParsableArguments {
  @Option(
    name: .customLong("spec"),
    help: "A specification file of a format that the kit was not compiled with; may be repeated.",
    completion: .file(extensions: ["yaml"]))
  var files: [String] = []

  /// The specifications of the kit and of the files.
  ///
  /// - Throws: `SpecError` with file, line and what was expected there.
  func library() throws -> SpecificationLibrary {
    var added: [FormatSpec] = []
    for file in files {
      let format = try ReferenceSpecs.parse(yaml: FileText.whole(file), file: file)
      guard !(ReferenceSpecs.formats + added.map(\.format)).contains(format.format) else {
        throw SpecError(
          file: file, line: 0, "there is a format '\(format.format)' already: give this one another name")
      }
      guard !format.tests.isEmpty else {
        throw SpecError(
          file: file, line: 0,
          "expected 'tests', the configurations that tests run over; [\"\"] for the default one")
      }
      added.append(format)
    }
    return added.isEmpty ? .embedded : SpecificationLibrary.embedded.adding(added)
  }
}

/// Golden vectors beside those of the kit, as an option.
struct GoldenOptions: ParsableArguments {
  @Option(
    name: .customLong("golden"),
    help: "Golden files, or folders of them, beside those of the kit; may be repeated.", completion: .file())
  var paths: [String] = []

  /// The golden files of some formats; nil where there are none.
  ///
  /// - Throws: `GoldenParseError` for a file of the options that does not parse.
  func source(formats: [String], _ library: SpecificationLibrary) throws -> GoldenSource? {
    let own = try GoldenPaths.expand(paths)
    for path in own { _ = try GoldenFile(contentsOf: path) }
    guard let home = GoldenFiles.home else {
      return own.isEmpty ? nil : GoldenSource(paths: own, divergences: Divergences(), library: library)
    }
    let known = try GoldenPaths.expand([home]).filter { path in
      path.hasPrefix("\(home)/linux/") || formats.contains { path.hasPrefix("\(home)/\($0)/") }
    }
    return GoldenSource(
      paths: known + own, divergences: try Divergences(contentsOf: "\(home)/DIVERGENCES.md"), library: library
    )
  }
}
