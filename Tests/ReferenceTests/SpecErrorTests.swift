// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import ReferenceSpecs
import Testing

/// Mistakes in specification files are reported with file, line and what was expected.
struct SpecErrorTests {
  /// The error of a format's specification in which a text is replaced, evaluated for a configuration.
  private func error(
    _ format: String, _ old: String, _ new: String, _ configuration: String? = nil
  ) throws -> SpecError? {
    let source = try #require(ReferenceSpecs.source(format: format))
    #expect(source.contains(old))
    do {
      let spec = try ReferenceSpecs.parse(
        yaml: source.replacing(old, with: new, maxReplacements: 1), file: "x.yaml")
      _ = try ReferenceFormat(spec: spec, configuration: TestConfigurations.parse(configuration ?? format))
      return nil
    } catch let error as SpecError {
      return error
    }
  }

  /// The line, counted from 1, that has a text.
  private func line(_ format: String, _ text: String) throws -> Int {
    let source = try #require(ReferenceSpecs.source(format: format))
    let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
    return try #require(lines.firstIndex { $0.contains(text) }) + 1
  }

  @Test(arguments: [
    ("word: 64", "word: 63", "expected 32 or 64 bits"), ("word: 64", "word: many", "a number"),
    ("  width: oa", "  widht: oa", "unknown key 'widht' in 'output', did you mean width"),
    ("levels:\n", "levles:\n", "unknown key 'levles'"), ("kind: table", "kind: tabel", "did you mean table"),
    ("levels: 1..4", "levels: 1..", "expected a value"),
    ("role: reserved,", "role: res1,", "one of used, reserved, res0"),
    ("encode: features contains dma_incoherent,", "encode: features contains,", "KEY contains WORD"),
    (
      "protection: { read: R, write: W }\n  dirty: D", "protection: { read: R }\n  dirty: D",
      "grants read and write"
    ),
    ("protection: { read: R, write: W }", "protection: { reed: R, write: W }", "did you mean read"),
    ("name: SNP, encode:", "name: SNP, role: ignored, encode:", "has no 'encode'"),
    ("index: 20:12", "index: 20:12:3", "HIGH:LOW"), ("index: 20:12", "index: [1]", "found a list"),
    ("input:\n  width: min(va, top)", "input: 3\nignored:\n  width: 3", "unknown key 'ignored'"),
    ("code: 0x84,", "code: x84,", "a number"), ("  level: level\n", "", "needs the key 'level'"),
    ("absent: { bits: 1:0,", "absent: { bits: 1:0", "did not find"),
    ("absent: { bits: 1:0,", "absent: { bits: 1:0, bits: 2,", "keys given twice"),
  ])
  func readingErrors(_ old: String, _ new: String, _ part: String) throws {
    let error = try #require(try error("vtdss", old, new))
    #expect(error.message.contains(part), "\(error)")
    #expect(error.file == "x.yaml")
    #expect(error.line > 0)
    #expect(error.description.hasPrefix("x.yaml:\(error.line): "))
  }

