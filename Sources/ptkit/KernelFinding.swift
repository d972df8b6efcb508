// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import PageTable
import Selftests
import TAP

/// A failure of a kernel's own code that is known: a line of Sources/KernelTree/findings.
struct KernelFinding: Hashable, Sendable {
  /// The Linux versions, a glob.
  var versions: String
  /// The names of tests, a glob.
  var tests: String
  /// Why it fails.
  var reason: String

  /// Reads lines of versions, names and reason, separated by `|`; `#` starts a comment.
  static func read(path: String) throws -> [KernelFinding] {
    try FileText.lines(path).filter { !$0.isEmpty && !$0.hasPrefix("#") }.map { line in
      let words = line.split(separator: "|", maxSplits: 2).map { $0.trimmingSpaces }
      guard words.count == 3 else {
        throw InputError("\(path): expected versions | tests | reason: '\(line)'")
      }
      return KernelFinding(versions: words[0], tests: words[1], reason: words[2])
    }
  }

  func isAbout(_ test: String, era: String) -> Bool {
    fnmatch(versions, era, 0) == 0 && fnmatch(tests, test, 0) == 0
  }

  /// A failure is an expected one; a pass is not, and says so.
  func apply(to result: TAPResult) -> TAPResult {
    var result = result
    switch result.outcome {
    case .fail:
      result.outcome = .xfail
      result.reason = reason
    case .pass:
      result.outcome = .xpass
      result.details.append("expected to fail: \(reason); take it out of Sources/KernelTree/findings")
    case .xfail, .xpass, .skip, .error: break
    }
    return result
  }
}

extension Substring {
  fileprivate var trimmingSpaces: String {
    let start = drop { $0 == " " || $0 == "\t" }
    return start.lastIndex { $0 != " " && $0 != "\t" }.map { String(start[...$0]) } ?? ""
  }
}
