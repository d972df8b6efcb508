// SPDX-License-Identifier: GPL-2.0-only
//
// Arm Architecture Reference Manual for A-profile, DDI 0487, G5.5 (VMSAv8-32 long-descriptor format); Linux
// drivers/iommu/io-pgtable-arm.c, arm_32_lpae_alloc_pgtable_s1() and arm_32_lpae_alloc_pgtable_s2().
//
// Level map (level here = 3 - the manual's level), bits and leaves, with the contiguous leaves behind "+":
//   3  39    no leaves            1  29:21 2M + 32M
//   2  39:30 1G                   0  20:12 4K + 64K
// Stage 1 translates 32 bits with a top of 4 words, stage 2 up to 40 bits; with an output address of 40 bits, two tables of
// level 2 side by side take the place of a top of level 3.

import PageTable

/// AArch32's long descriptors: VMSAv8-64's bits with 4 KiB pages, as Linux writes them for both.
public typealias ArmLPAE32 = Armv8<ArmLongDescriptors>

/// What AArch32 settles.
public enum ArmLongDescriptors: ArmGranule {
  // MARK: Geometry

  @inlinable public static var log2: Int { 12 }
  /// What the address field holds; the output address has 40 bits at most.
  @inlinable public static var maximumAddressBits: Int { 48 }
  @inlinable public static var highestLeafLevel: Int { 2 }
  @inlinable public static func contiguousLog2(level: Int) -> Int { level <= 2 ? 4 : 0 }
  /// AArch32 has no dirty-bit modifier; Linux writes the bit all the same, with the quirk `hd`.
  @inlinable public static var tracksDirty: Bool { false }
  /// There is no choice of granules.
  public static let name = ""

  // MARK: Configurations

  public static let schema = ConfigurationSchema(
    format: "arm_lpae32",
    keys: [
      .armStage,
      ConfigurationKey(
        "ias", .number(32...40), default: "32", "width of the input address, in bits", alwaysInSlug: true),
      ConfigurationKey(
        "oas", .number(32...40), default: "40", "width of the output address, in bits", alwaysInSlug: true),
      ConfigurationKey("pgsizes", .bitmap, default: "0x0", "the leaf sizes to use; 0 for all"),
      .armCoherent, .armQuirks, .armContiguous,
    ])

  public static let testConfigurations = [
    "stage=1", "stage=1,contig=1", "stage=1,oas=36", "stage=1,oas=32", "stage=1,quirks=ns",
    "stage=1,quirks=ttbr1", "stage=1,quirks=hd", "stage=1,quirks=hd,contig=1", "stage=1,coherent=0",
    "stage=1,coherent=0,quirks=outer_wbwa", "stage=1,coherent=0,contig=1", "stage=1,pgsizes=0x201000",
    "stage=2", "stage=2,oas=32", "stage=2,ias=36,oas=36", "stage=2,ias=39", "stage=2,ias=40",
    "stage=2,ias=40,contig=1", "stage=2,ias=40,quirks=s2fwb",
    "stage=2,ias=40,coherent=0", "stage=2,ias=36,oas=36,coherent=0,quirks=s2fwb",
  ]

  public static func accept(_ configuration: Configuration) throws -> ArmConfiguration {
    let check = ConfigurationCheck(configuration)
    try check.require(
      configuration.text("stage") == "2" || configuration.number("ias") <= 32, .einval,
      "the input address of stage 1 has 32 bits")
    return try ArmConfiguration(configuration, granuleLog2: log2, maximumBits: maximumAddressBits)
  }
}