  @Test func linesAreExact() throws {
    let spoiled = try #require(
      try error("vtdss", "name: SNP, encode: features", "name: SNP, encode: featurs"))
    #expect(spoiled.line == (try line("vtdss", "name: SNP")))
    #expect(spoiled.message.contains("unknown name 'featurs'"))
    let misnamed = try #require(try error("vtdss", "name: IPAT,", "nam: IPAT,"))
    #expect(misnamed.line == (try line("vtdss", "name: IPAT")))
  }

  @Test(arguments: [
    (
      "{ bits: 61,    name: ignored61", "{ bits: 60,    name: ignored61", "which a field before it has",
      "overlap"
    ),
    ("bits: 6:2,   name: ignored6_2", "bits: 6:3,   name: ignored6_2", "does not describe bit 2", "gap"),
    ("{ bits: 63,    name: ignored63", "{ bits: 64,    name: ignored63", "of a word of 64 bits", "beyond"),
    (
      "encode: 1, text: \"write allowed below\"", "encode: 2, text: \"\"", "does not fit its 1 bits", "encode"
    ),
    (
      "name: PS, when: level <= 2, value: 0", "name: PS, when: level <= 2, value: 4", "does not fit its bits",
      "value"
    ),
    ("index: 29:21", "index: 30:22", "cannot be indexed", "levels"),
    ("{ level: 1, name: SS-PDE", "{ level: 2, name: SS-PDE", "expected level 1", "order"),
    ("width: oa", "width: oa + 100", "not 1 to 64 bits", "output"),
    ("width: min(va, top)", "width: va + 20", "IOVAs of 68 bits", "input"),
    ("protection: { read: R, write: W }", "protection: { read: Q, write: W }", "unknown name 'Q'", "field"),
    (
      "protection: { read: R, write: W }", "protection: { read: R == W, write: W }", "unknown name 'W'",
      "condition"
    ),
    ("level: level\n", "level: level + 4\n", "levels are 0 to 4", "root"),
    ("levels: 1..4", "levels: 1..4\n  child: level", "not a lower one", "child"),
    ("levels: 0..2", "levels: 0..2\n  size: shift - 1", "its words cover", "size"),
    ("levels: 0..2", "levels: 0..2\n  each: { x: 0..99 }", "more than 64 values", "variants"),
    ("levels: 0..2", "levels: 0..2\n  each: { va: 0..1 }", "already a name", "variable"),
    ("  disagreement:", "  #", "'disagreement' is not described", "faults"),
    ("absent: { bits: 1:0, value: 0", "absent: { bits: 1:0, value: 4", "does not fit bits 1:0", "absent"),
    ("absent: { bits: 1:0", "absent: { bits: 0:1", "do not tell", "absent bits"),
    ("address: 12, text", "address: 40, text", "beyond bit 63", "address"),
    ("refuse:\n", "refuse:\n- { when: reed, why: x }\n", "unknown name 'reed'", "refusal"),
    (
      "  dirty: D", "  dirty: D\n  checks: [{ when: R, fault: nope, why: x }]", "unknown fault 'nope'",
      "check"
    ),
  ])
  func contradictions(_ old: String, _ new: String, _ part: String, _ what: String) throws {
    let error = try #require(try error("vtdss", old, new), "\(what)")
    #expect(error.message.contains(part), "\(what): \(error)")
    if what != "faults" { #expect(error.line > 0) }
  }

  @Test func otherMistakes() throws {
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: "", file: "x.yaml") }
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: "a: [", file: "x.yaml") }
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: "- 1", file: "x.yaml") }
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: "\u{1}", file: "x.yaml") }
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: "? [a]\n: b", file: "x.yaml") }
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: "a: *b", file: "x.yaml") }
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: "a: &a [*a]", file: "x.yaml") }
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: deep, file: "x.yaml") }
    // Each line has the line before it ten times.
    let bomb = (1..<12).map { level in
      "a\(level): &a\(level) ["
        + Array(repeating: level == 1 ? "x" : "*a\(level - 1)", count: 10).joined(separator: ",")
        + "]\n"
    }
    #expect(throws: SpecError.self) { try ReferenceSpecs.parse(yaml: bomb.joined(), file: "x.yaml") }
    let unknown = #expect(throws: SpecError.self) { try ReferenceSpecs.load(format: "amdv2") }
    #expect(unknown?.message.contains("did you mean amdv1") == true)
    let other = try TestConfigurations.parse("vtdss")
    #expect(throws: SpecError.self) {
      try ReferenceFormat(spec: ReferenceSpecs.load(format: "x86_64"), configuration: other)
    }
    var odd = try ReferenceSpecs.load(format: "vtdss")
    odd.wordBits = 128
    #expect(throws: SpecError.self) { try ReferenceFormat(spec: odd, configuration: other) }
  }

  /// Whatever is wrong with a file, reading and evaluating it ends with an error or a format.
  @Test(arguments: ReferenceSpecs.formats) func damagedFilesNeverTrap(_ format: String) throws {
    let source = try #require(ReferenceSpecs.source(format: format))
    let lines = source.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let configuration = try TestConfigurations.parse(
      format == "riscv64" ? "riscv64:features=svnapot_64k" : format)
    var generator = SplitMix(state: UInt64(format.count))
    let pieces = [
      "", "-1", "63", "64", "99999999999", "9223372036854775807", ":", "{", "0..63", "level", "shift", "-",
    ]
    var errors = 0
    for round in 0..<60 {
      var damaged = lines
      let position = Int.random(in: 0..<lines.count, using: &generator)
      switch round % 3 {
      case 0: damaged.remove(at: position)
      case 1: damaged.insert(lines[Int.random(in: 0..<lines.count, using: &generator)], at: position)
      default:
        var words = lines[position].split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        if words.isEmpty { continue }
        let word = Int.random(in: 0..<words.count, using: &generator)
        words[word] = pieces[Int.random(in: 0..<pieces.count, using: &generator)]
        damaged[position] = words.joined(separator: " ")
      }
      do {
        let spec = try ReferenceSpecs.parse(yaml: damaged.joined(separator: "\n"), file: "damaged.yaml")
        let reference = try ReferenceFormat(spec: spec, configuration: configuration)
        for level in 0..<reference.levelCount {
          _ = reference.encodeTable(level: level, pa: 0x1000)
          _ = reference.decode(~0, level: level).explanation
          for size in reference.leafSizes(level: level) {
            _ = reference.encodeLeaf(level: level, pa: 0, size: size, protection: [.read, .write])
          }
        }
      } catch is SpecError {
        errors += 1
      }
    }
    #expect(errors > 5)
  }
}
