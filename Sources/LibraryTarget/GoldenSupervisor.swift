// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// Checks golden vectors on a library, in processes of their own: when one crashes or hangs, the vector at hand has
/// failed, and the next process goes on with those that are left.
public struct GoldenSupervisor: Sendable {
  /// The library.
  public var library: Supervisor
  /// The golden files of the run.
  public var files: [String]
  /// The table of known divergences; nil for none.
  public var divergences: String?

  public init(library: Supervisor, files: [String], divergences: String?) {
    self.library = library
    self.files = files
    self.divergences = divergences
  }

  /// Checks items of the files' plan, in its order, and reports each.
  ///
  /// - Parameter items: their names and places.
  public func run(_ items: [(name: String, location: String)], report: (GoldenItemReport) -> Void) {
    let watch = Watch(preload: library.preload, callLimit: library.callLimit, testLimit: library.testLimit)
    let settings =
      [["library", library.path]] + (divergences.map { [["divergences", $0]] } ?? [])
      + files.map { ["file", $0] }
    var left = items[...]
    while !left.isEmpty {
      var refusal: String?
      var problem: [String]
      do {
        let input = settings + left.map { ["item", $0.name] }
        let end = try watch.run(
          ["library-process", "--check-vectors"] + library.options, input.map(Fields.line)
        ) { fields in
          if fields.first == "refused" { refusal = fields.dropFirst().joined(separator: " ") }
          guard let result = GoldenItemReport(fields), result.name == left.first?.name else { return }
          left = left.dropFirst()
          report(result)
        }
        problem = end.map { [$0.problem] + $0.details } ?? ["the process of the library left this vector out"]
      } catch {
        problem = ["\(error)"]
      }
      if let refusal {
        problem = [refusal]
        for item in left.dropFirst() { report(Self.failure(item, problem)) }
        left = left.prefix(1)
      }
      guard let item = left.popFirst() else { return }
      report(Self.failure(item, problem))
    }
  }

  private static func failure(_ item: (name: String, location: String), _ problem: [String])
    -> GoldenItemReport
  {
    GoldenItemReport(name: item.name, location: item.location, outcome: .fail, details: problem)
  }
}

extension GoldenItemReport {
  var fields: [String] {
    let words: [String] =
      switch outcome {
      case .pass: ["pass", ""]
      case .fail: ["fail", ""]
      case .skip(let reason): ["skip", reason.rawValue]
      case .xfail(let reason): ["xfail", reason]
      }
    let rows = appliedDivergences.sorted().map { "\($0)" }.joined(separator: ",")
    return ["item", name, location] + words + [bindsBoth ? "both" : "", rows] + details
  }

  /// Reads a record; nil for what is none.
  init?(_ fields: [String]) {
    guard fields.count >= 7, fields[0] == "item" else { return nil }
    let outcome: GoldenOutcome
    switch fields[3] {
    case "pass": outcome = .pass
    case "skip": outcome = .skip(GoldenSkip(rawValue: fields[4]) ?? .notBound)
    case "xfail": outcome = .xfail(fields[4])
    default: outcome = .fail
    }
    self.init(
      name: fields[1], location: fields[2], outcome: outcome, details: Array(fields.dropFirst(7)),
      appliedDivergences: Set(fields[6].split(separator: ",").compactMap { Int($0) }))
    bindsBoth = fields[5] == "both"
  }
}
