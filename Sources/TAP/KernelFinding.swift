// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// A failure of other code that is known: a line of Sources/KernelTree/findings, of Sources/Kernel/findings, or of the file of
/// `--findings`.
public struct KernelFinding: Hashable, Sendable {
  /// The Linux versions, a glob.
  public var versions: String
  /// The names of tests, a glob.
  public var tests: String
  /// What their details say, a glob of a line; nil for anything.
  public var symptom: String?
  /// Whether each of the tests shows it.
  public var isOfAll: Bool
  /// Why they fail.
  public var reason: String

  /// Reads a list of findings; `#` starts a comment.
  ///
  /// - Parameter path: the name of the list in messages.
  /// - Throws: `KernelFindingError` that names the list and the line.
  public static func read(_ text: String, path: String) throws(KernelFindingError) -> [KernelFinding] {
    var findings: [KernelFinding] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      guard !line.hasPrefix("#"), line.contains(where: { !$0.isWhitespace }) else { continue }
      guard let finding = KernelFinding(String(line)) else {
        throw KernelFindingError(
          "\(path):\(index + 1): expected versions | tests | reason, or versions | tests | symptom | reason: '\(line)'"
        )
      }
      findings.append(finding)
    }
    return findings
  }

  /// Reads `versions | tests | reason` or `versions | tests | symptom | reason`, where a symptom that each of the tests
  /// shows has `=` before it; nil for anything else.
  public init?(_ line: String) {
    let words = line.split(separator: "|", omittingEmptySubsequences: false).map(\.trimmingSpaces)
    guard (3...4).contains(words.count), words.allSatisfy({ !$0.isEmpty }) else { return nil }
    versions = words[0]
    tests = words[1]
    let symptom = words.count == 4 ? words[2] : nil
    let isOfAll = symptom?.hasPrefix("=") ?? true
    self.symptom = symptom.map { isOfAll ? $0.dropFirst().trimmingSpaces : $0 }
    self.isOfAll = isOfAll
    reason = words[words.count - 1]
  }

  /// Whether it is about a test of the code of a Linux version.
  public func isAbout(_ test: String, era: String) -> Bool {
    isAbout(era: era) && fnmatch(tests, test, 0) == 0
  }

  /// Whether it is about a Linux version.
  public func isAbout(era: String) -> Bool { fnmatch(versions, era, 0) == 0 }

  /// Whether a failure is this one.
  private func explains(_ details: [String]) -> Bool {
    guard let symptom else { return true }
    return details.contains { fnmatch(symptom, $0, 0) == 0 }
  }

  /// Makes an expected failure of a failure that it explains. A pass is not expected, and says so, unless only some of
  /// the tests show the symptom.
  ///
  /// - Returns: whether it explains the failure.
  func apply(to result: inout TAPResult) -> Bool {
    switch result.outcome {
    case .fail where explains(result.details):
      result.outcome = .xfail
      result.reason = reason
      return true
    case .pass where isOfAll:
      result.outcome = .xpass
      result.details.append("expected to fail: \(reason); take it out of the findings")
    default: break
    }
    return false
  }
}

/// A list of findings that cannot be read.
public struct KernelFindingError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// The findings of a run, with those that explained a failure.
public struct KernelFindings: Sendable {
  private let all: [KernelFinding]
  /// Those that were about a test, and those of them that explained one.
  private var asked: Set<Int> = []
  private var used: Set<Int> = []

  public init(_ findings: [KernelFinding]) { all = findings }

  /// Applies those that are about a result, until one explains it.
  public mutating func apply(to result: inout TAPResult, era: String) {
    let name = result.name
    for (index, finding) in all.enumerated() where finding.isAbout(name, era: era) {
      asked.insert(index)
      let wasFailure = result.outcome == .fail
      if finding.apply(to: &result) { used.insert(index) }
      if wasFailure, result.outcome != .fail { return }
    }
  }

  /// The symptoms that no test showed.
  public var unseen: [String] {
    all.indices.filter { all[$0].symptom != nil && asked.contains($0) && !used.contains($0) }.map {
      "no test shows: \(all[$0].tests) | \(all[$0].symptom ?? "") | \(all[$0].reason)"
    }
  }
}

extension Substring {
  fileprivate var trimmingSpaces: String {
    let start = drop { $0 == " " || $0 == "\t" }
    return start.lastIndex { $0 != " " && $0 != "\t" }.map { String(start[...$0]) } ?? ""
  }
}
