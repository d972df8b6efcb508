// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Testing

/// A word of a walk, and the bits of it that the manual wants to be 0.
struct ReservedBits: CustomTestStringConvertible, Sendable {
  var configuration: String
  /// The level of the leaf; the word looked at is this one, or the table entry of `table`.
  var level: Int
  var table: Int?
  /// The size of the leaf; nil for the smallest of the level.
  var size: UInt64?
  /// Runs of bits, high and low.
  var bits: [(Int, Int)]

  init(
    _ configuration: String, _ level: Int, table: Int? = nil, size: UInt64? = nil, _ bits: [(Int, Int)]
  ) {
    self.configuration = configuration
    self.level = level
    self.table = table
    self.size = size
    self.bits = bits
  }

  var mask: UInt64 { bits.reduce(0) { $0 | Bits.mask($1.0, $1.1) } }
  /// Whether hardware checks a bit: Arm checks none, AMD those above the address.
  func faults(_ bit: Int) -> Bool {
    // Nothing is known of Mali and DART.
    let never = ["arm", "mali", "dart"].contains { configuration.hasPrefix($0) }
    return !never && (!configuration.hasPrefix("amd") || bit >= 52)
  }
  var testDescription: String { "\(configuration) \(table.map { "table \($0)" } ?? "leaf \(level)")" }

  /// AMD 48882, 2.2.3: bits 60:52 of a PDE, 58:52 of a PTE; the page address below the page size.
  static let amd = [
    ReservedBits("amdv1", 0, [(58, 52)]), ReservedBits("amdv1", 1, [(58, 52), (20, 12)]),
    ReservedBits("amdv1", 2, [(58, 52), (29, 12)]), ReservedBits("amdv1", 0, size: 65536, [(58, 52)]),
    ReservedBits("amdv1", 0, table: 1, [(60, 52)]), ReservedBits("amdv1:level=5", 0, table: 5, [(60, 52)]),
    ReservedBits("amdv1_mock", 0, [(58, 52)]), ReservedBits("amdv1_mock", 1, [(58, 52), (20, 12)]),
    ReservedBits("amdv1_mock", 0, table: 2, [(60, 52), (12, 12)]),
  ]

  /// VT-d D51397 9.7 and 9.8: the page address below the page size, PS where there is no page; bit 62 and, in the
  /// second stage's pointers, bit 11.
  static let intel = [
    ReservedBits("x86_64", 0, []), ReservedBits("x86_64", 1, [(20, 13)]),
    ReservedBits("x86_64", 2, [(29, 13)]), ReservedBits("x86_64", 0, table: 1, []),
    ReservedBits("x86_64", 0, table: 2, []), ReservedBits("x86_64", 0, table: 3, [(7, 7)]),
    ReservedBits("x86_64:va=57,level=4", 0, table: 4, [(7, 7)]),
    ReservedBits("vtdss", 0, [(62, 62)]), ReservedBits("vtdss", 1, [(62, 62), (20, 12)]),
    ReservedBits("vtdss", 2, [(62, 62), (29, 12)]), ReservedBits("vtdss", 0, table: 1, [(62, 62), (11, 11)]),
    ReservedBits("vtdss", 0, table: 2, [(62, 62), (11, 11)]),
    ReservedBits("vtdss", 0, table: 3, [(62, 62), (11, 11), (7, 7)]),
    ReservedBits("vtdss:va=57,level=4", 0, table: 4, [(62, 62), (11, 11), (7, 7)]),
  ]

  /// RISC-V: bits 63:54 as far as no extension uses them; D, A and U of a pointer; a misaligned page number.
  static let riscv = [
    ReservedBits("riscv64", 0, [(63, 54)]), ReservedBits("riscv64", 1, [(63, 54), (18, 10)]),
    ReservedBits("riscv64", 2, [(63, 54), (27, 10)]), ReservedBits("riscv64", 3, [(63, 54), (36, 10)]),
    ReservedBits("riscv64:va=57", 4, [(63, 54), (45, 10)]),
    ReservedBits("riscv64", 0, table: 1, [(63, 54), (7, 6), (4, 4)]),
    ReservedBits("riscv64", 0, table: 3, [(63, 54), (7, 6), (4, 4)]),
    ReservedBits("riscv64:features=svpbmt", 0, [(63, 63), (60, 54)]),
    ReservedBits("riscv64:features=svpbmt", 0, table: 1, [(63, 54), (7, 6), (4, 4)]),
    // Another size code than that of 64 KiB.
    ReservedBits("riscv64:features=svnapot_64k", 0, size: 65536, [(62, 54), (12, 10)]),
  ]

