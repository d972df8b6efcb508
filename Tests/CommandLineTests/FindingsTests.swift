// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// The commands of docs/findings.md print what stands below them, where a Linux 7.3 tree is at hand: in $PTKIT_KSRC, or
/// where Sources/KernelTree/fetch puts one.
@Suite("docs/findings.md")
struct FindingsTests {
  /// A command with the lines that it must print, among others.
  private struct Example {
    var command: String
    var output: [String] = []
  }

  /// The tree of the version that the page shows; nil where there is none.
  private static let tree: String? = {
    let variables = ProcessInfo.processInfo.environment
    return [variables["PTKIT_KSRC"] ?? "", Places.cache.appendingPathComponent("linux-source-7.3").path].first
    { folder in
      let text = (try? String(contentsOfFile: "\(folder)/Makefile", encoding: .utf8)) ?? ""
      return text.contains("\nVERSION = 7\n") && text.contains("\nPATCHLEVEL = 3\n")
    }
  }()

  /// The examples in blocks that begin with ```console.
  private func examples() throws -> [Example] {
    let page = Places.repository.appendingPathComponent("docs/findings.md")
    var examples: [Example] = []
    var isInside = false
    var isContinued = false
    for line in try String(contentsOf: page, encoding: .utf8).components(separatedBy: "\n") {
      if line.hasPrefix("```") {
        isInside = line == "```console"
      } else if isInside, isContinued, let last = examples.indices.last {
        examples[last].command += "\n" + line
      } else if isInside, line.hasPrefix("$ ") {
        examples.append(Example(command: String(line.dropFirst(2))))
      } else if isInside, let last = examples.indices.last {
        examples[last].output.append(line)
      }
      isContinued = isInside && line.hasSuffix("\\")
    }
    return examples
  }

  @Test("the page has examples, and each is a command of the kit")
  func readable() throws {
    let examples = try examples()
    #expect(examples.count >= 7)
    #expect(examples.allSatisfy { $0.command.hasPrefix("ptkit ") && !$0.output.isEmpty })
  }

  @Test("each example prints what the page shows", .enabled(if: tree != nil))
  func examplesRun() throws {
    let tree = try #require(Self.tree)
    for example in try examples() {
      let script = "T='\(tree)'; ptkit() { '\(Places.binary.path)' \"$@\"; }; \(example.command)"
      let run = try Run.program(
        URL(fileURLWithPath: "/bin/sh"), ["-c", script], folder: Places.repository)
      for line in example.output {
        #expect(run.lines.contains(line), "\(example.command)\n\(run.output)\n\(run.errors)")
      }
    }
  }
}
