// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import LibraryTarget
import Reference
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

  @Option(help: "Time map and unmap of configurations, in this many rounds.")
  var bench: Int?

  @Option(help: "A further library to time.")
  var beside: [String] = []

  @Flag(help: "Run operations, which standard input has, and say what they leave behind.")
  var image = false

  @Flag(help: "Run comparisons, which standard input has.")
  var compare = false

  @OptionGroup
  var formats: AddedFormatOptions

  @OptionGroup
  var vectors: GoldenOptions

  @Flag(help: "Check golden vectors, which standard input has.")
  var checkVectors = false

  @Argument(help: "The library.")
  var path = ""

  func run() throws {
    if checkVectors { return try LibraryProcess.golden(try formats.library()) }
    if compare { return LibraryProcess.compare(.embedded) }
    if let rounds = bench { return TargetBench.answer(paths: [path] + beside, rounds: rounds) }
    guard !describe else { return LibraryProcess.describe(path: path) }
    let specifications = try formats.library()
    if image { return LibraryProcess.image(path: path, specifications: specifications) }
    try LibraryProcess.run(path: path, seed: seed, specifications: specifications) { formats, names in
      let golden = names.contains { $0.hasPrefix("golden.") }
      return try LibraryTests.all(
        formats, golden: golden ? vectors.source(formats: formats.map(\.name), specifications) : nil,
        specifications)
    }
  }
}
