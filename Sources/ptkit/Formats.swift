// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import PageTable
import Reference
import ReferenceSpecs

/// `ptkit formats`
struct Formats: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "formats",
    abstract: "List formats with their configuration keys, levels and leaf sizes.",
    discussion: """
      Without arguments, all formats, each with the levels and leaf sizes of its default configuration and \
      the configurations that the selftests run over. With configurations, those alone.

      Example: ptkit formats
      Example: ptkit formats --json riscv64:va=57 armv8:stage=2,granule=16k,ias=40,oas=44
      """)

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var added: AddedFormatOptions

  @Argument(help: ArgumentText.configuration)
  var configurations: [String] = []

  func run() throws {
    let library = try added.library()
    if configurations.isEmpty {
      let formats = try library.formats.map { try FormatDescription($0, library) }
      print(
        json
          ? JSON.object([("formats", .array(formats.map(\.json)))]).text : Self.join(formats.map(\.lines)))
    } else {
      let described = try configurations.map {
        try ConfigurationDescription(library.configuration($0), library)
      }
      print(
        json
          ? JSON.object([("configurations", .array(described.map(\.json)))]).text
          : Self.join(described.map(\.lines)))
    }
  }

  private static func join(_ paragraphs: [[String]]) -> String {
    paragraphs.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
  }
}

/// What there is to say about a format.
struct FormatDescription {
  private let entry: FormatEntry
  private let specification: FormatSpec
  private let defaults: ConfigurationDescription
  private let tests: [Configuration]

  init(_ entry: FormatEntry, _ library: SpecificationLibrary) throws {
    self.entry = entry
    specification = try library.specification(entry.name)
    defaults = try ConfigurationDescription(library.configuration(entry.name), library)
    tests = entry.testConfigurations
  }

  private var keys: [ConfigurationKey] { entry.schema.keys + [ConfigurationSchema.buildKey] }

  var lines: [String] {
    let width = keys.map(\.name.count).max() ?? 0
    let keyLines = keys.map { key in
      let name = key.name + String(repeating: " ", count: width - key.name.count)
      return "  \(name)  \(key.summary): \(key.expectation); default \(key.defaultValue)"
    }
    return ["\(entry.name): \(specification.title)", " keys:"] + keyLines + [" by default:"]
      + defaults.levelLines + [" tested:"] + tests.map { "  \($0)" }
  }

  var json: JSON {
    .object([
      ("name", .string(entry.name)),
      ("title", .string(specification.title)),
      ("keys", .array(keys.map(Self.json))),
      ("default", defaults.json),
      ("tested", .array(tests.map { .string($0.description) })),
    ])
  }

  private static func json(_ key: ConfigurationKey) -> JSON {
    .object([
      ("name", .string(key.name)),
      ("summary", .string(key.summary)),
      ("takes", .string(key.expectation)),
      ("default", .string(key.defaultValue)),
    ])
  }
}

/// The levels and leaf sizes of a configuration, as the reference has them.
struct ConfigurationDescription {
  private let configuration: Configuration
  private let format: ReferenceFormat

  init(_ configuration: Configuration, _ library: SpecificationLibrary) throws {
    self.configuration = configuration
    format = try library.format(configuration)
  }

  var lines: [String] { ["\(configuration) (\(configuration.slug))"] + levelLines }

  /// A line per level, the highest first.
  var levelLines: [String] {
    (0..<format.levelCount).reversed().map { level in
      let sizes = format.leafSizes(level: level).map(Numbers.size).joined(separator: " ")
      let isRoot = level == format.rootLevel
      return "  level \(level) (\(format.levelName(level) ?? "")): "
        + "\(format.wordCount(level: level, isRoot: isRoot)) words; "
        + "leaves \(sizes.isEmpty ? "none" : sizes)" + (isRoot ? "; starts here" : "")
    }
  }

  var json: JSON {
    .object([
      ("configuration", .string(configuration.description)),
      ("slug", .string(configuration.slug)),
      ("rootLevel", .integer(format.rootLevel)),
      ("outputBits", .integer(format.outputWidth)),
      ("levels", .array((0..<format.levelCount).map(json))),
    ])
  }

  private func json(level: Int) -> JSON {
    .object([
      ("level", .integer(level)),
      ("name", .string(format.levelName(level) ?? "")),
      ("words", .integer(format.wordCount(level: level, isRoot: level == format.rootLevel))),
      ("leafSizes", .array(format.leafSizes(level: level).map { .string(Numbers.hex($0)) })),
    ])
  }
}
