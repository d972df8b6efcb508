// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Conformance

@Suite struct GoldenParserTests {
  static let header =
    "golden 1\nsource S\nbehaviour generic\nformat amdv1\nconfig va=64\nmemory base=0x1000\n"

  @Test func readsEveryConstruct() throws {
    let file = try GoldenFile(text: Tiny.text, path: "tiny.golden")
    let section = try #require(file.sections.first)
    #expect(file.sections.count == 1)
    #expect(section.source == "Linux 7.3 tiny.c")
    #expect(section.behaviour == .generic)
    #expect(section.pairs == ["va=39"] && section.era == nil && section.memoryBase == 0x2_0000_0000)
    #expect(section.entries.map(\.word) == [0x500d, 0x7002, nil])
    #expect(section.entries[1].kind == .table(level: 1, address: 0x7000))
    let golden = try #require(section.cases.first)
    #expect(golden.name == "map-unmap" && golden.tables == 5 && golden.lines == 12...27)
    #expect(golden.steps.count == 5)
    #expect(golden.steps[2].notes == [.sync(first: 0x2000, last: 0x2fff, released: 0)])
    #expect(golden.steps[4].result == .physical(nil))
    #expect(golden.image.words.count == 7)
    #expect(golden.image.words[0] == TableImage.Word(table: 0, level: 2, index: 0, value: 2, child: 1))
  }

  @Test func rangesAndSteps() throws {
    let text =
      Self.header + "case a\nimage\nT0 L0 [0x1..0x3] 0x10\nT0 L0 [4..6] 0x1001 step 0x1000\nend"
    let words = try GoldenFile(text: text, path: "f").sections[0].cases[0].image.words
    #expect(words.map(\.index) == [1, 2, 3, 4, 5, 6])
    #expect(words.map(\.value) == [0x10, 0x10, 0x10, 0x1001, 0x2001, 0x3001])
  }

  @Test func entryFlags() throws {
    let text =
      Self.header + "entry leaf level=0 pa=1M size=4K prot=rw,cache dirty accessed=0 = 0x1\n"
      + "entry leaf level=0 pa=0 size=4096 prot=none = invalid\n"
    let entries = try GoldenFile(text: text, path: "f").sections[0].entries
    let leaf = GoldenLeaf(
      level: 0, address: 1 << 20, size: 4096, protection: [.read, .write, .cache], dirty: true,
      accessed: false)
    #expect(entries[0].kind == .leaf(leaf))
    #expect(entries[1].word == nil)
  }

  @Test func contextHoldsUntilRestated() throws {
    let item = "case %\nimage\nend\n"
    let text =
      "# a licence\n" + Self.header + item.replacing("%", with: "one") + "config\nsource A\nsource B # why\n"
      + item.replacing("%", with: "one") + "config era=6.12 va=48\nbehaviour legacy\n"
      + item.replacing("%", with: "two")
    let sections = try GoldenFile(text: text, path: "f").sections
    #expect(sections.map(\.pairs) == [["va=64"], [], ["va=48"]])
    #expect(sections.map(\.source) == ["S", "A; B", "A; B"])
    #expect(sections.map(\.era) == [nil, nil, "6.12"])
    #expect(sections.map(\.behaviour) == [.generic, .generic, .legacy])
    #expect(sections.map(\.format) == ["amdv1", "amdv1", "amdv1"])
    #expect(sections.map(\.memoryBase) == [0x1000, 0x1000, 0x1000])
    #expect(sections[2].configurationText == "amdv1:va=48,era=6.12")
  }

  @Test func windowsLineEndsAndNoLastLineEnd() throws {
    let plain = try GoldenFile(text: Tiny.text, path: "f")
    #expect(try GoldenFile(text: Tiny.text.replacing("\n", with: "\r\n"), path: "f") == plain)
    #expect(try GoldenFile(text: String(Tiny.text.dropLast(1)), path: "f") == plain)
  }

