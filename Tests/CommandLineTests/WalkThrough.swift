// SPDX-License-Identifier: GPL-2.0-only

import Foundation

/// A Markdown document that can be carried out. Blocks that begin with "```WORD file=PATH" are files; in those that begin
/// with "```console", lines with "$ " are commands, and those below are what they print.
struct WalkThrough {
  struct File: Hashable {
    var path: String
    var text: String
  }

  struct Command: Hashable {
    var text: String
    /// What is printed; `…` stands for any lines where it is one, and within a line for any text.
    var expected: [String] = []
    /// The line of the document, from 1.
    var line: Int
  }

  enum Step: Hashable {
    case file(File)
    case command(Command)
  }

  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  private(set) var steps: [Step] = []

  var commands: [Command] {
    steps.compactMap { if case .command(let command) = $0 { command } else { nil } }
  }

  var files: [File] { steps.compactMap { if case .file(let file) = $0 { file } else { nil } } }

  init(_ markdown: String) throws {
    var block: (info: String, line: Int, lines: [String])?
    for (index, line) in markdown.components(separatedBy: "\n").enumerated() {
      if line.hasPrefix("```") {
        if let open = block {
          try close(open)
          block = nil
        } else {
          block = (String(line.dropFirst(3)), index + 1, [])
        }
      } else {
        block?.lines.append(line)
      }
    }
    if let open = block { throw Problem(description: "line \(open.line): the block has no end") }
  }

  private mutating func close(_ block: (info: String, line: Int, lines: [String])) throws {
    let words = block.info.split(separator: " ")
    if let path = words.first(where: { $0.hasPrefix("file=") })?.dropFirst(5) {
      let text = block.lines.joined(separator: "\n") + "\n"
      steps.append(.file(File(path: String(path), text: text)))
      return
    }
    guard words.first == "console" else {
      throw Problem(description: "line \(block.line): a block is neither a file nor a console")
    }
    var command: Command?
    for (index, line) in block.lines.enumerated() {
      if line.hasPrefix("$ ") {
        if let command { steps.append(.command(command)) }
        command = Command(text: String(line.dropFirst(2)), line: block.line + index + 1)
      } else if command == nil {
        throw Problem(description: "line \(block.line + index + 1): output without a command")
      } else {
        command?.expected.append(line)
      }
    }
    if let command { steps.append(.command(command)) }
  }
}

extension WalkThrough.Command {
  /// What is wrong with what was printed; nil when it is as shown.
  func mismatch(_ printed: [String]) -> String? {
    guard !Self.matches(expected[...], printed[...]) else { return nil }
    var count = 0
    while count < expected.count, Self.matches(expected[...count] + ["…"], printed[...]) { count += 1 }
    let place = "line \(line), '\(text)'"
    return count < expected.count
      ? "\(place): not printed where the document has it: '\(expected[count])'; printed was\n"
        + printed.joined(separator: "\n")
      : "\(place): more was printed than the document has:\n" + printed.joined(separator: "\n")
  }

  private static func matches(_ expected: ArraySlice<String>, _ printed: ArraySlice<String>) -> Bool {
    glob(Array(expected), Array(printed), gap: "…") { pattern, line in
      glob(Array(pattern), Array(line), gap: "…", ==)
    }
  }

  /// Whether a list fits a pattern in which some elements stand for any number of others.
  private static func glob<Element: Equatable>(
    _ pattern: [Element], _ list: [Element], gap: Element, _ fits: (Element, Element) -> Bool
  ) -> Bool {
    var (next, place) = (0, 0)
    // After the last gap, and how much it has taken.
    var retry: (next: Int, place: Int)?
    while place < list.count {
      if next < pattern.count, pattern[next] == gap {
        next += 1
        retry = (next, place)
      } else if next < pattern.count, fits(pattern[next], list[place]) {
        (next, place) = (next + 1, place + 1)
      } else if let last = retry {
        retry = (last.next, last.place + 1)
        (next, place) = (last.next, last.place + 1)
      } else {
        return false
      }
    }
    return pattern[next...].allSatisfy { $0 == gap }
  }
}

extension WalkThrough {
  /// Carries out the steps in a folder; what came out other than shown.
  ///
  /// - Parameters:
  ///   - environment: what commands see beside the environment of the tests.
  ///   - isWanted: which commands are run.
  func problems(
    in folder: URL, environment: [String: String] = [:], where isWanted: (Command) -> Bool = { _ in true }
  ) throws -> [String] {
    var problems: [String] = []
    for step in steps {
      switch step {
      case .file(let file):
        let path = folder.appendingPathComponent(file.path)
        try FileManager.default.createDirectory(
          at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
        try file.text.write(to: path, atomically: false, encoding: .utf8)
      case .command(let command):
        guard isWanted(command) else { continue }
        let run = try Run.program(
          URL(fileURLWithPath: "/bin/sh"), ["-c", "{ \(command.text)\n} 2>&1"], environment: environment,
          folder: folder)
        if let problem = command.mismatch(run.lines) { problems.append(problem) }
      }
    }
    return problems
  }
}
