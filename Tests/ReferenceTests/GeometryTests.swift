// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Testing

/// Roots, widths and the IOVAs a walk accepts.
struct GeometryTests {
  /// Stage 2 roots: the start level and words that the architecture wants.
  @Test(arguments: [
    ("ias=48,oas=48", 3, 512), ("ias=44,oas=44", 3, 32), ("ias=42,oas=42", 2, 4096),
    ("ias=40,oas=40", 2, 1024),
    ("ias=39,oas=40", 2, 512), ("ias=32,oas=32", 2, 4), ("granule=16k", 2, 4096),
    ("granule=16k,ias=40,oas=40", 1, 32768), ("granule=16k,ias=40,oas=44", 2, 16),
    ("granule=64k,ias=52,oas=52", 2, 1024), ("granule=64k", 2, 64), ("ias=48,oas=40", 3, 512),
  ])
  func stage2Roots(_ keys: String, _ level: Int, _ words: Int) throws {
    let format = try reference("armv8:stage=2,\(keys)")
    #expect(format.rootLevel == level)
    #expect(format.wordCount(level: level, isRoot: true) == words)
  }

  @Test(arguments: [
    ("armv8", 3, 512), ("armv8:ias=40,oas=40", 3, 2), ("armv8:ias=39", 2, 512), ("armv8:granule=16k", 3, 2),
    ("armv8:granule=64k,ias=42,oas=42", 1, 8192), ("armv8:ias=52,oas=52", 3, 512), ("amdv1", 2, 512),
    ("amdv1:level=5", 5, 128), ("amdv1_mock", 2, 512), ("x86_64", 3, 512), ("riscv64:va=57", 4, 512),
    ("vtdss:va=39,level=2", 2, 512), ("x86_64:va=47,features=none", 3, 512),
    ("arm_lpae32", 2, 4), ("arm_lpae32:stage=2,ias=40", 2, 1024), ("arm_lpae32:stage=2", 2, 4),
    ("arm_lpae32:ias=30", 1, 512), ("armv7s", 1, 4096),
    ("armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext", 1, 16384),
    ("mali", 3, 512), ("mali:ias=40", 3, 2), ("mali:ias=33", 3, 1), ("dart", 1, 128),
    ("dart:ias=36", 1, 2048),
    ("dart:version=2,ias=42,oas=42", 2, 64), ("dart:granule=4k,ias=30", 1, 512),
    ("dart:granule=4k,ias=36", 2, 64),
  ])
  func roots(_ text: String, _ level: Int, _ words: Int) throws {
    let format = try reference(text)
    #expect(format.rootLevel == level)
    #expect(format.wordCount(level: level, isRoot: true) == words)
    #expect(format.rootCount == 1)
    #expect(format.rootOrdinal(of: ~0) == 0)
  }

  /// DART with 4 KiB pages: the bits above the top level choose.
  @Test(arguments: [
    ("ias=32", 4, 30), ("ias=31", 2, 30), ("ias=30", 1, 30), ("ias=33", 1, 33), ("ias=36", 1, 36),
  ])
  func dartRoots(_ keys: String, _ count: Int, _ width: Int) throws {
    let format = try reference("dart:granule=4k,\(keys)")
    #expect(format.rootCount == count)
    for ordinal in 0..<count {
      let base = UInt64(ordinal) << UInt64(width)
      #expect(format.rootOrdinal(of: base) == ordinal)
      #expect(format.rootOrdinal(of: base + (1 << UInt64(width)) - 1) == ordinal)
      #expect(format.index(of: base, level: format.rootLevel, isRoot: true) == 0)
    }
    #expect(!format.accepts(iova: UInt64(count) << UInt64(width), rootLevel: format.rootLevel))
  }

  @Test func whichAddressesAreTranslated() throws {
    let accepts = { (text: String, level: Int, iova: UInt64) in
      try reference(text).accepts(iova: iova, rootLevel: level)
    }
    #expect(try accepts("amdv1", 2, (1 << 39) - 1))
    #expect(try !accepts("amdv1", 2, 1 << 39))
    #expect(try accepts("amdv1", 3, 1 << 39))
    #expect(try accepts("amdv1", 5, ~0))
    #expect(try !accepts("amdv1:va=48", 5, 1 << 48))
    #expect(try accepts("x86_64", 3, 0x7fff_ffff_ffff))
    #expect(try accepts("x86_64", 3, 0xffff_8000_0000_0000))
    #expect(try !accepts("x86_64", 3, 0x8000_0000_0000))
    #expect(try accepts("x86_64:features=none", 3, 0x8000_0000_0000))
    #expect(try !accepts("x86_64:features=none", 3, 0xffff_8000_0000_0000))
    #expect(try !accepts("x86_64:va=47,features=none", 3, 0x8000_0000_0000))
    #expect(try accepts("x86_64:va=57,level=4", 4, 0xff00_0000_0000_0000))
    #expect(try !accepts("vtdss:va=46", 3, 1 << 46))
    #expect(try accepts("riscv64:va=39", 2, 0xffff_ffc0_0000_0000))
    #expect(try !accepts("riscv64:va=39", 2, 0x40_0000_0000))
    #expect(try accepts("armv8:ias=39,quirks=ttbr1", 2, 0xffff_ff80_0000_0000))
    #expect(try !accepts("armv8:ias=39,quirks=ttbr1", 2, 0))
    #expect(try !accepts("armv8:ias=39", 2, 0xffff_ff80_0000_0000))
    #expect(try !accepts("amdv1", 17, 0))
    #expect(try reference("amdv1").inputWidth(rootLevel: 4) == 57)
  }

  @Test func questionsAboutOtherLevelsAreAnswered() throws {
    let format = try reference("vtdss")
    #expect(format.levelCount == 4)
    #expect(try reference("amdv1").levelCount == 6)
    #expect(try reference("amdv1:features=none").levelCount == 3)
    #expect(try reference("armv8:stage=2,ias=40,oas=40").levelCount == 3)
    #expect(format.levelName(1) == "SS-PDE")
    #expect(format.levelName(7) == nil && format.shift(level: -1) == nil)
    #expect(format.shift(level: 1) == 21)
    #expect(format.wordCount(level: 8, isRoot: true) == 0)
    #expect(format.index(of: ~0, level: 8, isRoot: false) == 0)
    #expect(format.leafSizes(level: 8) == [] && format.inputWidth(rootLevel: 9) == 0)
    #expect(format.decode(1, level: 9).kind == .malformed)
    #expect(format.wordKind(3, level: 9) == .plain)
  }
}
