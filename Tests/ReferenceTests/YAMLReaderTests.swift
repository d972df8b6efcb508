// SPDX-License-Identifier: GPL-2.0-only

import Reference
import Testing
import Yams

@testable import ReferenceSpecs

/// The reader of specification files beside Yams, which knows all of YAML: what the reader accepts must mean the same to both.
struct YAMLReaderTests {
  private func own(_ text: String) throws -> SpecTree {
    var reader = try YAMLReader(text, file: "x.yaml")
    return try reader.document()
  }

  private func yams(_ text: String) throws -> SpecTree? { try Yams.compose(yaml: text).flatMap(tree) }

  /// Yams' tree in the words of ours; nil for what those cannot say.
  private func tree(_ node: Node) -> SpecTree? {
    guard let line = node.mark?.line else { return nil }
    switch node {
    case .scalar(let scalar):
      return SpecTree(content: .scalar(scalar.string), line: line)
    case .sequence(let sequence):
      let elements = sequence.map(tree)
      return elements.contains(nil)
        ? nil : SpecTree(content: .list(elements.compactMap { $0 }), line: line)
    case .mapping(let mapping):
      var pairs: [SpecTree.Pair] = []
      for (key, value) in mapping {
        guard case .scalar(let name) = key, let keyLine = key.mark?.line, let value = tree(value) else {
          return nil
        }
        pairs.append(SpecTree.Pair(key: name.string, keyLine: keyLine, value: value))
      }
      return SpecTree(content: .mapping(pairs), line: line)
    case .alias: return nil
    }
  }

  @Test("the kit's files mean the same to both, each line number included", arguments: ReferenceSpecs.formats)
  func files(format: String) throws {
    let source = try #require(ReferenceSpecs.source(format: format))
    #expect(try own(source) == yams(source))
  }

  @Test(
    "what it accepts means the same to Yams",
    arguments: [
      "a: 1", "a:\n  b: 1\n  c: 2\nd: 3", "a:\n- 1\n- 2\nb: x", "a:\n  - b: 1\n    c: 2\n  - d: 3",
      "- 1\n-\n  a: 2\n- b: 3\n  c:\n  - 4", "a: { b: 1, c: [2, 3, [4]], d: {} }  # end", "a: [ ]\nb: [1, ]",
      "# first\n\na: 1 # not b\n  # indented\nb: x#y", "a: \"q # \\\" \\\\ \\n: {\"\nb: 'it''s: # [x]'",
      "\"a b\": 1\n'c': 2", "a: 19:12\nb: { c: 31:20, d: -1, e: a-b }", "a: 1 == 2 and not (b & 4K)",
      "---\na: 1\n", "a: 1\r\nb: 2\r\n", "a: b\n\n\n", "a: {\n  b: 1, # why\n\n  c: 2\n}\nd: [\n1,\n2]",
      "a: ä – …", "1..3", "- a\n- b", "{ a: 1 }", "a:\n  b:\n    c:\n    - d:\n        e: f\n  g: h",
      "a: x - y",
    ])
  func accepted(text: String) throws {
    #expect(try own(text) == yams(text))
  }

  @Test("keys and elements without value are empty texts")
  func emptyValues() throws {
    for text in ["a:\nb: 1", "a:", "a: # none\nb: 2", "a: { b: , c: 1 }", "-\n- 1"] {
      // A missing value has no place of its own; Yams takes that of what follows.
      #expect(try withoutLines(own(text)) == yams(text).map(withoutLines), "\(text)")
    }
  }

  private func withoutLines(_ tree: SpecTree) -> SpecTree {
    switch tree.content {
    case .scalar: SpecTree(content: tree.content, line: 0)
    case .list(let elements): SpecTree(content: .list(elements.map(withoutLines)), line: 0)
    case .mapping(let pairs):
      SpecTree(
        content: .mapping(
          pairs.map { SpecTree.Pair(key: $0.key, keyLine: 0, value: withoutLines($0.value)) }), line: 0)
    }
  }

  @Test(
    "what it does not read, it refuses with the line",
    arguments: [
      ("a: &x 1", 1, "'&'"), ("a: 1\nb: *x", 2, "'*'"), ("a: !!int 1", 1, "'!'"), ("a: |\n  b", 1, "'|'"),
      ("a: >\n  b", 1, "'>'"), ("? a\n: b", 1, "'?'"), ("%YAML 1.2\n---\na: 1", 1, "'%'"),
      ("a: @b", 1, "'@'"),
      ("a: b\n  c", 2, "in the column"), ("a: \"b\n  c\"", 1, "ends on its line"),
      ("a: 'b", 1, "ends on its line"),
      ("a: \"\\x41\"", 1, "backslash"), ("a:\tb", 1, "U+9"), ("a: b\u{1}", 1, "U+1"),
      ("a: b\u{85}c", 1, "U+85"),
      ("a: b: c", 1, "quote"), ("a: - b", 1, "line of its own"), ("a: 1\n- b", 2, "KEY: VALUE"),
      ("a: 1\na: 2", 2, "keys given twice: a"), ("a: { b: 1, b: 2 }", 1, "keys given twice: b"),
      ("a: 1\nb", 2, "after the key"), ("a: [1, 2", 1, "']'"), ("a: { b: 1\nc: 2 }", 2, "'}'"),
      ("a: { b }", 1, "': '"), ("a: [b: c]", 1, "']'"), ("a: {b: 1} c", 1, "end of the line"),
      ("a: \"b\" c", 1, "end of the line"), ("a:\n    b: 1\n  c: 2", 3, "in the column"),
      ("a: 1\n...\nb: 2", 2, "'.'"), ("a: 1\n---\nb: 2", 2, "'-'"), ("a: [,]", 1, "','"),
      ("a: {b:[1]}", 1, "':'"), ("", 0, "found nothing"), ("# only\n", 0, "found nothing"),
      (String(repeating: "[", count: 100_000), 1, "more than 32"),
      (String(repeating: "- ", count: 100_000), 1, "more than 32"),
    ])
  func refused(text: String, line: Int, part: String) throws {
    let error = #expect(throws: SpecError.self) { try own(text) }
    #expect(error?.line == line, "\(String(describing: error))")
    #expect(error?.message.contains(part) == true, "\(String(describing: error))")
  }

  @Test("of damaged files, those that it accepts mean the same to Yams", arguments: ReferenceSpecs.formats)
  func damagedFiles(format: String) throws {
    let source = try #require(ReferenceSpecs.source(format: format))
    var generator = SplitMix(state: UInt64(format.count) &+ 77)
    let pieces = [
      "", ":", " ", "\n", "-", "- ", "#", " #", "{", "}", "[", "]", ",", "\"", "'", "\\", "?", "&", "|", ": ",
      "  ",
    ]
    var accepted = 0
    for _ in 0..<300 {
      var damaged = Array(source.utf8)
      let position = Int.random(in: 0..<damaged.count, using: &generator)
      let end = min(damaged.count, position + Int.random(in: 0..<3, using: &generator))
      damaged.replaceSubrange(
        position..<end, with: Array(pieces.randomElement(using: &generator)?.utf8 ?? "".utf8))
      let text = String(decoding: damaged, as: UTF8.self)
      guard let mine = try? own(text) else { continue }
      accepted += 1
      let theirs = try yams(text).map(withoutLines)
      #expect(withoutLines(mine) == theirs, "around byte \(position) of \(format)")
    }
    #expect(accepted > 30)
  }
}
