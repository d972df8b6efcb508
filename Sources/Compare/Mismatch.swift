// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The kinds of checks that the harness makes.
public enum CompareCheck: String, Hashable, Sendable, CaseIterable {
  /// What operations return.
  case results
  /// The words in the tables.
  case image
  /// What the hardware's walk finds, by the reference.
  case walk
  /// What the IOTLB and the paging-structure caches still hold after an operation has invalidated them.
  case cache
  /// When tables are flushed, synced, released and used again; what is left of them in the end.
  case lifeCycle = "life_cycle"
}

/// Two words of tables at the same place that should say the same.
public struct WordPair: Hashable, Sendable {
  /// The level of their tables; 0 is the last.
  public var level: Int
  /// The first IOVA that they are about.
  public var iova: UInt64
  /// The words; nil where the side has no table there.
  public var left: UInt64?
  public var right: UInt64?
}

/// What was wrong after one operation; ends a session.
struct Mismatch: Error {
  var check: CompareCheck
  var message: String
  var words: WordPair?

  init(_ check: CompareCheck, _ message: String, words: WordPair? = nil) {
    self.check = check
    self.message = message
    self.words = words
  }
}

/// The first difference between two sides.
public struct Difference: Error, Sendable {
  /// What noticed it.
  public var check: CompareCheck
  /// What differs, in a line.
  public var message: String
  /// The operations, the last of which shows it.
  public var operations: [Operation]
  /// What each side really ran: the operations, and those that brought both sides back to a common state.
  public var leftOperations: [Operation]
  public var rightOperations: [Operation]
  /// The first pair of words that differ, where words were compared.
  public var words: WordPair?
}

extension Difference {
  /// One that both sides came to by the same operations.
  public init(_ check: CompareCheck, _ message: String, operations: [Operation]) {
    self.init(
      check: check, message: message, operations: operations, leftOperations: operations,
      rightOperations: operations)
  }
}
