// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import LegacyPT
import PageTable
import Reference
import Simulator

/// Makes empty page tables of one side; `physicalBase` is where table memory starts, `reserve` its most bytes.
public typealias TargetMaker =
  @Sendable (_ physicalBase: UInt64, _ reserve: UInt64) throws -> any SimulatedTarget

/// One side of a comparison, for one configuration.
public struct ResolvedSide: Sendable {
  /// What stands on it.
  public enum Kind: Hashable, Sendable {
    /// The generic algorithms, with a configuration of their own.
    case generic(Configuration)
    /// A driver's own code, with a configuration in its words.
    case legacy(Configuration)
    /// The model of what is mapped, and the reference's encoder.
    case reference
  }

  public var kind: Kind
  /// Its word in names of results, for example `legacy-612`.
  public var word: String
  /// Makes its page tables; nil for the reference, which has none.
  public var make: TargetMaker?
  /// As the command line names it, for example `lib:FILE`; nil for the kit's own sides.
  public var source: String?
  /// The file of the library that stands on it; nil for none.
  public var library: String?
  /// Whether errors must be those that the model predicts; else any error will do for any other.
  public var bindsErrors = true

  public init(_ kind: Kind, word: String, make: TargetMaker?) {
    self.kind = kind
    self.word = word
    self.make = make
  }

  /// The generic algorithms.
  public static func generic(_ configuration: Configuration, word: String = "generic") -> ResolvedSide {
    ResolvedSide(.generic(configuration), word: word) { base, reserve in
      try FormatList.simulate(configuration, options(base, reserve))
    }
  }

  /// A driver's own code.
  public static func legacy(_ configuration: Configuration, word: String = "legacy") -> ResolvedSide {
    ResolvedSide(.legacy(configuration), word: word) { base, reserve in
      try LegacyList.simulate(configuration, options(base, reserve))
    }
  }

  /// The model and the reference's encoder.
  public static let reference = ResolvedSide(.reference, word: "reference", make: nil)

  private static func options(_ base: UInt64, _ reserve: UInt64) -> SimulationOptions {
    var options = SimulationOptions(physicalBase: base)
    options.reserve = reserve
    return options
  }

  /// Whether flushes, syncs, releases and caches are checked: drivers' own code is here for its results and words; when
  /// it releases tables before it invalidates is Linux's history, and its own tests look at it.
  var checksLifeCycle: Bool { if case .legacy = kind { false } else { true } }

  /// The side's own configuration; nil for the reference.
  public var configuration: Configuration? {
    switch kind {
    case .generic(let configuration), .legacy(let configuration): configuration
    case .reference: nil
    }
  }
}

/// A side as the command line names it: `generic`, `generic:key=value,…`, `legacy`, `legacy:key=value,…`, `reference`.
public struct CompareSide: Hashable, Sendable, CustomStringConvertible {
  /// The word before the colon.
  public enum Name: String, CaseIterable, Sendable {
    case generic
    case legacy
    case reference
  }

  public var name: Name
  /// The changes of the configuration, `key=value` each; of `legacy`, what its configurations must say.
  public var pairs: [String]

  public init(_ name: Name, pairs: [String] = []) {
    self.name = name
    self.pairs = pairs
  }

  /// Reads a side.
  ///
  /// - Throws: `GrammarError` that says what was expected.
  public init(text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
    guard let name = Name(rawValue: parts[0]) else {
      let names = Name.allCases.map(\.rawValue)
      throw GrammarError(
        "expected a side (\(names.joined(separator: ", "))), found '\(parts[0])'"
          + Nearest.hint(parts[0], in: names))
    }
    self.name = name
    pairs = parts.count > 1 ? parts[1].split(separator: ",").map { String($0) } : []
    if parts.count > 1, name == .reference || pairs.isEmpty || !pairs.allSatisfy({ $0.contains("=") }) {
      throw GrammarError(
        name == .reference
          ? "the side 'reference' takes no configuration"
          : "expected key=value,… behind '\(parts[0]):', found '\(parts[1])'")
    }
  }

  public var description: String {
    pairs.isEmpty ? name.rawValue : "\(name.rawValue):\(pairs.joined(separator: ","))"
  }

  /// The sides that it stands for with a configuration in the generic vocabulary: one, or one for each driver and era.
  ///
  /// - Throws: `ConfigurationError` that says why there is none.
  public func resolve(_ configuration: Configuration) throws -> [ResolvedSide] {
    switch name {
    case .reference: return [.reference]
    case .generic:
      guard !pairs.isEmpty else { return [.generic(configuration)] }
      let changed = try Self.changed(configuration, pairs)
      let word = pairs.map { $0.replacing("=", with: "").replacing("+", with: "-") }.joined(separator: "-")
      return [.generic(changed, word: "generic-\(word)")]
    case .legacy:
      let all = try LegacyVocabulary.legacy(of: configuration)
      let chosen = all.filter { candidate in
        pairs.allSatisfy { pair in
          let parts = pair.split(separator: "=", maxSplits: 1).map { String($0) }
          return parts.count == 2 && candidate.text(parts[0]) == parts[1]
        }
      }
      guard !chosen.isEmpty else {
        throw ConfigurationError(
          .einval, "\(configuration) has no legacy code with \(pairs.joined(separator: ","))")
      }
      return chosen.map { .legacy($0, word: Self.word($0, among: all)) }
    }
  }

  private static func changed(_ configuration: Configuration, _ pairs: [String]) throws -> Configuration {
    let keys = Set(pairs.map { $0.split(separator: "=", maxSplits: 1)[0] })
    let kept = configuration.schema.keys.map(\.name).filter { !keys.contains($0[...]) }
      .map { "\($0)=\(configuration.text($0))" }
    let changed = try configuration.schema.configuration(kept + pairs, permissive: configuration.permissive)
    return try FormatList.configuration("\(changed)")
  }

  /// `legacy` and what tells a configuration from the others: its driver and its era, where there are several.
  private static func word(_ configuration: Configuration, among all: [Configuration]) -> String {
    var words = ["legacy"]
    for key in ["use", "era"] where Set(all.map { $0.text(key) }).count > 1 {
      words.append(configuration.text(key).replacing(".", with: ""))
    }
    return words.joined(separator: "-")
  }
}
