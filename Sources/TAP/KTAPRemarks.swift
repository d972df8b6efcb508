// SPDX-License-Identifier: GPL-2.0-only

/// What stands between two results: comments, blocks of YAML, and lines that are none of TAP's.
struct KTAPRemarks {
  /// Of longer logs the end is kept, for that is where a failure is.
  private static let longestLog = 50

  private var comments: [String] = []
  private var log: [String] = []
  private var droppedLines = 0
  /// The last result, if it failed and nothing but comments came since.
  private var isAfterFailure = false
  private var isInFailureText = false
  /// The lines of a block of YAML, and the column at which it started.
  private var block: (column: Int, lines: [String])?
  private var doneBlock: [String]?

  mutating func add(comment: String) {
    isInFailureText = false
    comments.append(comment)
    add(log: comment)
  }

  mutating func add(log text: String) {
    log.append(text)
    if log.count > Self.longestLog {
      log.removeFirst()
      droppedLines += 1
    }
  }

  /// Gives all to a result, which starts over.
  mutating func move(to result: inout KTAPResult) {
    let dropped = droppedLines > 0 ? ["(\(droppedLines) lines before)"] : []
    (result.comments, result.log) = (comments, dropped + log)
    self = KTAPRemarks()
    isAfterFailure = !result.isOK
  }

  // MARK: After the result

  /// Whether a comment belongs to the result before: Perl's tests explain a failure after it, in lines that start so.
  mutating func isAboutLastFailure(_ comment: String) -> Bool {
    guard isAfterFailure, comments.isEmpty else { return false }
    isInFailureText = comment.hasPrefix("  Failed ") || isInFailureText && comment.hasPrefix("  ")
    return isInFailureText
  }

  /// Takes a line of a block of YAML, which starts with `---` right of the results and ends with `...`; false for any other line.
  mutating func takeBlock(_ text: Substring, column: Int?) -> Bool {
    guard let column else { return false }
    let bare = text.trimmed
    let start = text.utf8.count - text.drop { $0 == " " }.utf8.count
    guard let open = block else {
      guard bare == "---", start > column else { return false }
      block = (start, [])
      return true
    }
    // A block that does not end must not swallow what comes after it.
    guard start >= open.column || bare.isEmpty else {
      (block, doneBlock) = (nil, nil)
      return false
    }
    if bare == "..." {
      (block, doneBlock) = (nil, open.lines)
    } else {
      block?.lines.append(String(text.dropFirst(open.column)))
    }
    return true
  }

  /// The lines of the block that the last line ended.
  mutating func finishedBlock() -> [String]? {
    defer { doneBlock = nil }
    return doneBlock
  }
}
