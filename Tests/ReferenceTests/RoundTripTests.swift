// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import ReferenceSpecs
import Testing

/// decode(encode(x)) is x, over every level, size and flag of every configuration.
struct RoundTripTests {
  /// All 64 combinations of protection flags.
  static let protections = (0..<64).map { Protection(rawValue: $0) }

  /// Addresses for a leaf: the lowest, the highest, and each single address bit.
  static func addresses(size: UInt64, width: Int) -> [UInt64] {
    let highest = Bits.lowMask(width) & ~(size - 1)
    let bits = (size.trailingZeroBitCount..<width).map { Bits.bit($0) }
    return [0, highest] + bits
  }

  @Test(arguments: TestConfigurations.all) func leaves(_ text: String) throws {
    let format = try reference(text)
    var tried = 0
    var encoded = 0
    for level in 0..<format.levelCount {
      for size in format.leafSizes(level: level) where size.trailingZeroBitCount <= format.outputWidth {
        for pa in Self.addresses(size: size, width: format.outputWidth) {
          // Every flag at the ends of the address range, every address bit with one protection.
          let isEnd = pa == 0 || pa.nonzeroBitCount > 1
          for protection in isEnd ? Self.protections : [[.read, .write]] {
            tried += 1
            encoded += try roundTrip(format, level: level, pa: pa, size: size, protection: protection)
          }
        }
      }
    }
    // What no format refuses: read, write or both with any other flags; half with forced write.
    #expect(encoded > tried / 4)
  }

