// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import TAP

/// One case or entry with everything that holds for it.
public struct GoldenItem: Sendable {
  /// What is checked.
  public enum Content: Hashable, Sendable {
    case entry(GoldenEntry)
    case `case`(GoldenCase)
  }

  /// The name in test results, unique within a plan.
  public var name: String
  /// The path of its file.
  public var path: String
  /// Provenance and configuration; without items.
  public var context: GoldenSection
  public var content: Content

  /// The case's name, or what stands for it in an entry.
  public var title: String {
    switch content {
    case .case(let item): item.name
    case .entry(let item): item.title
    }
  }

  /// `FILE:LINE` of the item.
  public var location: String {
    switch content {
    case .case(let item): "\(path):\(item.lines.lowerBound)"
    case .entry(let item): "\(path):\(item.line)"
    }
  }
}

extension GoldenEntry {
  /// A name made from what is encoded, so that it stays when lines move.
  public var title: String {
    switch kind {
    case .table(let level, let address):
      return "entry-table-level\(level)-pa\(Numbers.hex(address))"
    case .leaf(let leaf):
      var words = [
        "entry-leaf-level\(leaf.level)", "pa\(Numbers.hex(leaf.address))", Numbers.size(leaf.size),
        leaf.protection.text.replacing(",", with: "-"),
      ]
      if let dirty = leaf.dirty { words.append(dirty ? "dirty" : "clean") }
      if let accessed = leaf.accessed { words.append(accessed ? "accessed" : "unaccessed") }
      return words.joined(separator: "-")
    }
  }
}

/// All items of one file and one configuration: one point of `make check`.
public struct GoldenGroup: Sendable {
  /// `golden.FILE.CONFIGURATION`, unique within a plan.
  public var name: String
  /// The file's name without folder and suffix.
  public var stem: String
  /// The configuration as the file has it.
  public var configurationText: String
  /// The configuration of the implementation under test and the reference, or why it cannot be made.
  public var configuration: Result<Configuration, GoldenConfigurationProblem>
  /// The configuration of the drivers' own code, or why it cannot be made; nil when the vectors do not show it.
  public var legacyConfiguration: Result<Configuration, GoldenConfigurationProblem>?
  /// The items in the order of the file.
  public var items: [GoldenItem]
}

/// Why a configuration of a golden file cannot be made.
public struct GoldenConfigurationProblem: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String

  init(_ error: any Error) { description = "\(error)" }
}

/// What a run will check, known before anything is checked, so that test results can begin with a plan.
public struct GoldenPlan: Sendable {
  /// A file that does not parse; nothing in it counts.
  public struct Failure: Hashable, Sendable {
    /// The name in test results.
    public var name: String
    public var error: GoldenParseError
  }

  public private(set) var groups: [GoldenGroup] = []
  public private(set) var failures: [Failure] = []
  private var names = GoldenNames()

  public init() {}

  /// How many items there are.
  public var itemCount: Int { groups.reduce(0) { $0 + $1.items.count } }

  /// Adds the file at `path`; one that cannot be read or parsed becomes a failure.
  public mutating func add(path: String, environment: GoldenEnvironment) {
    do {
      add(try GoldenFile(contentsOf: path), environment: environment)
    } catch let error as GoldenParseError {
      addFailure(error)
    } catch {
      addFailure(GoldenParseError(path: path, line: 0, message: "\(error)"))
    }
  }

  /// Adds a file that does not parse.
  public mutating func addFailure(_ error: GoldenParseError) {
    let name = names.unique("golden.\(TAPName.word(GoldenNames.stem(error.path)))", path: error.path)
    failures.append(Failure(name: name, error: error))
  }

  /// Adds the items of a file, grouped by configuration in the order in which those first occur.
  public mutating func add(_ file: GoldenFile, environment: GoldenEnvironment) {
    let stem = GoldenNames.stem(file.path)
    var positions: [String: Int] = [:]
    for section in file.sections {
      let legacy = environment.legacy.flatMap { section.isModelled(by: $0) ? $0 : nil }
      let legacyConfiguration = legacy.map { legacy in
        Result { try legacy.configuration(section.format, section.legacyPairs) }.mapError(
          GoldenConfigurationProblem.init)
      }
      let configuration = Result { () throws -> Configuration in
        if let legacy, let known = try? legacyConfiguration?.get() {
          guard let counterpart = legacy.counterpart(known) else {
            throw ConfigurationError(.einval, "drivers' own code alone has this configuration")
          }
          return counterpart
        }
        return try environment.configuration(section.format, section.pairs)
      }.mapError(GoldenConfigurationProblem.init)
      let slug = Self.slug(section, legacyConfiguration ?? configuration)
      let position: Int
      if let known = positions[slug] {
        position = known
      } else {
        position = groups.count
        positions[slug] = position
        groups.append(
          GoldenGroup(
            name: names.unique("golden.\(TAPName.word(stem)).\(slug)", path: file.path), stem: stem,
            configurationText: section.configurationText, configuration: configuration,
            legacyConfiguration: legacyConfiguration, items: []))
      }
      append(section, to: position, path: file.path)
    }
  }

  private mutating func append(_ section: GoldenSection, to position: Int, path: String) {
    var context = section
    context.entries = []
    context.cases = []
    let contents =
      section.entries.map { GoldenItem.Content.entry($0) } + section.cases.map { GoldenItem.Content.case($0) }
    for content in contents {
      var item = GoldenItem(name: "", path: path, context: context, content: content)
      item.name = names.unique("\(groups[position].name).\(TAPName.word(item.title))", path: path)
      groups[position].items.append(item)
    }
  }

  /// The configuration's slug, or one made of the words in the file where no configuration can be made;
  /// then the era.
  private static func slug(
    _ section: GoldenSection, _ configuration: Result<Configuration, GoldenConfigurationProblem>
  ) -> String {
    var words: [String]
    switch configuration {
    case .success(let configuration): words = configuration.slug.split(separator: ".").map(String.init)
    case .failure:
      words = [section.format] + section.pairs.map { $0.replacing("=", with: "-") }
    }
    if let era = section.era, words.last != "era\(era)" { words.append("era\(era)") }
    return words.map(TAPName.word).joined(separator: ".")
  }
}
