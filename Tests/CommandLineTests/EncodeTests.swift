// SPDX-License-Identifier: GPL-2.0-only

import Testing

@Suite("ptkit encode and decode")
struct EncodeTests {
  @Test("a leaf and a table come out as one word")
  func words() throws {
    let leaf = try Run.ptkit(
      "encode amdv1 leaf --level 0 --pa 0x123456000 --size 4K --prot rw".words)
    #expect(leaf.status == 0)
    #expect(leaf.output == "0x7000000123456001\n")
    #expect(leaf.errors == "")
    let table = try Run.ptkit("encode amdv1 table --level 2 --pa 0x1fff000".words)
    #expect(table.output == "0x6000000001fff401\n")
  }

  @Test("sizes may be written in all notations", arguments: ["2097152", "0x200000", "2048K", "2M"])
  func sizes(size: String) throws {
    let run = try Run.ptkit("encode x86_64 leaf --level 1 --pa 1G --size \(size) --prot rw".words)
    #expect(
      run.output
        == (try Run.ptkit("encode x86_64 leaf --level 1 --pa 0x40000000 --size 2M --prot rw".words)).output)
    #expect(run.status == 0)
    #expect(run.output.hasPrefix("0x"))
  }

  @Test("flags of the protection and the dirty state change the word")
  func flags() throws {
    let base = "encode x86_64 leaf --level 0 --pa 0 --size 4K --prot"
    let read = try Run.ptkit("\(base) r".words).output
    let write = try Run.ptkit("\(base) rw".words).output
    let cached = try Run.ptkit(
      "encode vtdss:features=force_coherence leaf --level 0 --pa 0 --size 4K --prot rw,cache".words)
    let dirty = try Run.ptkit("\(base) rw --dirty".words).output
    #expect(Set([read, write]).count == 2)
    #expect(dirty.hasPrefix("0x"))
    #expect(cached.status == 0)
  }

  @Test(
    "what the format cannot express is invalid, with the reason and status 1",
    arguments: [
      ("--level 0 --pa 0x1001 --size 4K", "aligned"), ("--level 0 --pa 0 --size 8M", "leaf sizes there are"),
      ("--level 7 --pa 0 --size 4K", "no level 7"),
      ("--level 0 --pa 0xfff0000000000000 --size 4K", "more than 52 bits"),
    ])
  func invalid(options: String, reason: String) throws {
    let run = try Run.ptkit("encode amdv1 leaf --prot rw \(options)".words)
    #expect(run.status == 1)
    #expect(run.output.hasPrefix("invalid: "))
    #expect(run.output.contains(reason))
  }

  @Test("a leaf without size is wrong usage")
  func missingSize() throws {
    let run = try Run.ptkit("encode amdv1 leaf --level 0 --pa 0 --prot rw".words)
    #expect(run.status == 64)
    #expect(run.errors.contains("--size"))
    #expect(run.output == "")
  }

  @Test(
    "numbers and protections that are none are wrong usage, with what is known",
    arguments: [
      ("--level 0 --pa zz --size 4K --prot rw", "4096, 0x1000, 4K"),
      ("--level x --pa 0 --size 4K --prot rw", "no number"), ("--level 0 --pa 0 --size 4KB --prot rw", "4K"),
      ("--level 0 --pa 0 --size 4K --prot wr", ",noexec"),
      ("--level 0 --pa 0x10000000000000000 --size 4K --prot r", "no number"),
    ])
  func badNumbers(options: String, hint: String) throws {
    let run = try Run.ptkit("encode amdv1 leaf \(options)".words)
    #expect(run.status == 64)
    #expect(run.errors.contains(hint))
    #expect(run.output == "")
  }

  @Test("decode shows each field with its meaning and the manual's section")
  func decode() throws {
    let run = try Run.ptkit("decode amdv1 --level 0 0x7000000123456001".words)
    #expect(run.status == 0)
    #expect(run.lines.first?.contains("4K at 0x123456000, rw") == true)
    #expect(run.lines.contains { $0.contains("IW") && $0.contains("write allowed") && $0.contains("[2.2.3") })
    #expect(!run.output.contains("!"))
  }

  @Test("decode names reserved bits that are set")
  func reserved() throws {
    let run = try Run.ptkit("decode amdv1 --level 0 0x7400000123456001".words)
    #expect(run.lines.contains { $0.hasPrefix("!") && $0.contains("reserved bits set") && $0.contains("58") })
  }

  @Test("decode --json is valid JSON and says the same")
  func json() throws {
    let run = try Run.ptkit("decode --json amdv1 --level 0 0x7400000123456001".words)
    let object = try #require(try run.json() as? [String: Any])
    #expect(object["word"] as? String == "0x7400000123456001")
    #expect((object["kind"] as? [String: Any])?["pa"] as? String == "0x123456000")
    #expect((object["reservedSet"] as? [String])?.count == 1)
  }

  @Test("a level that is none and a word that is none are refused")
  func wrongDecode() throws {
    #expect(try Run.ptkit("decode amdv1 --level 9 0x1".words).status == 65)
    #expect(try Run.ptkit("decode amdv1 --level 0 0x1g".words).status == 64)
  }

  @Test("the words of encode decode to what was asked, in every format")
  func roundTrip() throws {
    for format in ["amdv1", "amdv1_mock", "x86_64", "vtdss", "riscv64", "armv8"] {
      let encoded = try Run.ptkit("encode \(format) leaf --level 1 --pa 0x40000000 --size 2M --prot rw".words)
      try #require(encoded.status == 0, "\(format): \(encoded.output)\(encoded.errors)")
      let word = encoded.output.trimmingCharacters(in: .newlines)
      let decoded = try Run.ptkit(["decode", format, "--level", "1", word])
      #expect(decoded.output.contains("2M at 0x40000000, rw"), "\(format)")
    }
  }
}
