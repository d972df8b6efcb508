// SPDX-License-Identifier: GPL-2.0-only
//
// Linux drivers/iommu/io-pgtable-arm-v7s.c: Armv7 short descriptors, and MediaTek's extension of them. The eras differ in
// what an unmap of part of a section or of a contiguous entry does.

import PageTable

/// The family of 32-bit Arm tables.
public enum ARMv7s: LegacyFamily {
  public static let schemas = [
    ConfigurationSchema(
      format: "armv7s",
      keys: [
        ConfigurationKey(
          "ias", .number(24...40), default: "32", "width of the input address, in bits", alwaysInSlug: true),
        ConfigurationKey(
          "oas", .number(24...40), default: "32", "width of the output address, in bits", alwaysInSlug: true),
        ConfigurationKey("pgsizes", .bitmap, default: "0x0", "the leaf sizes to use; 0 for all"),
        ConfigurationKey(
          "coherent", .choice(["0", "1"]), default: "1", "whether the walker snoops CPU caches"),
        ConfigurationKey(
          "quirks", .flags(["ns", "no_perms", "mtk_ext", "mtk_ttbr_ext"]), default: "none",
          "Linux's io-pgtable quirks", slugPrefix: ""),
        ConfigurationKey("era", .choice(["7.3", "6.12"]), default: "7.3", "the Linux version"),
      ])
  ]

  public static let testConfigurations: [String] = [
    "armv7s", "armv7s:coherent=0", "armv7s:quirks=ns", "armv7s:quirks=no_perms",
    "armv7s:coherent=0,quirks=no_perms+ns", "armv7s:pgsizes=0x111000", "armv7s:pgsizes=0x101000",
    "armv7s:quirks=no_perms+mtk_ext", "armv7s:oas=33,quirks=no_perms+mtk_ext+ns",
    "armv7s:oas=34,quirks=no_perms+mtk_ext", "armv7s:ias=34,oas=35,coherent=0,quirks=no_perms+mtk_ext",
    "armv7s:ias=34,oas=35,coherent=0,quirks=no_perms+mtk_ext+mtk_ttbr_ext",
    "armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext+ns+mtk_ttbr_ext", "armv7s:era=6.12",
    "armv7s:coherent=0,era=6.12", "armv7s:quirks=ns,era=6.12",
  ]

  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    try function(ARMv7sTable(ARMv7sShape(configuration), memory: memory))
  }
}

/// What a configuration asks for, as far as Linux accepts it (arm_v7s_alloc_pgtable()).
public struct ARMv7sShape: Hashable, Sendable {
  /// Width of the input address, in bits.
  public let inputBits: Int
  /// Width of the output address, in bits.
  public let outputBits: Int
  /// The leaf sizes in use, a bitmap of bytes.
  public let pageSizes: UInt64
  /// Whether the walker snoops CPU caches.
  public let coherent: Bool
  /// Linux's io-pgtable quirks.
  public let quirks: Set<String>
  /// Whether an unmap of part of a section or of a contiguous entry splits it, as Linux 6.12 does.
  public let splitsBlocks: Bool

  /// Reads a configuration of armv7s.
  ///
  /// - Throws: `ConfigurationError` where Linux refuses. alloc_io_pgtable_ops() then returns no errno but NULL; EINVAL
  ///   stands for that.
  public init(_ configuration: Configuration) throws {
    func require(_ condition: Bool, _ expectation: String) throws {
      guard !condition else { return }
      throw ConfigurationError(.einval, "\(configuration): refused with EINVAL: \(expectation)")
    }
    inputBits = configuration.number("ias")
    outputBits = configuration.number("oas")
    coherent = configuration.number("coherent") == 1
    quirks = configuration.flags("quirks")
    splitsBlocks = configuration.text("era") == "6.12"
    let all = Bits.bit(12) | Bits.bit(16) | Bits.bit(20) | Bits.bit(24)
    let limit = configuration.bitmap("pgsizes")
    pageSizes = limit == 0 ? all : limit & all
    let isMediaTek = quirks.contains("mtk_ext")
    try require(inputBits <= (isMediaTek ? 34 : 32), "ias is at most 32, or 34 with mtk_ext")
    try require(outputBits <= (isMediaTek ? 35 : 32), "oas is at most 32, or 35 with mtk_ext")
    try require(!isMediaTek || quirks.contains("no_perms"), "mtk_ext needs no_perms")
    try require(!quirks.contains("mtk_ttbr_ext") || isMediaTek, "mtk_ttbr_ext needs mtk_ext")
  }

  /// Bytes of the root, log2: a word for each MiB.
  var rootSizeLog2: Int { inputBits - 18 }
}
