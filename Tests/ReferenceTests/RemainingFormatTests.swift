// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Testing

/// What the formats with short words, several roots or no manual have of their own.
struct RemainingFormatTests {
  private func mapping(
    _ text: String, iova: UInt64 = 0, pa: UInt64 = 0, level: Int = 0, size: UInt64? = nil,
    protection: Protection = [.read, .write]
  ) throws -> TestMapping {
    let format = try reference(text)
    return try TestMapping(
      format, iova: iova, pa: pa, level: level, size: size ?? format.leafSizes(level: level)[0],
      protection: protection)
  }

  /// 16 words are one supersection or large page; one that differs is found, whichever and by whatever bit.
  @Test(arguments: [(1, 16 << 20), (0, 64 << 10)] as [(Int, UInt64)])
  func sixteenWordsMustAgree(_ level: Int, _ size: UInt64) throws {
    let mapping = try mapping("armv7s", iova: 5 * size, pa: 7 * size, level: level, size: size)
    #expect(mapping.fault() == nil)
    for position in 1..<16 {
      for bit in [2, 3, 9, 11, 31] {
        mapping.flip(level, Bits.bit(bit), offset: position)
        let fault = try #require(mapping.fault())
        #expect(fault.key == "disagreement" && fault.name == "FSR.TLBMCF")
        #expect(fault.reason.contains("word \(position) of 16"))
        mapping.flip(level, Bits.bit(bit), offset: position)
      }
    }
    #expect(mapping.fault() == nil)
  }

  @Test func accessFlags() throws {
    for (text, bit) in [("armv7s", 4), ("arm_lpae32", 10), ("arm_lpae32:stage=2", 10)] {
      let mapping = try mapping(text)
      mapping.flip(0, Bits.bit(bit))
      #expect(mapping.fault()?.name == "FSR.AFF" && mapping.fault()?.code == 4)
    }
    // The bit is part of the address with MediaTek, and nothing without permissions.
    let medium = try mapping("armv7s:oas=35,quirks=no_perms+mtk_ext")
    medium.flip(0, 1 << 4)
    #expect(try medium.walk().get().pa == 1 << 33)
    let plain = try mapping("armv7s:quirks=no_perms")
    plain.flip(0, 1 << 4)
    #expect(try plain.walk().get().pa == 0)
  }

  /// Address bits beyond the output size, and beyond what Linux ever writes.
  @Test(arguments: [
    ("arm_lpae32:oas=32", 39, "FSR.ASF"), ("arm_lpae32", 44, "FSR.ASF"),
    ("mali:oas=36", 39, "ADDR_SIZE_FAULT_OUT0"),
    ("mali", 41, "ADDR_SIZE_FAULT_OUT0"), ("armv7s:oas=34,quirks=no_perms+mtk_ext", 5, "FSR.ASF"),
    ("dart:version=2", 37, "undefined"),
  ])
  func addressesBeyondTheOutputSize(_ text: String, _ bit: Int, _ name: String) throws {
    let mapping = try mapping(text)
    mapping.flip(0, Bits.bit(bit))
    let fault = try #require(mapping.fault())
    #expect(fault.key == "address_size" && fault.name == name)
  }

  /// A supersection's address has 40 bits; with 32 of them used, the others are a fault.
  @Test func supersectionsHaveFortyBits() throws {
    let mapping = try mapping("armv7s", level: 1, size: 16 << 20)
    for position in 0..<16 { mapping.flip(1, 1 << 5 | 1 << 20, offset: position) }
    #expect(mapping.fault()?.key == "address_size")
    guard case .leaf(let leaf) = mapping.format.decode(try mapping.word(1), level: 1).kind else {
      Issue.record("no leaf")
      return
    }
    #expect(leaf.pa == 1 << 36 | 1 << 32)
  }

  /// The level is part of the fault's name.
  @Test func faultsNameTheLevel() throws {
    for level in 0...3 {
      let mapping = try mapping("mali")
      mapping.flip(level, 1)
      let fault = try #require(mapping.fault())
      #expect(fault.key == "absent" && fault.name == "TRANSLATION_FAULT_\(3 - level)")
      #expect(fault.code == 0xc3 - level)
    }
    let dart = try mapping("dart")
    dart.flip(0, 1)
    #expect(dart.fault()?.name == "NO_PTE" && dart.fault()?.key == "absent")
    dart.flip(1, 1)
    #expect(dart.fault()?.name == "NO_PMD" && dart.fault()?.code == 2)
  }

  /// Table descriptors of stage 1 restrict what lies below.
  @Test func tableDescriptorsRestrict() throws {
    let mapping = try mapping("arm_lpae32")
    #expect(try mapping.walk(.write).get().protection == [.read, .write])
    mapping.flip(2, 1 << 62)
    #expect(mapping.fault(.write)?.name == "FSR.PF" && mapping.fault(.read) == nil)
    mapping.flip(1, 1 << 60 | 1 << 61)
    #expect(try mapping.walk().get().protection == [.read, .noexec, .priv])
    let second = try self.mapping("arm_lpae32:stage=2")
    second.flip(1, 7 << 60)
    #expect(try second.walk(.write).get().protection == [.read, .write])
  }

