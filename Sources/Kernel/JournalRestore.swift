// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// What a journal's text says.
struct JournalText: Hashable {
  /// The boot in which it was written.
  var boot: String
  /// The changes that are not undone, with their numbers, in the order in which they were made.
  var changes: [Numbered]

  struct Numbered: Hashable {
    var number: Int
    var change: KernelChange
  }

  /// Reads it. A last line that does not end was being written when the run was killed: its change was not made.
  ///
  /// - Throws: `JournalError.malformed` with the line and what was expected.
  init(_ text: String, path: String) throws(JournalError) {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    lines.removeLast()
    // What ends before the end of its first line is a journal only if it begins as one.
    guard !lines.isEmpty || JournalFile.firstLine.hasPrefix(text) else {
      throw .malformed(path, line: 1, expected: JournalFile.firstLine, found: text)
    }
    boot = ""
    changes = []
    var last = 0
    for (index, line) in lines.enumerated() {
      let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      let value = words.count > 1 ? words[1] : ""
      var expected: String?
      switch index {
      case 0: expected = line == JournalFile.firstLine ? nil : JournalFile.firstLine
      case 1: expected = words[0] == "process" && Int(value) != nil ? nil : "process NUMBER"
      case 2:
        expected = words[0] == "boot" && !value.isEmpty ? nil : "boot ID"
        boot = String(value)
      default:
        expected = read(words[0], value, &last)
      }
      if let expected {
        throw .malformed(path, line: index + 1, expected: expected, found: String(line))
      }
    }
  }

  /// Reads a line of a change; returns what was expected where it is none.
  private mutating func read(_ word: Substring, _ value: Substring, _ last: inout Int) -> String? {
    if word == "undone" {
      guard let number = Int(value), let index = changes.firstIndex(where: { $0.number == number }) else {
        return "undone and the number of a change that is not"
      }
      changes.remove(at: index)
      return nil
    }
    guard Int(word) == last + 1, let change = KernelChange(value) else {
      return "\(last + 1) and a change (\(KernelChange.grammar)), or undone NUMBER"
    }
    last += 1
    changes.append(Numbered(number: last, change: change))
    return nil
  }
}

/// Puts back what a run left behind that was killed.
public enum JournalRestore {
  /// What came of it.
  public struct Report: Hashable, Sendable {
    /// What is as it was before.
    public var restored: [String] = []
    /// What could not be put back; the journal stays and has it.
    public var problems: [String] = []
    /// The machine was started anew since, which has undone everything.
    public var isFromAnotherBoot = false
  }

  /// Undoes the changes of a journal, and removes it. It can be called again after it was killed itself.
  ///
  /// - Throws: `JournalError` for a journal that is none, is in use or is not to be trusted; then nothing was done.
  public static func run(path: String, on machine: any Machine) throws(JournalError) -> Report {
    let file = try JournalFile(left: path)
    let text = try JournalText(file.text, path: path)
    var report = Report()
    guard text.boot == JournalFile.boot || text.changes.isEmpty else {
      report.isFromAnotherBoot = true
      file.remove()
      return report
    }
    let journal = Journal(machine: machine, file: file, left: text.changes)
    let changes = journal.changes
    report.problems = journal.undoAll()
    report.restored = changes.reversed().filter { !journal.changes.contains($0) }.map(\.description)
    return report
  }
}
