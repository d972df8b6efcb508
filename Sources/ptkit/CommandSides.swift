// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import LibraryTarget
import PageTable

/// A library as a side of comparisons.
private struct LibrarySide {
  var path: String
  var formats: [LibraryFormat]

  func sides(_ configuration: Configuration, source: String, stem: String) throws -> [ResolvedSide] {
    try formats.filter { $0.name == configuration.format }.flatMap { format in
      try format.sides(configuration, stem: stem) { _, _, _ in
        throw InputError("\(path) is loaded by other processes alone")
      }
    }.map { side in
      var side = side
      side.source = source
      side.library = path
      return side
    }
  }
}

/// A side as the command line names it.
private enum CommandSide {
  case kit(CompareSide)
  case libraries([LibrarySide], source: String, stem: String)

  var word: String {
    switch self {
    case .kit(let side): side.name.rawValue
    case .libraries(_, _, let stem): stem
    }
  }

  /// The sides that it stands for with a configuration in the generic vocabulary.
  ///
  /// - Throws: why there is none.
  func resolve(_ configuration: Configuration) throws -> [ResolvedSide] {
    switch self {
    case .kit(let side): return try side.resolve(configuration)
    case .libraries(let libraries, let source, let stem):
      let sides = try libraries.flatMap { try $0.sides(configuration, source: source, stem: stem) }
      guard !sides.isEmpty else {
        throw ConfigurationError(.einval, "\(source) has no format \(configuration.format)")
      }
      return sides
    }
  }

  /// The test configurations of its formats; nil for all.
  var testConfigurations: [Configuration]? {
    guard case .libraries(let libraries, _, _) = self else { return nil }
    return FormatList.all.flatMap { entry -> [Configuration] in
      let formats = libraries.flatMap(\.formats).filter { $0.name == entry.name }
      let named = formats.filter { $0.behaviour == .own && !$0.configurations.isEmpty }
      guard formats.count == named.count else { return entry.testConfigurations }
      // One that is neither Linux's generic page table nor drivers' own code says what it has.
      let known = named.flatMap(\.configurations).compactMap { try? FormatList.configuration($0) }
      return entry.testConfigurations.filter(known.contains)
    }
  }
}

/// The sides of a run of `ptkit compare`.
struct CommandSides {
  private let left: CommandSide
  private let rights: [CommandSide]
  /// What keeps libraries from being compared, by the names of results.
  private(set) var problems: [(name: String, details: [String])] = []
  /// What is said of the run.
  private(set) var notes: [String] = []
  /// What processes with the libraries must preload; nil for nothing.
  private(set) var preload: String?

  /// Builds what has to be built, and asks libraries what they have.
  ///
  /// - Throws: `GrammarError`, and `InputError` for a tree that is none.
  init(left: String, right: [String], _ options: KernelTreeOptions) throws {
    var loader = Loader(options: options)
    self.left = try loader.side(left)
    let isLibrary = if case .libraries = self.left { true } else { false }
    let names = right.isEmpty ? [isLibrary ? "reference" : "legacy"] : right
    rights = try names.map { try loader.side($0) }
    problems = loader.problems
    notes = loader.notes
    preload = loader.preloads.isEmpty ? nil : loader.preloads.joined(separator: ":")
  }

  /// Whether any side is a library.
  var hasLibraries: Bool {
    ([left] + rights).contains { if case .libraries = $0 { true } else { false } }
  }

  /// All configurations that tests of the sides run over.
  var testConfigurations: [Configuration] {
    let lists = ([left] + rights).compactMap(\.testConfigurations)
    return FormatList.all.flatMap(\.testConfigurations).filter { each in
      lists.allSatisfy { $0.contains(each) }
    }
  }

  /// The points of configurations.
  func plan(_ configurations: [Configuration], _ modes: [CompareMode]) -> ComparePlan {
    var plan = ComparePlan()
    for configuration in configurations {
      for right in rights {
        do {
          let (lefts, rights) = try pair(configuration, right)
          plan.add(configuration, left: lefts, right: rights, modes: modes)
        } catch {
          plan.addGap(configuration, gapWord(right), reason: "\(error)")
        }
      }
    }
    return plan
  }

  private func gapWord(_ right: CommandSide) -> String {
    left.word == "generic" ? right.word : "\(left.word)-\(right.word)"
  }

  /// Rules say how drivers' own code differs from the generic code, which therefore stands on the left.
  private func pair(_ configuration: Configuration, _ right: CommandSide) throws -> (
    [ResolvedSide], [ResolvedSide]
  ) {
    let lefts = try left.resolve(configuration)
    let rights = try right.resolve(configuration)
    guard lefts.contains(where: { $0.library != nil && $0.isLegacy }) else { return (lefts, rights) }
    if case .kit(let side) = right, side.name != .legacy, side.pairs.isEmpty {
      return ([.generic(configuration)], lefts)
    }
    if rights.allSatisfy({ !$0.isLegacy }), case .libraries = right { return (rights, lefts) }
    throw ConfigurationError(
      .einval,
      "both sides are drivers' own code of \(configuration.format); compare each of them with generic")
  }
}

extension ResolvedSide {
  fileprivate var isLegacy: Bool { if case .legacy = kind { true } else { false } }
}

/// Reads names of sides, and loads libraries once each.
private struct Loader {
  let options: KernelTreeOptions
  var problems: [(name: String, details: [String])] = []
  var notes: [String] = []
  var preloads: [String] = []
  private var known: [String: CommandSide] = [:]

  init(options: KernelTreeOptions) { self.options = options }

  mutating func side(_ text: String) throws -> CommandSide {
    if let side = known[text] { return side }
    let words = text.split(separator: ":", maxSplits: 1).map(String.init)
    let side: CommandSide
    switch words.first {
    case "lib" where words.count == 2:
      let library = Supervisor(path: words[1], preload: nil, seed: 0)
      if let preload = library.preload, !preloads.contains(preload) { preloads.append(preload) }
      side = .libraries(describe(library, "lib").map { [$0] } ?? [], source: text, stem: "lib")
    case "ksrc" where words.count == 2:
      side = .libraries(try tree(words[1]), source: text, stem: "ksrc")
    default:
      side = .kit(try CompareSide(text: text))
    }
    known[text] = side
    return side
  }

  private mutating func tree(_ path: String) throws -> [LibrarySide] {
    let tree = KernelTree(path: path, formats: options.formats, options: options.buildOptions)
    if let options = options.buildOptions { notes.append("\(path) is built with \(options)") }
    return try tree.parts(seed: 0, callLimit: 20).compactMap { part in
      if let preload = part.library.preload, !preloads.contains(preload) { preloads.append(preload) }
      guard let problem = part.problem else { return describe(part.library, part.prefix) }
      fail(part.prefix, [problem])
      return nil
    }
  }

  private mutating func describe(_ library: Supervisor, _ prefix: String) -> LibrarySide? {
    do {
      let (name, formats) = try library.describe()
      let words = formats.map { "\($0.name) (\($0.behaviour.rawValue)\($0.era.isEmpty ? "" : " \($0.era)"))" }
      notes.append("\(name): \(words.joined(separator: ", "))")
      return LibrarySide(path: library.path, formats: formats)
    } catch {
      fail(prefix, ["\(error)"])
      return nil
    }
  }

  private mutating func fail(_ prefix: String, _ details: [String]) {
    let number = problems.count { $0.name.hasPrefix("compare.\(prefix).load") }
    problems.append((name: "compare.\(prefix).load" + (number > 0 ? "\(number + 1)" : ""), details: details))
  }
}