  /// Text behind the header, the line that is wrong (the header has 6), and the message.
  static let wrong: [(String, Int, String)] = [
    ("what\n", 7, "expected source, behaviour, format, config, memory, entry or case, found 'what'"),
    ("source\n", 7, "expected where the vectors come from, found the end of the line"),
    ("behaviour new\n", 7, "expected 'generic' or 'legacy', found 'new'"),
    ("behaviour\n", 7, "expected 'generic' or 'legacy', found the end of the line"),
    ("format\n", 7, "expected a format's name, found the end of the line"),
    ("format a b\n", 7, "expected the end of the line, found 'b'"),
    ("config va\n", 7, "expected key=value, found 'va'"),
    ("config va=1 va=2\n", 7, "expected each key once, found 'va again'"),
    ("config era=\n", 7, "expected a Linux version, found 'era='"),
    ("memory\n", 7, "expected base=ADDRESS, found the end of the line"),
    ("memory base=x\n", 7, "expected base=ADDRESS, found 'base=x'"),
    ("entry\n", 7, "expected 'leaf' or 'table', found the end of the line"),
    ("entry root\n", 7, "expected 'leaf' or 'table', found 'root'"),
    ("entry table level=1 pa=0\n", 7, "expected '= WORD' or '= invalid', found the end of the line"),
    ("entry table level=1 pa=0 =\n", 7, "expected a word or 'invalid', found the end of the line"),
    ("entry table level=1 pa=0 = 0xg\n", 7, "expected a word or 'invalid', found '0xg'"),
    ("entry table level=1 pa=0 = 1 2\n", 7, "expected the end of the line, found '2'"),
    ("entry table level=1 = 1\n", 7, "expected pa=VALUE, found 'an entry without pa'"),
    ("entry table level=16 pa=0 = 1\n", 7, "expected a level below 16, found '16'"),
    ("entry table level=1 pa=0 prot=rw = 1\n", 7, "expected level, pa or '= WORD', found 'prot=rw'"),
    ("entry leaf level=0 level=0 = 1\n", 7, "expected each key once, found 'level=0'"),
    ("entry leaf level = 1\n", 7, "expected level=VALUE, found 'level'"),
    ("entry leaf level=0 pa=0 size=4X prot=rw = 1\n", 7, "expected size=NUMBER, found '4X'"),
    (
      "entry leaf level=0 pa=0 size=4K prot=rw dirty=2 = 1\n", 7,
      "expected dirty, dirty=0 or dirty=1, found '2'"
    ),
    ("case\n", 7, "expected the name of the case, found the end of the line"),
    ("case a b\n", 7, "expected the end of the line, found 'b'"),
    (
      "case a\nimage\nend\ncase a\nimage\nend\n", 10,
      "expected a name that no case of this configuration has, found 'a' of line 7 again"
    ),
    ("case a\nmap 0x0 0x0\nimage\nend\n", 8, "expected a length, found the end of the line"),
    ("case a\nmap 0 0 4K rw\nimage\nend\n", 8, "expected '=> RESULT', found the end of the line"),
    ("case a\nunmap 0 4K =>\nimage\nend\n", 8, "expected the bytes unmapped, found the end of the line"),
    ("case a\nunmap 0 4K => x\nimage\nend\n", 8, "expected the bytes unmapped, found 'x'"),
    ("case a\nunmap 0 4K => 0 ! what\nimage\nend\n", 8, "expected a note (sync, top, warn), found 'what'"),
    ("case a\nallocbudget 1 => ok\nimage\nend\n", 8, "'allocbudget' has no result"),
    ("case a\nend\n", 8, "expected 'image', found 'end'"),
    ("case a\nimage x\nend\n", 8, "expected 'image' alone, found 'image x'"),
    (
      "case a\nimage\nphys 0 => 0\n", 9,
      "expected a word 'Tn Ln [index] value', 'tables N' or 'end', found 'phys 0 => 0'"
    ),
    ("case a\nimage\ntables\nend\n", 9, "expected a number of pages, found the end of the line"),
    ("case a\nimage\ntables 1\ntables 1\nend\n", 10, "expected 'end', found 'tables 1'"),
    (
      "case a\nimage\nend a\n", 9, "expected a word 'Tn Ln [index] value', 'tables N' or 'end', found 'end a'"
    ),
    ("case a\nimage\nTx L0 [0] 1\nend\n", 9, "expected a table 'Tn', found 'x'"),
    ("case a\nimage\nT0 0 [0] 1\nend\n", 9, "expected a level 'Ln', found '0'"),
    ("case a\nimage\nT0 L0 0 1\nend\n", 9, "expected an index '[a]' or '[a..b]' below 0x20000, found '0'"),
    ("case a\nimage\nT0 L0 [2..1] 1\nend\n", 9, "expected an index from 0x2 to 0x1ffff, found '1]'"),
    ("case a\nimage\nT0 L0 [0 1\nend\n", 9, "expected ']', found '1'"),
    ("case a\nimage\nT0 L0 [0] x\nend\n", 9, "expected a word, found 'x'"),
    ("case a\nimage\nT0 L0 [0]\nend\n", 9, "expected a word, found the end of the line"),
    (
      "case a\nimage\nT0 L0 [0] 0x10000000000000000\nend\n", 9, "expected a word, found '0x10000000000000000'"
    ),
    ("case a\nimage\nT0 L0 [0] 1 step x\nend\n", 9, "expected a step, found 'x'"),
    (
      "case a\nimage\nT0 L0 [0] 1 by 2\nend\n", 9,
      "expected '-> Tn', 'step N' or the end of the line, found 'by'"
    ),
    ("case a\nimage\nT0 L1 [0] 1 -> 1\nend\n", 9, "expected a table 'Tn', found '1'"),
    (
      "case a\nimage\nT0 L1 [0..1] 1 -> T1\nend\n", 9,
      "expected one word before '-> Tn', found 'T0 L1 [0..1] 1 -> T1'"
    ),
    ("case a\nimage\nT1 L1 [0] 1 -> T1\nend\n", 9, "expected a table after T1, found 'T1'"),
    ("case a\nimage\nT0 L0 [0] 1 -> T1\nend\n", 9, "expected no table below level 0, found 'T1'"),
    (
      "case a\nimage\nT0 L1 [0] 1 -> T1\nT0 L1 [1] 1 -> T1\nend\n", 10,
      "expected one pointer to T1, found 'another in T0'"
    ),
    ("case a\nimage\nT0 L1 [0] 1\nT0 L2 [1] 1\nend\n", 10, "expected T0 at level 1 as in line 9, found 'L2'"),
    ("case a\nimage\nT0 L0 [0] 0\nend\n", 9, "expected words that are not zero, found 'T0 L0 [0] 0'"),
    (
      "case a\nimage\nT0 L0 [1] 1\nT0 L0 [0..1] 2\nend\n", 10,
      "expected each word once, found 'T0 [0x1] twice'"
    ),
    ("case a\nmap 0 0 4K rw => ok\n", 8, "expected 'image' of case a, found the end of the file"),
    ("case a\nimage\n", 8, "expected 'end' of case a, found the end of the file"),
    ("case a\nimage\ntables 1\n", 9, "expected 'end', found the end of the file"),
  ]

