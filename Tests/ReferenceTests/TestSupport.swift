// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import ReferenceSpecs
import Testing

/// Configurations for these tests, with schemas of their own: the reference takes any schema that
/// has the keys its specification uses.
enum TestConfigurations {
  private static let features = [
    "dynamic_top", "flush_range", "flush_range_no_gaps", "detailed_gather", "dma_incoherent", "sign_extend",
    "force_coherence", "encrypt_tables", "force_writeable", "svnapot_64k", "svpbmt",
  ]

  private static func common(_ va: Int, _ oa: Int, _ level: Int, _ defaults: String) -> [ConfigurationKey] {
    [
      ConfigurationKey("va", .number(1...64), default: "\(va)", "IOVA bits"),
      ConfigurationKey("oa", .number(1...64), default: "\(oa)", "output address bits"),
      ConfigurationKey("level", .number(0...7), default: "\(level)", "root level"),
      ConfigurationKey("features", .flags(features), default: defaults, "features"),
      ConfigurationKey("cbit", .number(0...63), default: "0", "encryption bit"),
    ]
  }

  private static func table(_ ias: Int, _ oas: Int, _ quirks: [String]? = nil) -> [ConfigurationKey] {
    [
      ConfigurationKey("ias", .number(1...64), default: "\(ias)", "input bits"),
      ConfigurationKey("oas", .number(1...64), default: "\(oas)", "output bits"),
      ConfigurationKey("pgsizes", .bitmap, default: "0x0", "page sizes"),
      ConfigurationKey("coherent", .number(0...1), default: "1", "coherent walks"),
    ] + (quirks.map { [ConfigurationKey("quirks", .flags($0), default: "none", "quirks")] } ?? [])
  }

  private static let stage = ConfigurationKey("stage", .number(1...2), default: "1", "stage")
  private static let contig = ConfigurationKey(
    "contig", .number(0...1), default: "0", "contiguous words")
  private static let armQuirks = ["ns", "ttbr1", "outer_wbwa", "hd", "no_warn", "s2fwb"]

  private static let arm =
    [
      stage,
      ConfigurationKey("granule", .choice(["4k", "16k", "64k"]), default: "4k", "granule"),
      contig,
    ] + table(48, 48, armQuirks)

  private static let dart =
    [
      ConfigurationKey("version", .number(1...2), default: "1", "version"),
      ConfigurationKey("granule", .choice(["4k", "16k"]), default: "16k", "granule"),
    ] + table(32, 36)

  static func schema(_ format: String) -> ConfigurationSchema {
    let keys: [ConfigurationKey] =
      switch format {
      case "amdv1": common(64, 52, 2, "dynamic_top+flush_range+force_coherence+encrypt_tables")
      case "amdv1_mock": common(56, 51, 2, "none")
      case "x86_64": common(48, 52, 3, "flush_range+sign_extend")
      case "vtdss": common(48, 52, 3, "flush_range")
      case "riscv64": common(48, 56, 3, "flush_range+detailed_gather+sign_extend")
      case "arm_lpae32": [stage, contig] + table(32, 40, armQuirks)
      case "armv7s": table(32, 32, ["ns", "no_perms", "mtk_ext", "mtk_ttbr_ext"])
      case "mali": table(48, 40)
      case "dart": dart
      default: arm
      }
    return ConfigurationSchema(format: format, keys: keys)
  }

  /// The configuration of a text `format:key=value,…`.
  static func parse(_ text: String) throws -> Configuration {
    let parts = text.split(separator: ":", maxSplits: 1)
    let pairs = parts.count > 1 ? parts[1].split(separator: ",").map(String.init) : []
    return try schema(String(parts[0])).configuration(pairs, permissive: true)
  }

  /// Configurations that between them reach every part of every specification.
  static let all =
    [
      "amdv1", "amdv1:level=5", "amdv1:cbit=47", "amdv1:cbit=51,level=4", "amdv1:oa=40,features=none",
      "amdv1_mock", "amdv1_mock:level=4", "x86_64", "x86_64:va=57,level=4",
      "x86_64:va=47,features=encrypt_tables,cbit=51", "x86_64:oa=46,features=dma_incoherent", "vtdss",
      "vtdss:va=39,level=2", "vtdss:va=57,level=4,features=force_coherence+dma_incoherent",
      "vtdss:features=force_writeable,oa=39", "riscv64", "riscv64:va=39,oa=44,features=svnapot_64k",
      "riscv64:va=57,features=sign_extend+svnapot_64k+svpbmt",
    ] + armv8 + others

  private static let others = [
    "arm_lpae32", "arm_lpae32:ias=31,oas=32,coherent=0,quirks=ns+hd", "arm_lpae32:quirks=ttbr1",
    "arm_lpae32:stage=2,ias=40", "arm_lpae32:stage=2,ias=32,quirks=s2fwb,pgsizes=0x1000",
    "armv7s", "armv7s:quirks=ns,pgsizes=0x1000000", "armv7s:quirks=no_perms",
    "armv7s:oas=33,quirks=no_perms+mtk_ext", "armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext+ns",
    "armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext+mtk_ttbr_ext", "mali", "mali:ias=33,oas=36,coherent=0",
    "dart", "dart:ias=36", "dart:granule=4k", "dart:granule=4k,ias=36", "dart:granule=4k,ias=31",
    "dart:version=2,oas=42", "dart:version=2,ias=42,oas=42", "dart:version=2,granule=4k",
  ]

