// SPDX-License-Identifier: GPL-2.0-only

/// One key of a format's configuration text.
public struct ConfigurationKey: Hashable, Sendable {
  /// What values a key takes.
  public enum Kind: Hashable, Sendable {
    /// A decimal number in a range.
    case number(ClosedRange<Int>)
    /// One of some words.
    case choice([String])
    /// Any of some words, joined by `+`; `none` for no word.
    case flags([String])
    /// A bitmap of sizes in bytes, in hexadecimal.
    case bitmap
  }

  /// The key as written.
  public let name: String
  /// The values it takes.
  public let kind: Kind
  /// The value when the key is left out, in canonical text.
  public let defaultValue: String
  /// A line of help: meaning and unit.
  public let summary: String
  /// What stands before the value in a slug, for example `ias` in `ias40`.
  public let slugPrefix: String
  /// Whether a slug shows the key even at its default.
  public let alwaysInSlug: Bool

  public init(
    _ name: String, _ kind: Kind, default defaultValue: String, _ summary: String,
    slugPrefix: String? = nil, alwaysInSlug: Bool = false
  ) {
    self.name = name
    self.kind = kind
    self.defaultValue = defaultValue
    self.summary = summary
    self.slugPrefix = slugPrefix ?? name
    self.alwaysInSlug = alwaysInSlug
  }

  /// What the key takes, for messages and help.
  public var expectation: String {
    switch kind {
    case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
    case .choice(let words): "one of \(words.joined(separator: ", "))"
    case .flags(let words): "any of \(words.joined(separator: ", ")) joined by '+', or none"
    case .bitmap: "a bitmap of sizes in hexadecimal"
    }
  }

  /// The canonical text of `value`, or nil when the key does not take it.
  func canonical(_ value: String) -> String? {
    switch kind {
    case .number(let range):
      guard let number = Numbers.parse(value), let exact = Int(exactly: number), range.contains(exact) else {
        return nil
      }
      return String(exact)
    case .choice(let words):
      return words.first { $0 == value.lowercased() }
    case .flags(let words):
      if value == "none" || value.isEmpty { return "none" }
      let chosen = value.split(separator: "+", omittingEmptySubsequences: false).map { String($0) }
      guard chosen.allSatisfy(words.contains) else { return nil }
      return words.filter(chosen.contains).joined(separator: "+")
    case .bitmap:
      return Numbers.parseSize(value).map(Numbers.hex)
    }
  }
}

/// A configuration text that is wrong, or a combination that is refused.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The errno with which Linux refuses the combination; `einval` for texts that do not parse.
  public let errno: LinuxErrno
  /// What is wrong and what is known.
  public let description: String

  public init(_ errno: LinuxErrno = .einval, _ description: String) {
    self.errno = errno
    self.description = description
  }
}

/// The keys that a format's configuration text may have.
public struct ConfigurationSchema: Hashable, Sendable {
  /// The format's name, as Linux names it.
  public let format: String
  /// Its keys, in the order of slugs and canonical text.
  public let keys: [ConfigurationKey]

  /// The key that lifts Linux's own refusals; every format has it.
  public static let buildKey = ConfigurationKey(
    "build", .choice(["linux", "permissive"]), default: "linux",
    "whether combinations that a Linux build refuses are refused", slugPrefix: "")

  public init(format: String, keys: [ConfigurationKey]) {
    self.format = format
    self.keys = keys
  }

