// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Testing

/// Walks as the hardware does them, and the faults of malformed tables.
struct WalkTests {
  private func mapping(
    _ text: String, level: Int = 0, size: UInt64? = nil, protection: Protection = [.read, .write],
    iova: UInt64? = nil, rootLevel: Int? = nil
  ) throws -> TestMapping {
    let format = try reference(text)
    let bytes = size ?? format.leafSizes(level: level)[0]
    return try TestMapping(
      format, iova: iova ?? (text.contains("ttbr1") ? 0xffff_0000_0000_0000 : 0),
      pa: 0x80_0000_0000 & ~(bytes - 1) & Bits.lowMask(format.outputWidth),
      level: level, size: bytes, protection: protection, rootLevel: rootLevel)
  }

  @Test(arguments: TestConfigurations.all) func everyLeafTranslates(_ text: String) throws {
    let format = try reference(text)
    for level in 0...format.rootLevel {
      for size in format.leafSizes(level: level) where size < 1 << UInt64(format.outputWidth) {
        let pa = Bits.lowMask(format.outputWidth) & ~(size - 1) & ~(1 << 47) & ~(1 << 51)
        guard format.encodeLeaf(level: level, pa: pa, size: size, protection: [.read, .write]) != nil,
          size.trailingZeroBitCount <= format.inputWidth(rootLevel: format.rootLevel)
        else { continue }
        let upper: UInt64 =
          text.contains("ttbr1") ? ~Bits.lowMask(format.inputWidth(rootLevel: format.rootLevel)) : 0
        let mapping = try TestMapping(
          format, iova: upper, pa: pa, level: level, size: size, protection: [.read, .write])
        for offset in [0, size / 2 + 1, size - 1] {
          let found = try mapping.walk(.write, offset: offset).get()
          #expect(found.pa == pa + offset && found.leafSize == size && found.leafLevel == level)
          #expect(found.path.last?.level == level && found.path.first?.level == format.rootLevel)
        }
      }
    }
  }

  @Test(arguments: [
    ("amdv1", "IO_PAGE_FAULT", 0x2), ("x86_64", "FS.71h not present", 0x71),
    ("vtdss", "SS.79h no rights", 0x79),
    ("riscv64", "read page fault", 13), ("armv8", "F_TRANSLATION", 0x10), ("amdv1_mock", "no translation", 0),
    ("arm_lpae32", "FSR.TF", 2), ("armv7s", "FSR.TF", 2),
  ])
  func absentWords(_ text: String, _ name: String, _ code: Int) throws {
    for level in [0, 1] {
      let mapping = try mapping(text)
      let word = try mapping.word(level)
      mapping.flip(level, word & 3)
      let fault = try #require(mapping.fault())
      #expect(fault.key == "absent" && fault.name == name && fault.code == code)
      #expect(fault.step?.level == level)
      #expect(fault.description.contains(name))
    }
  }

  @Test(arguments: [
    ("amdv1", "IO_PAGE_FAULT", 0x2), ("vtdss", "SS.85h write denied", 0x85),
    ("x86_64", "FS.85h write denied", 0x85),
    ("riscv64", "write page fault", 15), ("armv8", "F_PERMISSION", 0x13),
    ("armv8:stage=2", "F_PERMISSION", 0x13), ("arm_lpae32", "FSR.PF", 8), ("armv7s", "FSR.PF", 8),
    ("mali", "PERM_FAULT_3", 0xcb), ("dart", "WRITE_FAULT", 8), ("dart:version=2,oas=42", "WRITE_FAULT", 8),
  ])
  func writesNeedPermission(_ text: String, _ name: String, _ code: Int) throws {
    let mapping = try mapping(text, protection: [.read])
    #expect(mapping.fault(.read) == nil)
    let fault = try #require(mapping.fault(.write))
    #expect(fault.key == "permission" && fault.name == name && fault.code == code)
  }

  @Test func readsNeedPermission() throws {
    for (text, name) in [
      ("amdv1", "IO_PAGE_FAULT"), ("vtdss", "SS.86h read denied"), ("armv8:stage=2", "F_PERMISSION"),
    ] {
      let mapping = try mapping(text, protection: [.write])
      #expect(mapping.fault(.write) == nil)
      #expect(mapping.fault(.read)?.name == name)
    }
  }

  /// Rights of all words of the path count.
  @Test func tablesRestrict() throws {
    let amd = try mapping("amdv1")
    amd.flip(1, 1 << 62)
    #expect(amd.fault(.write)?.key == "permission" && amd.fault(.read) == nil)
    let intel = try mapping("vtdss")
    intel.flip(2, 1 << 1)
    intel.flip(1, 1 << 0)
    #expect(intel.fault(.read)?.key == "no_rights" && intel.fault(.write)?.key == "no_rights")
    let x86 = try mapping("x86_64")
    x86.flip(3, 1 << 1)
    #expect(x86.fault(.write)?.code == 0x85)
    x86.flip(2, 1 << 2)
    #expect(x86.fault(.read)?.key == "user" && x86.fault(.read)?.code == 0x81)
    let arm = try mapping("armv8")
    arm.flip(2, 1 << 62)
    #expect(arm.fault(.write)?.key == "permission")
    arm.flip(1, 1 << 60 | 1 << 61)
    #expect(try arm.walk().get().protection == [.read, .noexec, .priv])
  }

