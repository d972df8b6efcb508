// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// All tests.
public enum Selftests {
  /// The tests, in the order in which they run; the golden files' come first.
  ///
  /// - Parameter golden: the golden files; nil leaves their tests out.
  public static func all(golden: GoldenSource? = nil) -> [Selftest] {
    let configurations = FormatList.all.flatMap(\.testConfigurations)
    return (golden.map(GoldenTests.tests) ?? [])
      + configurations.flatMap(RoundTripTests.tests)
      + configurations.flatMap(WalkerTests.tests)
      + SemanticsTests.tests(configurations)
      + configurations.flatMap(EventTests.tests)
      + configurations.flatMap(GatherTests.tests)
      + configurations.flatMap(AllocationFailureTests.tests)
      + CompareTests.tests(configurations)
      + configurations.flatMap(ConcurrencyTests.tests)
      + IOVAStressTests.tests(configurations)
  }

  /// What stands for the golden files' tests where there are none.
  public static let missingGolden = Selftest(name: "golden.files", .golden, configuration: "") { _ in
    .skip(.goldenFiles, detail: "no folder Golden found: set PTKIT_GOLDEN to run its tests")
  }

  /// The tests that `patterns` name, in the order of `tests`; all when there is no pattern.
  ///
  /// A pattern is a name, a name's first words (`walker`, `walker.armv8`), or a glob with `*` and `?`.
  ///
  /// - Throws: `SelectionError` for a pattern that names no test.
  public static func select(_ patterns: [String], from tests: [Selftest]) throws -> [Selftest] {
    let chosen = Set(try select(patterns, from: tests.map(\.name)))
    return tests.filter { chosen.contains($0.name) }
  }

  /// The names that `patterns` mean, as above.
  public static func select(_ patterns: [String], from names: [String]) throws -> [String] {
    guard !patterns.isEmpty else { return names }
    for pattern in patterns where !names.contains(where: { matches($0, pattern) }) {
      throw SelectionError(pattern: pattern, known: names)
    }
    return names.filter { name in patterns.contains { matches(name, $0) } }
  }

  private static func matches(_ name: String, _ pattern: String) -> Bool {
    name == pattern || name.hasPrefix(pattern + ".")
      || pattern.contains(where: { "*?".contains($0) }) && globs(name[...], pattern[...])
  }

  /// Whether a glob matches all of a text; what the last `*` takes grows until the rest fits.
  private static func globs(_ text: Substring, _ pattern: Substring) -> Bool {
    var text = text
    var pattern = pattern
    var retry: (text: Substring, pattern: Substring)?
    while let first = text.first {
      if pattern.first == "*" {
        pattern = pattern.dropFirst()
        retry = (text, pattern)
      } else if let wanted = pattern.first, wanted == "?" || wanted == first {
        text = text.dropFirst()
        pattern = pattern.dropFirst()
      } else if let last = retry {
        text = last.text.dropFirst()
        pattern = last.pattern
        retry = (text, pattern)
      } else {
        return false
      }
    }
    return pattern.allSatisfy { $0 == "*" }
  }
}

/// A pattern that names no test.
public struct SelectionError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(pattern: String, known: [String]) {
    // The words that names begin with can be meant, too.
    var candidates: [String] = []
    var seen: Set<String> = []
    for name in known {
      var prefix = ""
      for word in name.split(separator: ".") {
        prefix += (prefix.isEmpty ? "" : ".") + word
        if seen.insert(prefix).inserted { candidates.append(prefix) }
      }
    }
    let depth = pattern.split(separator: ".").count
    let alike = candidates.filter { $0.split(separator: ".").count <= depth + 1 }
    description = "no test '\(pattern)'\(Nearest.hint(pattern, in: alike))"
  }
}
