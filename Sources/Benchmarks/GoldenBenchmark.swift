// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import Reference

/// How fast golden vectors are checked.
public struct GoldenRow: Hashable, Sendable, Codable {
  /// Entries and cases checked.
  public var vectors: Int
  /// Seconds for all, reading the files included.
  public var seconds: Double

  /// Vectors in a second.
  public var rate: Double { Double(vectors) / seconds }
}

/// Times the golden check.
public enum GoldenBenchmark {
  /// Checks every golden file below some paths once.
  ///
  /// - Throws: `GoldenParseError` for a path that is not there.
  public static func run(paths: [String], library: SpecificationLibrary) throws -> GoldenRow {
    let files = try GoldenPaths.expand(paths)
    let environment = GoldenEnvironment.kit(library)
    var vectors = 0
    let duration = measure {
      var plan = GoldenPlan()
      for file in files { plan.add(path: file, environment: environment) }
      vectors = GoldenChecker(environment: environment).check(plan).reduce(0) { $0 + $1.items.count }
    }
    return GoldenRow(vectors: vectors, seconds: duration.nanoseconds / 1e9)
  }
}