  /// The configuration of a format from `key=value` pairs; keys left out take their defaults.
  ///
  /// - Parameter permissive: whether Linux's refusals are lifted, as golden files imply.
  /// - Throws: `ConfigurationError` for an unknown or repeated key or a value that the key does not take.
  public func configuration(_ pairs: [String], permissive: Bool = false) throws -> Configuration {
    var given: [String: String] = [:]
    let known = keys + [Self.buildKey]
    for pair in pairs {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else {
        throw ConfigurationError(.einval, "\(format): expected key=value, found '\(pair)'; \(knownKeys)")
      }
      guard let key = known.first(where: { $0.name == parts[0] }) else {
        throw ConfigurationError(
          .einval,
          "\(format): unknown key '\(parts[0])'\(Nearest.hint(parts[0], in: known.map(\.name))); \(knownKeys)"
        )
      }
      guard given[key.name] == nil else {
        throw ConfigurationError(.einval, "\(format): the key '\(key.name)' is given twice")
      }
      guard let value = key.canonical(parts[1]) else {
        throw ConfigurationError(
          .einval, "\(format): '\(key.name)' takes \(key.expectation), found '\(parts[1])'")
      }
      given[key.name] = value
    }
    let isPermissive = permissive || given[Self.buildKey.name] == "permissive"
    given[Self.buildKey.name] = nil
    return Configuration(schema: self, given: given, permissive: isPermissive)
  }

  /// The configuration in which every key has its default.
  public var standard: Configuration { Configuration(schema: self, given: [:], permissive: false) }

  private var knownKeys: String {
    "known keys are "
      + (keys + [Self.buildKey]).map { "\($0.name) (\($0.expectation))" }.joined(separator: "; ")
  }
}

/// A format with a value for each of its keys: what a page table is made from.
public struct Configuration: Hashable, Sendable, CustomStringConvertible {
  /// The keys and their meaning.
  public let schema: ConfigurationSchema
  /// Whether combinations that a Linux build refuses are allowed.
  public let permissive: Bool
  private let values: [String: String]

  fileprivate init(schema: ConfigurationSchema, given: [String: String], permissive: Bool) {
    self.schema = schema
    self.permissive = permissive
    values = Dictionary(
      uniqueKeysWithValues: schema.keys.map { ($0.name, given[$0.name] ?? $0.defaultValue) })
  }

  /// The format's name.
  public var format: String { schema.format }

  /// The canonical text of a key's value; empty when the format has no such key.
  public func text(_ key: String) -> String { values[key] ?? "" }

  /// The value of a key that takes a number; 0 when the format has no such key.
  public func number(_ key: String) -> Int { Int(text(key)) ?? 0 }

  /// The value of a key that takes a bitmap; 0 when the format has no such key.
  public func bitmap(_ key: String) -> UInt64 { Numbers.parse(text(key)) ?? 0 }

  /// The words of a key that takes flags.
  public func flags(_ key: String) -> Set<String> {
    let value = text(key)
    return value == "none" || value.isEmpty ? [] : Set(value.split(separator: "+").map(String.init))
  }

  /// The canonical text `format:key=value,…` with the keys that differ from their defaults.
  public var description: String {
    var pairs = changedKeys.map { "\($0.name)=\(text($0.name))" }
    if permissive { pairs.append("build=permissive") }
    return pairs.isEmpty ? format : "\(format):\(pairs.joined(separator: ","))"
  }

  /// The text with every key that has a value, for implementations with defaults of their own.
  public var completeText: String {
    let pairs = schema.keys.map { "\($0.name)=\(text($0.name))" }.filter { !$0.hasSuffix("=") }
    return "\(format):" + (pairs + (permissive ? ["build=permissive"] : [])).joined(separator: ",")
  }

  /// A name for test results: `[A-Za-z0-9_-]` words joined by dots, for example
  /// `armv8.s2.16k.ias40.oas44`; the same configuration has the same slug in every release.
  public var slug: String {
    var words = [format]
    for key in schema.keys where key.alwaysInSlug || text(key.name) != key.defaultValue {
      let value = text(key.name)
      words.append(key.slugPrefix + (value.isEmpty ? "none" : value.replacing("+", with: "-")))
    }
    return words.joined(separator: ".")
  }

  private var changedKeys: [ConfigurationKey] { schema.keys.filter { text($0.name) != $0.defaultValue } }
}