  /// Arm DDI 0487 D8.3; these are RES0, and the SMMU does not fault. Bit 16 of a block is nT.
  static let arm = [
    ReservedBits("armv8", 0, [(49, 48)]), ReservedBits("armv8", 1, [(49, 48), (20, 17), (15, 12)]),
    ReservedBits("armv8", 2, [(49, 48), (29, 17), (15, 12)]), ReservedBits("armv8", 0, table: 1, [(50, 48)]),
    ReservedBits("armv8", 0, table: 3, [(50, 48)]),
    ReservedBits("armv8:granule=16k", 0, [(49, 48), (13, 12)]),
    ReservedBits("armv8:granule=16k", 0, table: 1, [(50, 48), (13, 12)]),
    ReservedBits("armv8:granule=64k", 0, [(49, 48), (15, 12)]),
    ReservedBits("armv8:granule=64k", 0, table: 1, [(50, 48), (15, 12)]),
    ReservedBits("armv8:granule=64k,ias=52,oas=52", 0, [(49, 48)]),
    ReservedBits("armv8:granule=64k,ias=52,oas=52", 1, [(49, 48), (28, 17)]),
    ReservedBits("armv8:granule=64k,ias=52,oas=52", 0, table: 1, [(50, 48)]),
    ReservedBits("armv8:stage=2", 0, [(63, 63), (50, 48)]),
    ReservedBits("armv8:stage=2", 1, [(63, 63), (50, 48), (20, 17), (15, 12)]),
    ReservedBits("armv8:stage=2", 0, table: 1, [(63, 59), (50, 48)]),
  ]

  /// Arm DDI 0487 G5.5 and G5.4; bits 47:40 of a long descriptor are an address. MediaTek leaves PA[35:32] out.
  static let arm32 = [
    ReservedBits("arm_lpae32", 0, [(51, 48)]), ReservedBits("arm_lpae32:quirks=hd", 0, [(50, 48)]),
    ReservedBits("arm_lpae32", 1, [(51, 48), (20, 12)]), ReservedBits("arm_lpae32", 0, table: 1, [(51, 48)]),
    ReservedBits("arm_lpae32", 2, [(51, 48), (29, 12)]),
    ReservedBits("arm_lpae32:stage=2", 1, [(51, 48), (20, 11)]),
    ReservedBits("arm_lpae32:stage=2", 0, table: 2, [(63, 59), (51, 48)]),
    ReservedBits("armv7s", 0, []), ReservedBits("armv7s", 0, size: 65536, [(8, 6)]),
    ReservedBits("armv7s", 1, []), ReservedBits("armv7s", 1, size: 16 << 20, []),
    ReservedBits("armv7s", 0, table: 1, [(4, 4)]),
    ReservedBits("armv7s:oas=35,quirks=no_perms+mtk_ext", 1, size: 16 << 20, [(23, 20)]),
    ReservedBits("armv7s:oas=35,quirks=no_perms+mtk_ext", 0, table: 1, [(4, 4)]),
    ReservedBits("armv7s:oas=35,quirks=no_perms+mtk_ext+mtk_ttbr_ext", 0, table: 1, []),
  ]

  /// What Linux leaves 0 and nothing else is known of.
  static let reverseEngineered = [
    ReservedBits("mali", 0, [(63, 55), (52, 48), (11, 11), (5, 5)]),
    ReservedBits("mali", 1, [(63, 55), (52, 48), (20, 11), (5, 5)]),
    ReservedBits("mali", 0, table: 2, [(63, 56), (54, 48), (11, 2)]),
    ReservedBits("dart", 0, [(39, 36), (13, 9), (6, 2)]),
    ReservedBits("dart:granule=4k", 0, [(39, 36), (11, 9), (6, 2)]),
    ReservedBits("dart", 0, table: 1, [(63, 36), (13, 1)]),
    ReservedBits("dart:version=2,oas=42", 0, [(39, 38), (9, 4)]),
    ReservedBits("dart:version=2,oas=42", 0, table: 1, [(63, 38), (9, 1)]),
  ]
}

/// Every reserved bit of every kind of word, and no other.
struct ReservedBitsTests {
  @Test(
    arguments: ReservedBits.amd + ReservedBits.intel + ReservedBits.riscv + ReservedBits.arm
      + ReservedBits.arm32
      + ReservedBits.reverseEngineered)
  func reservedBitsAreTheManuals(_ expected: ReservedBits) throws {
    let format = try reference(expected.configuration)
    let size = expected.size ?? format.leafSizes(level: expected.level)[0]
    let mapping = try TestMapping(
      format, iova: 0, pa: 0, level: expected.level, size: size, protection: [.read, .write])
    let level = expected.table ?? expected.level
    let word = try mapping.word(level)
    let name = format.decode(word, level: level).entryName
    // A word that differs from its like is noticed in any case.
    let words = expected.table == nil ? format.leafWordCount(level: level, size: size) ?? 1 : 1
    let unnoticed: String? = words > 1 ? "disagreement" : nil
    var reserved: UInt64 = 0
    for bit in 0..<(format.wordBytes * 8) where word & Bits.bit(bit) == 0 {
      let decoded = format.decode(word | Bits.bit(bit), level: level)
      // Bits that tell the kind of word make it another one.
      if !decoded.reservedSet.isEmpty, decoded.entryName == name, decoded.kind != .malformed {
        reserved |= Bits.bit(bit)
      }
      guard expected.mask & Bits.bit(bit) != 0 else { continue }
      mapping.flip(level, Bits.bit(bit))
      #expect(mapping.fault()?.key == (expected.faults(bit) ? "reserved" : unnoticed), "bit \(bit)")
      mapping.flip(level, Bits.bit(bit))
    }
    #expect(reserved == expected.mask, "\(Numbers.hex(reserved)), not \(Numbers.hex(expected.mask))")
  }
}
