// SPDX-License-Identifier: GPL-2.0-only

/// A format specification that is malformed or contradicts itself.
public struct SpecError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The specification's file name.
  public let file: String
  /// The line in it, counted from 1; 0 when the whole file is meant.
  public let line: Int
  /// What was expected and what was found.
  public let message: String

  public init(file: String, line: Int, _ message: String) {
    self.file = file
    self.line = line
    self.message = message
  }

  /// `FILE:LINE: MESSAGE`.
  public var description: String { line > 0 ? "\(file):\(line): \(message)" : "\(file): \(message)" }
}

/// A reason why something in a specification is wrong, before file and line are known.
struct SpecProblem: Error {
  let message: String

  init(_ message: String) { self.message = message }
}
