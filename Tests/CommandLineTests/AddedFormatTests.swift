// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// `--spec` and `--golden`: formats that the kit was not compiled with, those of docs/new-format.md.
@Suite("formats from a specification file")
struct AddedFormatTests {
  private let scratch: Scratch
  private let specification: String
  private let vectors: String

  init() throws {
    scratch = try Scratch()
    let text = try String(
      contentsOf: Places.repository.appendingPathComponent("docs/new-format.md"), encoding: .utf8)
    let files = try WalkThrough(text).files
    specification = try #require(files.first { $0.path == "kite.yaml" }).text
    vectors = try #require(files.first { $0.path.hasSuffix(".golden") }).text
  }

  private func line(_ text: String, of part: String) throws -> Int {
    try #require(text.components(separatedBy: "\n").firstIndex { $0.contains(part) }) + 1
  }

  @Test(
    "a bad specification is refused with file, line and what was expected",
    arguments: [
      ("word: 64", "word: 63", "expected 32 or 64 bits", 0),
      ("levels:\n", "levles:\n", "unknown key 'levles'", 0),
      ("encode: read,", "encode: raed,", "unknown name 'raed'", 0),
      (
        "{ bits: 58:34, name: reserved58_34, role: reserved }\n  - { bits: 33:2", "{ bits: 33:2",
        "does not describe", -1
      ),
      ("{ number: 32..44", "{ number: 44..32", "FROM..THROUGH", 0),
      ("{ number: 32..44, ", "{ ", "needs one of 'number', 'choice' and 'flags'", 0),
      ("{ number: 32..44, default: 44", "{ number: 32..44, default: 45", "a number from 32 to 44", 0),
      ("[\"\", ", "[\"ao=44\", ", "unknown key 'ao', did you mean oa", 0),
    ])
  func badSpecification(old: String, new: String, part: String, shift: Int) throws {
    try #require(specification.contains(old))
    let file = try scratch.write(
      specification.replacingOccurrences(of: old, with: new), to: "bad.yaml")
    let run = try Run.ptkit(
      ["encode", "--spec", file, "kite", "leaf"] + "--level 0 --pa 0 --size 4K --prot r".words)
    #expect(run.status == 65)
    #expect(run.output == "")
    #expect(run.errors.contains(part), "\(run.errors)")
    let isLocated = run.errors.hasPrefix("Error: \(file):")
    #expect(isLocated, "\(run.errors)")
    guard shift == 0, let first = new.split(separator: "\n").first else { return }
    let changed = try String(contentsOfFile: file, encoding: .utf8)
    #expect(run.errors.hasPrefix("Error: \(file):\(try line(changed, of: String(first))):"), "\(run.errors)")
  }

  @Test(
    "a specification of a known name, without tests, or that is not there, is refused",
    arguments: [
      ("format: kite", "format: vtdss", "there is a format 'vtdss' already"),
      ("tests: [\"\", \"features=flush_range+dma_incoherent\"]\n", "", "expected 'tests'"),
    ])
  func unsuitable(old: String, new: String, part: String) throws {
    let file = try scratch.write(specification.replacingOccurrences(of: old, with: new), to: "bad.yaml")
    for path in [file, "/nonexistent.yaml"] {
      let run = try Run.ptkit(["formats", "--spec", path])
      #expect(run.status == 65)
      #expect(run.errors.contains(path == file ? part : "/nonexistent.yaml: No such file"), "\(run.errors)")
    }
  }

  @Test("the format is one of all, with its keys")
  func listed() throws {
    let file = try scratch.write(specification, to: "kite.yaml")
    let run = try Run.ptkit(["formats", "--spec", file])
    #expect(run.status == 0)
    for part in ["kite: Kite, an IOMMU that does not exist", "a number from 32 to 44", "amdv1: "] {
      #expect(run.output.contains(part))
    }
    let unknown = try Run.ptkit(["formats", "kite"])
    #expect(unknown.status == 65)
    #expect(unknown.errors.contains("unknown format 'kite'"))
  }

  @Test("a bad golden file, or none, is said once, as one point, and the exit status is 65")
  func badGolden() throws {
    let spec = try scratch.write(specification, to: "kite.yaml")
    let file = try scratch.write(
      vectors.replacingOccurrences(of: "prot=rw = 0xf80000000048d158", with: "prot=rw = many"),
      to: "bad.golden")
    let place = "\(file):\(try line(vectors, of: "prot=rw = 0xf80000000048d158"))"
    let check = try Run.ptkit(["golden", "check", "--spec", spec, file])
    #expect(check.status == 65)
    #expect(check.errors.contains(place), "\(check.errors)")
    for (path, part) in [(file, place), ("/nonexistent", "/nonexistent")] {
      let run = try Run.ptkit(
        ["selftest", "--target", "lib:none.so", "--spec", spec, "--golden", path])
      #expect(run.status == 65)
      #expect(run.streamDefects == [])
      #expect(run.errors.contains(part), "\(run.errors)")
    }
  }

  @Test("a word that contradicts the specification fails, and only that")
  func contradiction() throws {
    let spec = try scratch.write(specification, to: "kite.yaml")
    let file = try scratch.write(
      vectors.replacingOccurrences(of: "= 0xc80000000048d158", with: "= 0xe80000000048d158"),
      to: "kite.golden")
    let run = try Run.ptkit(["golden", "check", "--spec", spec, file])
    #expect(run.status == 1)
    #expect(run.points.count { !$0.isOK } == 1)
    #expect(run.output.contains("reference: expected 0xe80000000048d158, found 0xc80000000048d158"))
  }

  @Test("the simulator has no code of another format to test")
  func simulator() throws {
    let spec = try scratch.write(specification, to: "kite.yaml")
    let run = try Run.ptkit(["selftest", "--spec", spec])
    #expect(run.status == 64)
    #expect(run.errors.contains("--target lib: and ksrc:"))
  }
}