  private func roundTrip(
    _ format: ReferenceFormat, level: Int, pa: UInt64, size: UInt64, protection: Protection
  ) throws -> Int {
    guard let word = format.encodeLeaf(level: level, pa: pa, size: size, protection: protection) else {
      return 0
    }
    let decoded = format.decode(word, level: level)
    guard case .leaf(let leaf) = decoded.kind else {
      Issue.record("\(format.configuration): \(decoded.explanation)")
      return 1
    }
    #expect(leaf.pa == pa && leaf.size == size, "\(format.configuration): \(decoded.explanation)")
    #expect(decoded.reservedSet.isEmpty && decoded.problems.isEmpty)
    #expect(!leaf.protection.isDisjoint(with: [.read, .write]))
    // The format may ignore flags, but not write where none is asked for, nor lose what it has said.
    let isLax = format.configuration.flags("quirks").contains("no_perms")
    if !protection.contains(.write), !isLax { #expect(!leaf.protection.contains(.write)) }
    let again = format.encodeLeaf(
      level: level, pa: leaf.pa, size: leaf.size, protection: leaf.protection, dirty: false,
      accessed: false)
    if protection == leaf.protection { #expect(again == word) }
    let last = (format.leafWordCount(level: level, size: size) ?? 1) - 1
    let lastWord = format.encodeLeafWord(last, level: level, pa: pa, size: size, protection: protection)
    let shift = UInt64(format.shift(level: level) ?? 0)
    if leaf.isConsecutive {
      let end = format.decode(lastWord ?? 0, level: level)
      guard case .leaf(let lastLeaf) = end.kind else {
        Issue.record("\(end.explanation)")
        return 1
      }
      #expect(lastLeaf.pa == pa + UInt64(last) << shift)
    } else {
      #expect(lastWord == word)
    }
    return 1
  }

  @Test(arguments: TestConfigurations.all) func tables(_ text: String) throws {
    let format = try reference(text)
    for level in 0..<format.levelCount {
      let bytes = UInt64(format.wordCount(level: max(0, level - 1), isRoot: false) * format.wordBytes)
      let aligned = max(bytes, 4096)
      for pa in Self.addresses(size: aligned, width: format.outputWidth) {
        guard let word = format.encodeTable(level: level, pa: pa) else { continue }
        #expect(level > 0)
        let decoded = format.decode(word, level: level)
        #expect(decoded.kind == .table(child: pa, level: level - 1), "\(text): \(decoded.explanation)")
        #expect(decoded.reservedSet.isEmpty && decoded.problems.isEmpty)
        let zero = try #require(format.encodeTable(level: level, pa: 0))
        #expect(format.wordKind(word, level: level) == .table(child: pa, cleared: zero))
      }
      // The second version of DART has no bits for tables of 4 KiB, but for every fourth.
      let lacksBits = text == "dart:version=2,granule=4k"
      if level > 0 { #expect((format.encodeTable(level: level, pa: aligned) == nil) == lacksBits) }
    }
    #expect(format.encodeTable(level: 0, pa: 0) == nil)
  }

  /// Which flags come back, where each format tells them apart.
  @Test(arguments: [
    ("amdv1", "r,w,rw"), ("amdv1:cbit=47", "r,w,rw r,mmio w,mmio rw,mmio"), ("amdv1_mock", "r,w,rw"),
    ("x86_64", "r rw"), ("vtdss", "r,w,rw"), ("vtdss:features=force_writeable", "w,rw"),
    ("riscv64", "r rw r,noexec rw,noexec"),
    ("riscv64:features=svpbmt", "r rw r,cache rw,cache r,mmio rw,mmio r,noexec rw,cache,noexec"),
    ("armv8", "r rw r,cache rw,cache r,mmio rw,noexec rw,priv rw,cache,noexec,priv"),
    ("armv8:stage=2", "r,w,rw r,cache w,cache r,mmio rw,noexec w,cache,noexec"),
    ("arm_lpae32", "r rw r,cache rw,cache r,mmio rw,noexec rw,priv rw,cache,noexec,priv"),
    ("arm_lpae32:stage=2", "r,w,rw r,cache w,cache r,mmio rw,noexec w,cache,noexec"),
    ("arm_lpae32:stage=2,quirks=s2fwb", "r,w,rw r,cache w,cache r,mmio rw,noexec"),
    ("armv7s", "r rw r,cache rw,cache r,mmio rw,noexec rw,priv r,cache,noexec,priv"),
    ("armv7s:quirks=no_perms", "rw rw,cache rw,mmio"),
    ("armv7s:oas=35,quirks=no_perms+mtk_ext", "rw rw,cache rw,mmio"),
    ("mali", "r,w,rw r,cache w,mmio rw,noexec w,cache,noexec"), ("dart", "r,w,rw"),
    ("dart:version=2", "r,w,rw r,cache w,cache rw,cache"),
  ])
  func flagsComeBack(_ text: String, _ list: String) throws {
    let format = try reference(text)
    // `r,w,rw` is short for three protections.
    let words = list.split(separator: " ").flatMap { word in
      word.hasPrefix("r,w,") || word == "w,rw" ? word.split(separator: ",") : [word]
    }
    for level in 0..<format.levelCount {
      for size in format.leafSizes(level: level) {
        for word in words {
          let protection = try #require(Protection(text: word))
          let value = try #require(format.encodeLeaf(level: level, pa: 0, size: size, protection: protection))
          guard case .leaf(let leaf) = format.decode(value, level: level).kind else {
            Issue.record("\(text) \(word)")
            continue
          }
          #expect(leaf.protection == protection, "\(text) level \(level)")
        }
      }
    }
  }

  @Test func dirtyAndAccessedComeBack() throws {
    for text in ["amdv1", "amdv1_mock", "vtdss"] {
      let format = try reference(text)
      let size = format.leafSizes(level: 0)[0]
      for (dirty, accessed) in [(false, false), (true, false), (false, true), (true, true)] {
        let word = try #require(
          format.encodeLeaf(
            level: 0, pa: 0, size: size, protection: [.read, .write], dirty: dirty, accessed: accessed))
        guard case .leaf(let leaf) = format.decode(word, level: 0).kind else {
          Issue.record("\(text)")
          continue
        }
        #expect(leaf.dirty == dirty && leaf.accessed == accessed)
      }
    }
  }

  @Test func whatCannotBeExpressedIsNil() throws {
    let amd = try reference("amdv1")
    let rw: Protection = [.read, .write]
    #expect(amd.encodeLeaf(level: 0, pa: 0x1000, size: 0x2000, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 0, pa: 0, size: 1 << 21, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 1, pa: 0, size: 0x1000, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 3, pa: 0, size: 1 << 39, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 5, pa: 0, size: 1 << 57, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 0, pa: 1 << 52, size: 0x1000, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 0, pa: 0, size: 0x1000, protection: [.cache]) == nil)
    #expect(amd.encodeLeaf(level: -1, pa: 0, size: 0x1000, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 9, pa: 0, size: 0x1000, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 0, pa: 0, size: 0, protection: rw) == nil)
    #expect(amd.encodeLeaf(level: 0, pa: 0, size: 0x3000, protection: rw) == nil)
    #expect(amd.encodeLeafWord(1, level: 0, pa: 0, size: 0x1000, protection: rw) == nil)
    #expect(amd.encodeTable(level: 1, pa: 0x800) == nil)
    #expect(amd.encodeTable(level: 1, pa: 1 << 52) == nil)
    // An output address cannot contain the encryption bit.
    let encrypted = try reference("amdv1:cbit=47")
    #expect(encrypted.encodeLeaf(level: 0, pa: 1 << 47, size: 0x1000, protection: rw) == nil)
    #expect(encrypted.encodeTable(level: 1, pa: 1 << 47) == nil)
    #expect(encrypted.encodeLeaf(level: 4, pa: 0, size: 1 << 49, protection: rw) == nil)
    let writable = try reference("vtdss:features=force_writeable")
    #expect(writable.encodeLeaf(level: 0, pa: 0, size: 0x1000, protection: [.read]) == nil)
    #expect(writable.refusal([.read]) != nil)
    #expect(writable.refusal(rw) == nil)
    let arm = try reference("armv8:pgsizes=0x201000")
    #expect(arm.leafSizes(level: 2) == [])
    #expect(arm.encodeLeaf(level: 2, pa: 0, size: 1 << 30, protection: rw) == nil)
    // Address bits that the words have not.
    let dart = try reference("dart:oas=42")
    #expect(dart.encodeLeaf(level: 0, pa: 1 << 36, size: 0x4000, protection: rw) == nil)
    let small = try reference("dart:version=2,granule=4k")
    #expect(small.encodeLeaf(level: 0, pa: 0x3000, size: 0x1000, protection: rw) == nil)
    #expect(small.encodeLeaf(level: 0, pa: 0x4000, size: 0x1000, protection: rw) != nil)
    let medium = try reference("armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext")
    #expect(medium.encodeLeaf(level: 1, pa: 0x7_ff00_0000, size: 16 << 20, protection: rw) != nil)
    #expect(medium.encodeLeaf(level: 1, pa: 0x7_fff0_0000, size: 16 << 20, protection: rw) == nil)
    #expect(medium.encodeTable(level: 1, pa: 1 << 32) == nil)
    #expect(medium.encodeTable(level: 1, pa: 0x400) != nil && medium.encodeTable(level: 1, pa: 0x200) == nil)
    let narrow = try reference("riscv64:oa=44")
    #expect(narrow.encodeLeaf(level: 0, pa: 1 << 44, size: 0x1000, protection: rw) == nil)
  }

  @Test func leafSizes() throws {
    let sizes = { (text: String, level: Int) in
      try reference(text).leafSizes(level: level).map(Numbers.size)
    }
    #expect(try sizes("amdv1", 0) == ["4K", "8K", "16K", "32K", "64K", "128K", "256K", "512K", "1M"])
    #expect(try sizes("amdv1", 3) == ["1T", "2T", "4T", "8T", "16T", "32T", "64T", "128T"])
    #expect(try sizes("amdv1", 4) == ["256T", "512T", "1P", "2P"])
    #expect(try sizes("amdv1:cbit=47", 4) == ["256T"])
    #expect(try sizes("amdv1", 5) == [])
    #expect(try sizes("amdv1_mock", 0) == ["2K", "4K", "8K", "16K", "32K", "64K", "128K", "256K", "512K"])
    #expect(try sizes("amdv1_mock:level=4", 3) == ["256G", "1T", "2T", "4T", "8T", "16T", "32T", "64T"])
    #expect(try sizes("x86_64", 2) == ["1G"])
    #expect(try sizes("x86_64", 3) == [])
    #expect(try sizes("riscv64:features=svnapot_64k", 0) == ["4K", "64K"])
    #expect(try sizes("riscv64:va=57", 4) == ["256T"])
    #expect(try sizes("armv8", 1) == ["2M"])
    #expect(try sizes("armv8:contig=1", 2) == ["1G", "16G"])
    #expect(try sizes("armv8:granule=16k,contig=1", 0) == ["16K", "2M"])
    #expect(try sizes("armv8:granule=16k,contig=1", 1) == ["32M", "1G"])
    #expect(try sizes("armv8:granule=16k", 2) == [])
    #expect(try sizes("armv8:granule=64k,contig=1", 1) == ["512M", "16G"])
    #expect(try sizes("armv8:granule=64k", 2) == [])
    #expect(try sizes("armv8:granule=64k,ias=52,oas=52,contig=1", 2) == ["4T"])
    #expect(try sizes("arm_lpae32", 2) == ["1G"] && sizes("arm_lpae32", 0) == ["4K"])
    #expect(try sizes("armv7s", 0) == ["4K", "64K"] && sizes("armv7s", 1) == ["1M", "16M"])
    #expect(
      try sizes("armv7s:pgsizes=0x101000", 0) == ["4K"] && sizes("armv7s:pgsizes=0x101000", 1) == ["1M"])
    #expect(try sizes("mali", 3) == [] && sizes("mali", 2) == ["1G"])
    #expect(
      try sizes("dart", 0) == ["16K"] && sizes("dart", 1) == [] && sizes("dart:granule=4k", 0) == ["4K"])
  }
}
