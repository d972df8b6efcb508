// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import GenericPT
import LegacyPT
import LibraryTarget
import PageTable
import Reference
import ReferenceSpecs

/// `ptkit image`
struct Image: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image",
    abstract: "Run operations on a new page table; print their results and the table image.",
    discussion: """
      Each operation is one argument in the golden grammar: map IOVA PA LEN PROT, maprange, mappages, \
      unmap IOVA LEN, unmappages, phys IOVA, setdirty IOVA, dirty IOVA LEN keep|clear, allocbudget N. The \
      output is in that grammar, too; with --case it is a case that can be put into a golden file.

      Example: ptkit image amdv1 'map 0x0 0x1000 4K rw' 'phys 0x0' 'unmap 0x0 4K'
      Example: ptkit image --target ksrc:/usr/src/linux vtdss 'map 0x0 0x1000 4K rw' 'phys 0x0'
      Example: ptkit image --case first-page x86_64 'map 0x0 0x1000 4K rw'
      """)

  /// Whose code runs.
  enum Implementation: String, ExpressibleByArgument, CaseIterable {
    /// The generic algorithms, and their reading of the tables.
    case generic
    /// The generic algorithms, with the tables read by the reference.
    case reference
    /// The drivers' own code before the generic algorithms, and its reading of the tables.
    case legacy
  }

  @Argument(help: ArgumentText.configuration)
  var config: String

  @Option(
    help: """
      generic: the generic algorithms build the tables and read them; reference: the reference reads them; \
      legacy: the driver's own code of an older Linux builds and reads them (the configuration may be in \
      its words, with era=).
      """)
  var impl = Implementation.generic

  @Option(
    help: """
      Whose code runs instead: lib:FILE, a library, or ksrc:FOLDER, the page-table code of a Linux tree. It runs in a \
      process of its own; the reference reads the tables.
      """)
  var target = TargetName.sim

  @OptionGroup var tree: KernelTreeOptions

  @OptionGroup var added: AddedFormatOptions

  @Option(
    help: "The physical address at which table memory starts; 4G when left out.", transform: Arguments.size)
  var base: UInt64 = SimulationOptions().physicalBase

  @Option(help: ArgumentText.reclaim, transform: Arguments.reclaim)
  var reclaim = Reclaim.never

  @Option(name: .customLong("case"), help: "Print a golden case of this name.")
  var caseName: String?

  @Argument(help: "Operations, each one argument.")
  var operations: [String] = []

  func validate() throws {
    if target != .sim, impl != .generic || reclaim != .never {
      throw ValidationError("--target goes without --impl and --reclaim")
    }
    if target == .sim, !added.files.isEmpty {
      throw ValidationError("--spec is for --target lib: and ksrc:, which have the code to run")
    }
    if impl == .legacy, reclaim != .never {
      throw ValidationError("--reclaim is for the generic algorithms; drivers' own code has no such thing")
    }
    if let caseName, caseName.isEmpty || caseName.contains(where: { $0.isWhitespace || $0 == "#" }) {
      throw ValidationError("the name of a case is one word without '#', not '\(caseName)'")
    }
  }

  func run() throws {
    let configuration =
      try impl == .legacy
      ? LegacyVocabulary.configuration(config) : added.library().configuration(config)
    let operations = try operations.enumerated().map { number, text in
      do {
        return try Operation(text: text)
      } catch let error as GrammarError {
        throw InputError("operation \(number + 1), '\(text)': \(error)")
      }
    }
    let report = try report(ImageTask(configuration, base: base, caseName: caseName ?? "", operations))
    if caseName != nil { printContext(configuration, base: report.base) }
    for line in caseName == nil ? report.lines.dropFirst().dropLast() : report.lines[...] { print(line) }
  }

  private func report(_ task: ImageTask) throws -> ImageReport {
    guard target == .sim else { return try ImageTarget(target: target, tree: tree, added: added).run(task) }
    let table = try makeTable(task.configuration)
    defer { table.destroy() }
    var recorded = try GoldenCase(name: task.caseName, running: task.operations, on: table)
    if impl == .reference { recorded.image = try referenceImage(of: table) }
    return ImageReport(lines: GoldenWriter.lines(recorded), base: table.machine.physicalBase)
  }

  private func makeTable(_ configuration: Configuration) throws -> any SimulatedTarget {
    var options = SimulationOptions(physicalBase: base)
    options.reclaim = reclaim
    do {
      if impl == .legacy { return try LegacyList.simulate(configuration, options) }
      return try FormatList.simulate(configuration, options)
    } catch {
      throw InputError("\(configuration) with table memory at \(Numbers.hex(base)): \(error)")
    }
  }

  /// The lines that hold for a case, so that it means the same in any file; its source is the user's to state.
  private func printContext(_ configuration: Configuration, base: UInt64) {
    var section = GoldenSection()
    section.behaviour = impl == .legacy ? .legacy : .generic
    section.format = configuration.format
    section.pairs = configuration.schema.keys
      .filter { configuration.text($0.name) != $0.defaultValue || $0.name == "era" }
      .map { "\($0.name)=\(configuration.text($0.name))" }
    section.memoryBase = base
    for line in GoldenWriter.lines(context: section).dropFirst() { print(line) }
    print("")
  }

  private func referenceImage(of table: any SimulatedTarget) throws -> TableImage {
    let format = try SpecificationLibrary.embedded.format(table.configuration)
    return try format.image(roots: table.roots, memory: table.memory)
  }
}
