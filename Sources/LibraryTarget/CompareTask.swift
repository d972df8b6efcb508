// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import LegacyPT
import PageTable

/// A point of a comparison as the process that has its libraries gets it: all of it is text.
public struct CompareTask: Sendable {
  /// The point; its sides of libraries make no page tables here.
  public var point: ComparePoint
  /// Run these instead of any others.
  public var operations: [Operation]?
  public var budget: CompareBudget
  /// Which of how many parts of the random operations.
  public var part: (number: Int, of: Int)

  public init(
    _ point: ComparePoint, operations: [Operation]? = nil, budget: CompareBudget,
    part: (number: Int, of: Int) = (0, 1)
  ) {
    self.point = point
    self.operations = operations
    self.budget = budget
    self.part = part
  }

  /// A line of text.
  var line: String {
    let list = operations.map { $0.map(\.description).joined(separator: "; ") }
    let numbers = [budget.operations, budget.depth, part.number, part.of].map { "\($0)" }
    return Fields.line(
      ["\(point.configuration)", point.mode.rawValue, list == nil ? "" : "list", list ?? ""]
        + ["\(budget.seed)", budget.seconds.map { "\($0)" } ?? ""] + numbers + Self.fields(point.left)
        + Self.fields(point.right))
  }

  private static let sideFields = 5

  private static func fields(_ side: ResolvedSide) -> [String] {
    let kind =
      switch side.kind {
      case .generic: "generic"
      case .legacy: "legacy"
      case .reference: "reference"
      }
    return [kind, side.configuration.map { "\($0)" } ?? "", side.word, side.source ?? "", side.library ?? ""]
  }

  /// Reads a line.
  ///
  /// - Parameter library: the sides that a library serves, by its file and their configuration.
  /// - Throws: what keeps sides from being made.
  init(_ line: String, library: (_ path: String, _ configuration: Configuration) throws -> [ResolvedSide])
    throws
  {
    let fields = Fields.read(line.utf8)
    guard fields.count == 10 + 2 * Self.sideFields, let mode = CompareMode(rawValue: fields[1]) else {
      throw LibraryError("this is no point of a comparison: \(line)")
    }
    let configuration = try FormatList.configuration(fields[0])
    func side(_ fields: ArraySlice<String>) throws -> ResolvedSide {
      let fields = Array(fields)
      guard fields[4].isEmpty else {
        guard var side = try library(fields[4], configuration).first(where: { $0.matches(fields) }) else {
          throw LibraryError("\(fields[4]) does not serve \(fields[1])")
        }
        side.word = fields[2]
        side.source = fields[3]
        side.library = fields[4]
        return side
      }
      switch fields[0] {
      case "generic": return .generic(try FormatList.configuration(fields[1]), word: fields[2])
      case "legacy": return .legacy(try LegacyList.configuration(fields[1]), word: fields[2])
      default: return .reference
      }
    }
    point = ComparePoint(
      configuration, left: try side(fields[10..<15]), right: try side(fields[15..<20]), mode: mode)
    operations = try fields[2].isEmpty ? nil : fields[3].split(separator: ";").map { try Operation(text: $0) }
    budget = CompareBudget()
    budget.seed = UInt64(fields[4]) ?? budget.seed
    budget.seconds = Double(fields[5])
    budget.operations = Int(fields[6]) ?? budget.operations
    budget.depth = Int(fields[7]) ?? budget.depth
    part = (Int(fields[8]) ?? 0, max(1, Int(fields[9]) ?? 1))
  }
}

extension ResolvedSide {
  /// Whether fields of a task are about the side.
  fileprivate func matches(_ fields: [String]) -> Bool {
    guard "\(configuration.map { "\($0)" } ?? "")" == fields[1] else { return false }
    switch kind {
    case .generic: return fields[0] == "generic"
    case .legacy: return fields[0] == "legacy"
    case .reference: return false
    }
  }
}

/// What came of a task.
public struct CompareTaskReport: Sendable {
  /// How it ended.
  public enum Ending: Sendable {
    case pass
    /// A difference, in lines for people.
    case difference([String])
    /// What kept page tables from being made.
    case failure(String)
    /// Why there are no such two sides.
    case gap(String)
    /// A call of a library did not return, or ended the process: what is known, and the operations up to it.
    case crash([String], operations: [Operation])
  }

  public var ending: Ending
  /// Operations run.
  public var operations: Int
  public var tally: RuleTally

  public init(_ ending: Ending, operations: Int = 0, tally: RuleTally = RuleTally()) {
    self.ending = ending
    self.operations = operations
    self.tally = tally
  }

  /// Adds what another part of the same point did; the first that is no pass stays.
  public mutating func add(_ other: CompareTaskReport) {
    operations += other.operations
    tally.add(other.tally)
    if case .pass = ending { ending = other.ending }
  }

  var fields: [String] {
    let (word, lines): (String, [String]) =
      switch ending {
      case .pass: ("pass", [])
      case .difference(let lines): ("difference", lines)
      case .failure(let text): ("failure", [text])
      case .gap(let text): ("gap", [text])
      case .crash(let lines, _): ("failure", lines)
      }
    let counts = tally.counts.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")
    return ["report", word, "\(operations)", counts, tally.applicable.sorted().joined(separator: ",")] + lines
  }

  /// Reads a record; nil for what is none.
  init?(_ fields: [String]) {
    guard fields.count >= 5, fields[0] == "report" else { return nil }
    let lines = Array(fields.dropFirst(5))
    switch fields[1] {
    case "pass": ending = .pass
    case "difference": ending = .difference(lines)
    case "gap": ending = .gap(lines.joined(separator: "\n"))
    default: ending = .failure(lines.joined(separator: "\n"))
    }
    operations = Int(fields[2]) ?? 0
    let counts = fields[3].split(separator: ",").compactMap { pair -> (String, Int)? in
      let words = pair.split(separator: "=")
      guard words.count == 2, let count = Int(words[1]) else { return nil }
      return (String(words[0]), count)
    }
    tally = RuleTally(
      counts: Dictionary(counts) { $0 + $1 },
      applicable: Set(fields[4].split(separator: ",").map(String.init)))
  }
}
