// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// The example library under the name of a format that the kit does not know, with a specification of its own.
@Suite("a library of a format from a specification file")
struct AddedFormatLibraryTests {
  private let scratch: Scratch
  private let specification: String
  private let vectors: String

  private static let keys = """
    format: falcon
    keys:
      va: { number: 39..57, default: 39, text: width of IOVAs }
      oa: { number: 32..56, default: 56, text: width of output addresses }
      features: { flags: [sign_extend], default: sign_extend, text: features of the page table }
    tests: ["va=39", "va=48"]
    """

  init() throws {
    scratch = try Scratch()
    let file = Places.repository.appendingPathComponent("Sources/ReferenceSpecs/Formats/riscv64.yaml")
    let text = try String(contentsOf: file, encoding: .utf8)
    specification = try scratch.write(
      text.replacingOccurrences(of: "format: riscv64", with: Self.keys), to: "falcon.yaml")
    vectors = try scratch.write(
      """
      # SPDX-License-Identifier: GPL-2.0-only
      golden 1
      source RISC-V, Sv39 (written by hand)
      behaviour generic
      format falcon
      config va=39
      memory base=0x100000000

      entry leaf level=0 pa=0x1000 size=4K prot=r = 0x45b
      entry leaf level=1 pa=0x200000 size=2M prot=rw = 0x800df
      entry leaf level=1 pa=0x1000 size=2M prot=rw = invalid
      entry table level=1 pa=0x2000 = 0x801

      case one-page
      map 0x1000 0x2000 0x1000 rw => ok
      image
      T0 L2 [0x0] 0x1 -> T1
      T1 L1 [0x0] 0x1 -> T2
      T2 L0 [0x1] 0x8df
      end

      """, to: "falcon.golden")
  }

  /// Builds the example under the other name, with one text in the place of another, and tests it.
  private func selftest(
    _ names: String, old: String = "", new: String = "", change: (String) -> String = { $0 }
  ) throws -> Run {
    var text = try ExampleLibrary().text().replacingOccurrences(of: "\"riscv64", with: "\"falcon")
    try #require(old.isEmpty || text.contains(old), "the example has no '\(old)'")
    text = text.replacingOccurrences(of: old, with: new)
    let library = try ExampleLibrary.compile(change(text), in: scratch)
    let run = try Run.ptkit(
      ["selftest", "--target", "lib:\(library)", "--spec", specification, "--golden", vectors] + names.words)
    #expect(run.streamDefects == [])
    return run
  }

  @Test("it gets golden vectors, walks, rules, events and threads, and the laws")
  func passes() throws {
    let run = try selftest("")
    #expect(run.status == 0, "\(run.output)")
    for name in [
      "golden.falcon.falcon", "roundtrip.falcon", "walker.falcon.va48", "semantics.falcon.best_size_length",
      "semantics.falcon.va-48.laws", "events.falcon", "allocfail.falcon", "concurrency.falcon.va48",
    ] {
      #expect(run.points.contains { $0.name == name && $0.isOK && $0.directive.isEmpty }, "\(name)")
    }
  }

  @Test("without the specification it gets the laws only")
  func lawsOnly() throws {
    _ = try selftest("*.laws")
    let run = try Run.ptkit(["selftest", "--target", "lib:\(scratch.path("sv.so").path)"])
    #expect(run.status == 0, "\(run.output)")
    #expect(run.points.dropFirst().allSatisfy { $0.name.hasSuffix(".laws") })
    #expect(run.points.count == 4)
  }

  @Test("ptkit image reads its tables by the specification")
  func image() throws {
    _ = try selftest("*.laws")
    let run = try Run.ptkit([
      "image", "--target", "lib:\(scratch.path("sv.so").path)", "--spec", specification, "falcon",
      "map 0x1000 0x2000 0x1000 rw",
    ])
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.lines.contains("T2 L0 [0x1] 0x8df"))
    let unknown = try Run.ptkit(["image", "falcon", "phys 0x0"])
    #expect(unknown.status == 65)
  }

  @Test(
    "the laws alone see wrong output addresses, at the upper end and in large leaves",
    arguments: [
      // Bit 55 is lost both ways; a large leaf loses its lowest bit.
      ("(word & WORD_PPN) << 2", "(word & WORD_PPN) << 2 & ~(1ull << 55)"),
      (
        "leaf_word(pa + done, protection)",
        "leaf_word((pa + done) & ~(level ? 1ull << 21 : 0), protection)"
      ),
    ])
  func lawsSee(old: String, new: String) throws {
    let run = try selftest("semantics.falcon.va-39.oa-56.laws", old: old, new: new) {
      $0.replacingOccurrences(of: "\"falcon:va=39\"", with: "\"falcon:va=39,oa=56\"")
    }
    #expect(run.status == 1)
    #expect(run.output.contains("# phys 0x"), "\(run.output)")
  }

  @Test("a wrong bit is found by golden entries, by images and by walks, and shown beside the right one")
  func wrongBit() throws {
    let run = try selftest(
      "golden walker *.laws", old: "protection & PTKIT_WRITE ? WORD_W",
      new: "protection & PTKIT_READ ? WORD_W")
    #expect(run.status == 1)
    #expect(run.points.filter { !$0.isOK }.contains { $0.name == "golden.falcon.falcon" })
    #expect(run.points.filter { !$0.isOK }.contains { $0.name == "walker.falcon" })
    #expect(run.output.contains("entry: expected 0x45b, found 0x4df"), "\(run.output)")
    #expect(run.output.contains("--spec \(specification) --golden \(vectors)"))
  }
}