  @Test(arguments: 0..<wrong.count) func errorsNameFileLineAndExpectation(_ index: Int) throws {
    let (text, line, message) = Self.wrong[index]
    let error = try #require(throws: GoldenParseError.self) {
      try GoldenFile(text: Self.header + text, path: "dir/f.golden")
    }
    #expect(error.description == "dir/f.golden:\(line): \(message)")
  }

  @Test func operationErrorsListWhatIsKnown() throws {
    let error = try #require(throws: GoldenParseError.self) {
      try GoldenFile(text: Self.header + "case a\nmapp 0 0 4K rw => ok\nimage\nend", path: "f")
    }
    #expect(error.line == 8)
    #expect(error.message.contains("expected an operation") && error.message.contains("did you mean map"))
  }

  @Test func firstLineAndMissingContext() throws {
    func message(_ text: String) throws -> String {
      try #require(throws: GoldenParseError.self) { try GoldenFile(text: text, path: "f") }.description
    }
    #expect(try message("") == "f:1: expected 'golden 1', found the end of the file")
    #expect(try message("# only a comment\n") == "f:1: expected 'golden 1', found the end of the file")
    #expect(try message("golden 2\n") == "f:1: expected 'golden 1', found 'golden 2'")
    let item = "case a\nimage\nend\n"
    #expect(
      try message("golden 1\n" + item) == "f:2: expected a 'source' line before the first case, found 'case'")
    #expect(
      try message("golden 1\nsource s\n" + item)
        == "f:3: expected a 'format' line before the first case, found 'case'")
    #expect(
      try message("golden 1\nsource s\nformat f\n" + item)
        == "f:4: expected a 'behaviour' line before the first case, found 'case'")
  }

  @Test func invalidTextIsAnErrorWithPosition() throws {
    var bytes = Array("golden 1\nsource caf".utf8) + [0xc3, 0xa9] + Array(" and ".utf8)
    #expect(try GoldenFile(bytes: bytes, path: "f").sections.isEmpty)
    bytes.append(0xff)
    let error = try #require(throws: GoldenParseError.self) { try GoldenFile(bytes: bytes, path: "f") }
    #expect(error.description == "f:2: expected UTF-8, found an invalid byte in column 18")
  }

  @Test func messagesShowNoControlCharactersAndStayShort() throws {
    let word = "\u{1b}[2J" + String(repeating: "x", count: 1000)
    let error = try #require(throws: GoldenParseError.self) {
      try GoldenFile(text: "golden 1\n\(word)\n", path: "f")
    }
    #expect(!error.message.unicodeScalars.contains { $0.value < 32 })
    #expect(error.message.count < 200)
  }

  /// A file cut anywhere either parses to fewer items or is refused; it never traps, and a case that has
  /// lost its end never counts.
  @Test func truncationNeverTraps() throws {
    let bytes = Array(Tiny.text.utf8)
    for length in bytes.indices {
      guard let file = try? GoldenFile(bytes: Array(bytes[..<length]), path: "f") else { continue }
      #expect(file.caseCount <= (length >= bytes.count - 2 ? 1 : 0))
    }
  }

  @Test func damageNeverTraps() {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    func random() -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 40)
    }
    let bytes = Array(Tiny.text.utf8)
    for _ in 0..<4000 {
      var damaged = bytes
      for _ in 0...(random() % 4) {
        let position = random() % damaged.count
        switch random() % 3 {
        case 0: damaged[position] = UInt8(random() & 0xff)
        case 1: damaged.remove(at: position)
        default: damaged.insert(bytes[random() % bytes.count], at: position)
        }
      }
      _ = try? GoldenFile(bytes: damaged, path: "f")
    }
  }
}
