// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import ReferenceSpecs
import Testing

/// What decoding says about words.
struct DecodeTests {
  @Test func sizeInTheAddressIsDecoded() throws {
    let decoded = try reference("amdv1").decode(0x7000_0043_ffff_fe01, level: 2)
    guard case .leaf(let leaf) = decoded.kind else {
      Issue.record("\(decoded.explanation)")
      return
    }
    #expect(leaf.pa == 0x40_0000_0000)
    #expect(leaf.size == 32 << 30)
    #expect(leaf.wordCount == 32 && !leaf.isConsecutive)
    #expect(leaf.protection == [.read, .write])
  }

  @Test func explanationsAreComplete() throws {
    let text = try reference("amdv1").decode(0x7000_0001_2345_6061, level: 0).explanation
    let lines = text.split(separator: "\n")
    #expect(
      lines.first
        == "0x7000000123456061 at level 0 (level 1): PTE, 4K at 0x123456000, rw, dirty, accessed")
    for part in ["FC", "force coherent", "51:12", "0x123456", "page of the level's size", "2.2.3"] {
      #expect(text.contains(part), "\(part)")
    }
    let table = try reference("x86_64").decode(0x1027, level: 3)
    #expect(
      table.explanation.hasPrefix(
        "0x1027 at level 3 (PML4E): table entry, pointer to a table of level 2 at 0x1000"))
    let word = try reference("armv8:contig=1").decode(0x0010_0004_0001_0f47, level: 0)
    #expect(
      word.explanation.contains("64K at 0x400010000, rw,cache, one of 16 words with consecutive addresses"))
    let empty = try reference("vtdss").decode(0x1000, level: 1)
    #expect(empty.kind == .empty)
    #expect(empty.explanation.contains("not present"))
  }

  /// The fields of a decoded word are a partition of its bits, with their values.
  @Test(arguments: TestConfigurations.all) func fieldsCoverTheWord(_ text: String) throws {
    let format = try reference(text)
    var generator = SplitMix(state: 7)
    for level in 0..<format.levelCount {
      for round in 0..<200 {
        let all = Bits.lowMask(format.wordBytes * 8)
        let word = round == 0 ? 0 : (generator.next() | (round % 3 == 0 ? 0 : 3)) & all
        let decoded = format.decode(word, level: level)
        var rebuilt: UInt64 = 0
        var covered: UInt64 = 0
        for field in decoded.fields {
          let mask = Bits.mask(field.high, field.low)
          #expect(covered & mask == 0)
          covered |= mask
          rebuilt |= field.value << UInt64(field.low)
        }
        #expect(covered == all && rebuilt == word, "\(text) \(decoded.explanation)")
        #expect(decoded.fields.map(\.high) == decoded.fields.map(\.high).sorted(by: >))
      }
    }
  }

  /// Setting one reserved bit of a good word names it, and the hardware faults or not as it should.
  @Test(arguments: [
    ("amdv1", 0, 55, "reserved58_52", true), ("amdv1", 1, 60, "reserved60_52", true),
    ("x86_64", 1, 15, "reservedAddress", true), ("vtdss", 0, 62, "reserved62", true),
    ("vtdss", 1, 14, "reservedAddress", true), ("riscv64", 0, 63, "N", true),
    ("riscv64", 0, 61, "PBMT", true),
    ("riscv64", 0, 57, "reserved60_54", true), ("riscv64", 1, 12, "PPNlow", true),
    ("armv8", 0, 48, "res49_48", false), ("armv8", 1, 13, "resAddress", false),
    ("armv8:stage=2", 0, 63, "res63", false),
  ])
  func reservedBitsAreNamed(_ text: String, _ level: Int, _ bit: Int, _ name: String, _ faults: Bool) throws {
    let format = try reference(text)
    let isTable = text == "amdv1" && level == 1
    let size = format.leafSizes(level: level)[0]
    let mapping = try TestMapping(
      format, iova: 0, pa: 0x4000_0000, level: isTable ? 0 : level, size: isTable ? 0x1000 : size,
      protection: [.read, .write])
    #expect(mapping.fault() == nil)
    mapping.flip(level, Bits.bit(bit))
    let word = try mapping.word(level)
    let decoded = format.decode(word, level: level)
    #expect(decoded.reservedSet == ["\(name) (bit \(bit))"])
    #expect(decoded.explanation.contains("! reserved bits set: \(name)"))
    #expect(decoded.fields.contains { $0.name == name && $0.isWrong })
    if faults {
      let fault = try #require(mapping.fault())
      #expect(fault.key == "reserved" && fault.reason.contains(name))
      #expect(fault.step?.level == level && fault.step?.word == word)
    } else {
      #expect(mapping.fault() == nil)
    }
  }

  @Test func malformedWordsAreExplained() throws {
    let amd = try reference("amdv1")
    // NextLevel 3 at level 1: neither a page nor a pointer.
    let decoded = amd.decode(0x7000_0000_0000_1601, level: 0)
    #expect(decoded.kind == .malformed)
    #expect(decoded.explanation.contains("malformed, nearest to 'PTE'"))
    #expect(decoded.problems.contains { $0.contains("NextLevel") })
    // NextLevel 7 with a size that level 1 does not have.
    #expect(amd.decode(0x7000_0000_0fff_fe01, level: 0).kind == .malformed)
    let arm = try reference("armv8")
    #expect(arm.decode(0x741, level: 0).kind == .malformed)
    #expect(arm.decode(0x741, level: 3).kind == .malformed)
    #expect(try reference("riscv64").decode(0xd9, level: 0).problems.isEmpty)
    #expect(try reference("riscv64").decode(0xd5, level: 0).problems == ["W without R is reserved"])
    #expect(try reference("riscv64").decode(0x11, level: 0).problems.contains("a pointer at the last level"))
  }
}

/// A small generator of random words, the same in every run.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
