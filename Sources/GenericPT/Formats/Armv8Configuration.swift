// SPDX-License-Identifier: GPL-2.0-only
//
// What Linux's drivers/iommu/io-pgtable-arm.c accepts, and the shape it derives (arm_lpae_restrict_pgsizes(),
// arm_lpae_alloc_pgtable(), arm_lpae_concat_mandatory()).

import PageTable

/// The configuration of an Armv8 table, independent of the granule's static geometry.
public struct ArmConfiguration {
  let geometry: Geometry
  let stage2: Bool
  let quirks: Set<String>

  static let schema = ConfigurationSchema(
    format: "armv8",
    keys: [
      .armStage,
      ConfigurationKey(
        "granule", .choice(["4k", "16k", "64k"]), default: "4k", "size of a page", slugPrefix: "",
        alwaysInSlug: true),
      ConfigurationKey(
        "ias", .number(32...52), default: "48", "width of the input address, in bits", alwaysInSlug: true),
      ConfigurationKey(
        "oas", .number(32...52), default: "48", "width of the output address, in bits", alwaysInSlug: true),
      ConfigurationKey("pgsizes", .bitmap, default: "0x0", "the leaf sizes to use; 0 for all of the granule"),
      .armCoherent, .armQuirks, .armContiguous,
    ])

  static let tests: [String] = {
    var texts: [String] = []
    for granule in ["4k", "16k", "64k"] {
      for stage in [1, 2] {
        texts.append("stage=\(stage),granule=\(granule)")
        texts.append("stage=\(stage),granule=\(granule),contig=1")
      }
      texts.append("stage=1,granule=\(granule),ias=32,oas=32")
      texts.append("stage=1,granule=\(granule),ias=39,oas=40")
      texts.append("stage=2,granule=\(granule),ias=40,oas=40")
      texts.append("stage=2,granule=\(granule),ias=42,oas=42")
      texts.append("stage=2,granule=\(granule),ias=44,oas=44")
      texts.append("stage=1,granule=\(granule),coherent=0")
      texts.append("stage=1,granule=\(granule),coherent=0,quirks=ns")
      texts.append("stage=1,granule=\(granule),coherent=0,contig=1")
      texts.append("stage=1,granule=\(granule),quirks=hd")
      texts.append("stage=1,granule=\(granule),quirks=hd,contig=1")
      texts.append("stage=1,granule=\(granule),ias=39,quirks=ttbr1")
      texts.append("stage=2,granule=\(granule),quirks=s2fwb")
    }
    for stage in [1, 2] {
      texts.append("stage=\(stage),granule=64k,ias=52,oas=52")
      texts.append("stage=\(stage),granule=64k,ias=52,oas=52,contig=1")
    }
    texts.append("stage=2,granule=16k,ias=40,oas=44")
    // Leaf sizes left out, between others and at the end.
    texts.append("stage=1,granule=4k,pgsizes=0x40001000")
    texts.append("stage=2,granule=64k,pgsizes=0x10000")
    return texts
  }()

  init(_ configuration: Configuration, granuleLog2: Int, maximumBits: Int) throws {
    let check = ConfigurationCheck(configuration)
    stage2 = configuration.text("stage") == "2"
    quirks = configuration.flags("quirks")
    let coherent = configuration.text("coherent") == "1"
    let allowed: Set = stage2 ? ["s2fwb", "no_warn"] : ["ns", "ttbr1", "outer_wbwa", "hd", "no_warn"]
    try check.require(
      quirks.isSubset(of: allowed), .einval,
      "stage \(stage2 ? 2 : 1) has the quirks \(allowed.sorted().joined(separator: ", "))")
    try check.require(
      !quirks.contains("outer_wbwa") || !coherent, .einval,
      "outer_wbwa is for walkers that do not snoop (coherent=0)")
    // 52-bit addresses need the 64K granule; Linux clips wider ones.
    let ias = min(configuration.number("ias"), maximumBits)
    let oas = min(configuration.number("oas"), maximumBits)
    try check.require(
      [32, 36, 40, 42, 44, 48, 52].contains(oas), .einval, "oas is 32, 36, 40, 42, 44, 48 or 52")
    let limit = configuration.bitmap("pgsizes")
    try check.require(
      limit == 0 || limit & Bits.bit(granuleLog2) != 0, .einval, "pgsizes contains the granule's own size")
    var features: Features = coherent ? [.flushRange] : [.flushRange, .dmaIncoherent]
    if quirks.contains("ttbr1") { features.insert(.upperHalf) }
    let top = try Self.topLevel(ias: ias, oas: oas, granuleLog2: granuleLog2, stage2: stage2, check)
    geometry = Geometry(
      iovaBits: ias, outputBits: oas, topLevel: top, features: features, pageSizeLimit: limit)
  }

  /// The top table's level: as many levels as the input address needs, less one where stage 2 must concatenate up to
  /// 16 tables at the level below.
  private static func topLevel(
    ias: Int, oas: Int, granuleLog2: Int, stage2: Bool, _ check: ConfigurationCheck
  ) throws -> Int {
    let indexBits = granuleLog2 - 3
    let top = (ias - granuleLog2 + indexBits - 1) / indexBits - 1
    let mandatory: Bool
    switch (granuleLog2, top) {
    case (14, 3): mandatory = oas == 48 || ias == 48
    case (12, 3): mandatory = oas == 40 || oas == 42
    case (14, 2): mandatory = oas == 40
    default: mandatory = false
    }
    guard stage2, mandatory else { return top }
    let tablesLog2 = ias - granuleLog2 - indexBits * top
    try check.require(
      tablesLog2 <= 4, .einval, "ias is too wide for oas: more than 16 start tables to concatenate")
    return top - 1
  }
}

extension ConfigurationKey {
  /// The keys that Arm's long-descriptor formats share.
  static let armStage = ConfigurationKey(
    "stage", .choice(["1", "2"]), default: "1", "translation stage", slugPrefix: "s", alwaysInSlug: true)
  static let armCoherent = ConfigurationKey(
    "coherent", .choice(["0", "1"]), default: "1", "whether the walker snoops CPU caches")
  static let armQuirks = ConfigurationKey(
    "quirks", .flags(["ns", "ttbr1", "outer_wbwa", "hd", "no_warn", "s2fwb"]), default: "none",
    "Linux's io-pgtable quirks", slugPrefix: "")
  static let armContiguous = ConfigurationKey(
    "contig", .choice(["0", "1"]), default: "0",
    "whether contiguous leaves are used; Linux's io-pgtable has none")
}