  /// Contiguous words are read also where Linux writes none.
  @Test func contiguousWordsMustFollowEachOther() throws {
    let mapping = try mapping("arm_lpae32:contig=1", iova: 1 << 25, pa: 1 << 33, level: 1, size: 1 << 25)
    #expect(try mapping.walk(offset: 0x1ff_ffff).get().pa == 1 << 33 | 0x1ff_ffff)
    let plain = try reference("arm_lpae32")
    let iova: UInt64 = 1 << 25 | 0x1234
    let found = try plain.walk(iova: iova, root: mapping.root, memory: mapping.memory, access: .read).get()
    #expect(found.leafSize == 1 << 25 && found.pa == 1 << 33 | 0x1234)
    mapping.flip(1, 1 << 21, offset: 9)
    #expect(mapping.fault()?.name == "FSR.TLBMCF")
  }

  /// The last level of Mali has the type of a block; a page's type there is no entry.
  @Test func maliLeavesAreBlocks() throws {
    let mapping = try mapping("mali")
    #expect(try mapping.word(0) & 3 == 1)
    mapping.flip(0, 2)
    #expect(mapping.fault()?.key == "malformed")
    let arm = try self.mapping("arm_lpae32")
    arm.flip(0, 2)
    #expect(arm.fault()?.key == "malformed")
  }

  /// Which part of a page may be accessed.
  @Test(arguments: ["dart", "dart:version=2,oas=42"]) func partsOfPages(_ text: String) throws {
    let mapping = try mapping(text)
    for bit in [40, 45, 51, 52, 63] {
      mapping.flip(0, Bits.bit(bit))
      // SP_DIS of version 1 makes the whole page accessible.
      #expect(mapping.fault()?.key == (text == "dart" ? nil : "subpage"))
      guard text == "dart" else {
        mapping.flip(0, Bits.bit(bit))
        continue
      }
      mapping.flip(0, 2)
      #expect(mapping.fault(.write)?.key == "subpage" && mapping.fault(.write)?.name == "WRITE_FAULT")
      mapping.flip(0, 2 | Bits.bit(bit))
    }
  }

  /// The same page through each of four roots, and through a wrong one.
  @Test func dartChoosesAmongRoots() throws {
    let format = try reference("dart:granule=4k")
    let memory = TestMemory(base: 0x8000_0000)
    var roots: [TableRoot] = []
    for ordinal in 0..<4 as Range<UInt64> {
      let root = 0x8000_0000 + ordinal * 0x2000
      roots.append(TableRoot(physical: root, level: 1))
      memory.set(root, 5, try #require(format.encodeTable(level: 1, pa: root + 0x1000)))
      let pa = (ordinal + 1) << 20
      let leaf = format.encodeLeaf(level: 0, pa: pa, size: 4096, protection: [.read, .write])
      memory.set(root + 0x1000, 3, try #require(leaf))
    }
    for ordinal in 0..<4 as Range<UInt64> {
      let iova = ordinal << 30 | 5 << 21 | 3 << 12 | 0x123
      let found = try format.walk(iova: iova, roots: roots, memory: memory, access: .write).get()
      #expect(found.pa == (ordinal + 1) << 20 | 0x123)
      let swapped = Array(roots.reversed())
      let wrong = try format.walk(iova: iova, roots: swapped, memory: memory, access: .write).get()
      #expect(wrong.pa == (4 - ordinal) << 20 | 0x123)
    }
    let image = try format.image(roots: roots, memory: memory)
    #expect(image.lines.count == 8 && image.lines.contains("T6 L1 [0x5] 0x1 -> T7"))
  }

  /// No bit of a word may change without the decoder noticing, but those that have no meaning.
  @Test(arguments: [
    ("arm_lpae32", 0), ("arm_lpae32:stage=2", 0), ("armv7s", 0), ("armv7s", 1),
    ("armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext", 0), ("mali", 0), ("dart", 0),
    ("dart:version=2,oas=42", 0),
  ])
  func flippedBitsAreNoticed(_ text: String, _ level: Int) throws {
    let format = try reference(text)
    let size = format.leafSizes(level: level)[0]
    let word = try #require(
      format.encodeLeaf(level: level, pa: 5 * size, size: size, protection: [.read, .write, .cache]))
    for bit in 0..<(format.wordBytes * 8) {
      let other = format.decode(word ^ Bits.bit(bit), level: level)
      let field = try #require(other.fields.first { $0.low <= bit && bit <= $0.high })
      let before = format.decode(word, level: level).fields.first {
        $0.name == field.name && $0.low == field.low
      }
      #expect(other.kind == .malformed || other.kind == .empty || field.value != before?.value, "bit \(bit)")
      if case .leaf(let leaf) = other.kind, field.role == .used,
        !["nG", "S", "SH", "NS"].contains(field.name)
      {
        let same = leaf.pa == 5 * size && leaf.size == size && leaf.protection == [.read, .write, .cache]
        #expect(
          !same || field.name.hasPrefix("SP_") || other.problems.isEmpty == false || leaf.accessed == false
            || Self.silent.contains(field.name), "bit \(bit), \(field.name)")
      }
    }
  }

  /// Fields that neither grant nor take a right that Linux knows.
  private static let silent = ["PXN", "XN0", "NX0", "Domain", "SHARE", "AttrIndx", "MemAttr"]
}