  @Test func addressesBeyondTheOutputSize() throws {
    for (text, bit, name) in [
      ("amdv1:oa=40,features=none", 40, "IO_PAGE_FAULT"), ("x86_64:oa=46", 46, "FS.72h reserved field"),
      ("vtdss:oa=46", 47, "SS.7Ah reserved field"), ("armv8:oas=40", 41, "F_ADDR_SIZE"),
    ] {
      for level in [0, 1] {
        let mapping = try mapping(text)
        mapping.flip(level, Bits.bit(bit))
        let fault = try #require(mapping.fault())
        #expect(fault.key == "address_size" && fault.name == name && fault.step?.level == level)
      }
    }
  }

  @Test func addressesOutsideOfTheInput() throws {
    for (text, iova, name) in [
      ("amdv1", 1 << 39, "IO_PAGE_FAULT"), ("x86_64", 1 << 47, "FS.80h non-canonical address"),
      ("vtdss", 1 << 48, "SS.84h address beyond width"), ("riscv64", 1 << 47, "read page fault"),
      ("armv8:ias=39", 1 << 39, "F_TRANSLATION"),
    ] as [(String, UInt64, String)] {
      let fault = try #require(try mapping(text).fault(offset: iova))
      #expect(fault.key == "input" && fault.name == name && fault.step == nil)
    }
    let mapping = try mapping("amdv1")
    let result = mapping.format.walk(
      iova: 0, root: TableRoot(physical: 0, level: 12), memory: mapping.memory, access: .read)
    #expect(throws: Fault.self) { try result.get() }
  }

  @Test func tablesOutsideOfMemory() throws {
    let mapping = try mapping("x86_64")
    mapping.flip(1, 1 << 40)
    let fault = try #require(mapping.fault())
    #expect(fault.key == "memory" && fault.code == 0x70 && fault.step?.level == 0)
  }

  @Test func accessFlags() throws {
    let arm = try mapping("armv8")
    arm.flip(0, 1 << 10)
    #expect(arm.fault()?.name == "F_ACCESS")
    let updating = try mapping("armv8:quirks=hd")
    updating.flip(0, 1 << 10)
    #expect(updating.fault() == nil)
    let riscv = try mapping("riscv64")
    riscv.flip(0, 1 << 7)
    #expect(riscv.fault(.read) == nil)
    #expect(riscv.fault(.write)?.key == "accessed" && riscv.fault(.write)?.code == 15)
    riscv.flip(0, 1 << 4)
    #expect(riscv.fault(.read)?.key == "permission")
  }

  @Test func wordsOfOneLeafMustAgree() throws {
    for (text, size, name) in [
      ("amdv1", 64 << 10, "undefined"), ("riscv64:features=svnapot_64k", 64 << 10, "undefined"),
      ("armv8:contig=1", 64 << 10, "F_TLB_CONFLICT"),
      ("armv8:stage=2,granule=16k,contig=1", 2 << 20, "F_TLB_CONFLICT"),
    ] as [(String, UInt64, String)] {
      let mapping = try mapping(text, size: size)
      #expect(mapping.fault() == nil)
      // Another address in one of the words.
      mapping.flip(0, 1 << 34, offset: 7)
      let fault = try #require(mapping.fault())
      #expect(fault.key == "disagreement" && fault.name == name && fault.reason.contains("word 7 of"))
      mapping.flip(0, 1 << 34, offset: 7)
      mapping.flip(0, ~0, offset: 3)
      #expect(mapping.fault()?.key == "disagreement")
    }
  }

  /// The hardware sets dirty in any one word of a leaf.
  @Test func dirtyInOneWordIsDirty() throws {
    let mapping = try mapping("amdv1", size: 64 << 10)
    #expect(try !mapping.walk().get().dirty)
    mapping.flip(0, 1 << 6, offset: 9)
    #expect(try mapping.walk().get().dirty)
    #expect(try !mapping.walk().get().accessed)
    let arm = try self.mapping("armv8:quirks=hd,contig=1", size: 64 << 10)
    #expect(try arm.walk().get().dirty)
    for word in 0..<16 { arm.flip(0, 1 << 7, offset: word) }
    let clean = try arm.walk(.write).get()
    #expect(!clean.dirty && clean.protection.contains(.write))
  }

  @Test func skippedLevels() throws {
    let mapping = try mapping("amdv1", rootLevel: 3)
    // The root points straight to the last level: NextLevel 1.
    let last = try #require(mapping.tables[0])
    mapping.memory.set(mapping.root.physical, 0, 0x6000_0000_0000_0201 | last)
    #expect(try mapping.walk().get().path.count == 2)
    #expect(mapping.fault(offset: 1 << 21)?.reason.contains("skipped") == true)
    #expect(mapping.fault(offset: 1 << 38)?.key == "absent")
    // A pointer to its own level or a higher one is malformed.
    mapping.memory.set(mapping.root.physical, 0, 0x6000_0000_0000_0801 | last)
    #expect(mapping.fault()?.key == "malformed")
  }

  @Test func imagesShowPointersWithoutAddresses() throws {
    let mapping = try mapping("amdv1:cbit=47", size: 64 << 10)
    let image = try mapping.format.image(root: mapping.root, memory: mapping.memory)
    #expect(
      image.lines == [
        "T0 L2 [0x0] 0x6000800000000401 -> T1", "T1 L1 [0x0] 0x6000800000000201 -> T2",
        "T2 L0 [0x0..0xf] 0x7000808000007e01",
      ])
    mapping.flip(1, 1 << 40)
    #expect(throws: DanglingPointerError.self) {
      try mapping.format.image(root: mapping.root, memory: mapping.memory)
    }
  }
}