  static let armv8: [String] = [1, 2].flatMap { stage in
    [
      "", ",contig=1", ",granule=16k", ",granule=16k,contig=1", ",granule=64k", ",granule=64k,contig=1",
      ",granule=64k,ias=52,oas=52,contig=1", ",ias=32,oas=36", ",ias=40,oas=40", ",granule=16k,ias=40,oas=40",
      ",pgsizes=0x201000", stage == 1 ? ",quirks=hd+ns+ttbr1,coherent=0" : ",quirks=s2fwb,coherent=0",
    ].map { "armv8:stage=\(stage)\($0)" }
  }
}

/// The reference of a configuration text.
func reference(_ text: String) throws -> ReferenceFormat {
  try SpecificationLibrary.embedded.format(TestConfigurations.parse(text))
}

/// A stretch of table memory, with words of 4 or 8 bytes.
final class TestMemory: PhysicalMemoryReader {
  let base: UInt64
  private let wordBytes: Int
  private let storage: UnsafeMutableRawBufferPointer

  init(base: UInt64 = 0x1_0000_0000, byteCount: Int = 1 << 20, wordBytes: Int = 8) {
    self.base = base
    self.wordBytes = wordBytes
    storage = .allocate(byteCount: byteCount, alignment: 4096)
    storage.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { storage.deallocate() }

  func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? {
    guard physical >= base, physical - base <= UInt64(storage.count - byteCount) else { return nil }
    let start = Int(physical - base)
    return UnsafeRawBufferPointer(rebasing: storage[start..<(start + byteCount)])
  }

  /// The words of the table at `physical`.
  func set(_ physical: UInt64, _ index: Int, _ word: UInt64) {
    let offset = Int(physical - base) + index * wordBytes
    if wordBytes == 8 {
      storage.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
    } else {
      storage.storeBytes(of: UInt32(truncatingIfNeeded: word), toByteOffset: offset, as: UInt32.self)
    }
  }

  func word(_ physical: UInt64, _ index: Int) -> UInt64 {
    let offset = Int(physical - base) + index * wordBytes
    return wordBytes == 8
      ? storage.load(fromByteOffset: offset, as: UInt64.self)
      : UInt64(storage.load(fromByteOffset: offset, as: UInt32.self))
  }
}

/// A chain of tables from the root down to one leaf, made with the reference's own encoder.
struct TestMapping {
  let format: ReferenceFormat
  let memory: TestMemory
  let root: TableRoot
  /// The table of each level on the path.
  let tables: [Int: UInt64]
  let iova: UInt64
  let leafLevel: Int

  init(
    _ format: ReferenceFormat, iova: UInt64, pa: UInt64, level: Int, size: UInt64, protection: Protection,
    rootLevel: Int? = nil
  ) throws {
    self.format = format
    self.iova = iova
    leafLevel = level
    memory = TestMemory(base: 0x1000_0000, byteCount: 1 << 21, wordBytes: format.wordBytes)
    let top = rootLevel ?? format.rootLevel
    var tables: [Int: UInt64] = [:]
    // The widest root has 512 KiB; other tables stand behind it.
    for position in stride(from: top, through: level, by: -1) {
      tables[position] = position == top ? 0x1000_0000 : 0x1008_0000 + UInt64(position) * 0x1_0000
    }
    self.tables = tables
    root = TableRoot(physical: 0x1000_0000, level: top)
    for position in stride(from: top, to: level, by: -1) {
      let child = try #require(tables[position - 1])
      let word = try #require(format.encodeTable(level: position, pa: child))
      memory.set(try #require(tables[position]), index(position), word)
    }
    let count = try #require(format.leafWordCount(level: level, size: size))
    for position in 0..<count {
      let word = try #require(
        format.encodeLeafWord(position, level: level, pa: pa, size: size, protection: protection))
      memory.set(try #require(tables[level]), index(level) + position, word)
    }
  }

  /// The index of the mapping at a level.
  func index(_ level: Int) -> Int {
    format.index(of: iova, level: level, isRoot: level == root.level)
  }

  /// The word of a level.
  func word(_ level: Int) throws -> UInt64 {
    memory.word(try #require(tables[level]), index(level))
  }

  /// Changes the word of a level by a mask.
  func flip(_ level: Int, _ mask: UInt64, offset: Int = 0) {
    guard let table = tables[level] else { return }
    memory.set(table, index(level) + offset, memory.word(table, index(level) + offset) ^ mask)
  }

  func walk(_ access: DeviceAccess = .read, offset: UInt64 = 0) -> Result<Translation, Fault> {
    format.walk(iova: iova &+ offset, root: root, memory: memory, access: access)
  }

  /// The fault of a walk, nil when it succeeds.
  func fault(_ access: DeviceAccess = .read, offset: UInt64 = 0) -> Fault? {
    guard case .failure(let fault) = walk(access, offset: offset) else { return nil }
    return fault
  }
}
