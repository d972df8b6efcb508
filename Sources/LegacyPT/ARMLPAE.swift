// SPDX-License-Identifier: GPL-2.0-only
//
// Linux drivers/iommu/io-pgtable-arm.c: VMSAv8-64 and Armv7 LPAE tables of both stages, and those of Mali GPUs. The eras
// differ in what an unmap of part of a block does, and where stage 2 roots are concatenated.

import PageTable

/// The family of 64-bit Arm tables.
public enum ARMLPAE: LegacyFamily {
  public static let schemas = [
    ConfigurationSchema(
      format: "armv8",
      keys: [
        stage,
        ConfigurationKey(
          "granule", .choice(["4k", "16k", "64k"]), default: "4k", "size of a page", slugPrefix: "",
          alwaysInSlug: true),
        inputBits("48"), outputBits("48"), pageSizes, coherent, quirks, era,
      ]),
    ConfigurationSchema(
      format: "arm_lpae32",
      keys: [stage, inputBits("32"), outputBits("40"), pageSizes, coherent, quirks, era]),
    ConfigurationSchema(
      format: "mali", keys: [inputBits("48"), outputBits("40"), pageSizes, coherent, era]),
  ]

  private static let stage = ConfigurationKey(
    "stage", .choice(["1", "2"]), default: "1", "translation stage", slugPrefix: "s", alwaysInSlug: true)
  private static let pageSizes = ConfigurationKey(
    "pgsizes", .bitmap, default: "0x0", "the leaf sizes to use; 0 for all of the granule")
  private static let coherent = ConfigurationKey(
    "coherent", .choice(["0", "1"]), default: "1", "whether the walker snoops CPU caches")
  private static let quirks = ConfigurationKey(
    "quirks", .flags(["ns", "ttbr1", "outer_wbwa", "hd", "no_warn", "s2fwb"]), default: "none",
    "Linux's io-pgtable quirks", slugPrefix: "")
  private static let era = ConfigurationKey(
    "era", .choice(["7.3", "6.12"]), default: "7.3", "the Linux version")

  private static func inputBits(_ bits: String) -> ConfigurationKey {
    ConfigurationKey(
      "ias", .number(32...52), default: bits, "width of the input address, in bits", alwaysInSlug: true)
  }

  private static func outputBits(_ bits: String) -> ConfigurationKey {
    ConfigurationKey(
      "oas", .number(32...52), default: bits, "width of the output address, in bits", alwaysInSlug: true)
  }

  public static let testConfigurations: [String] = armv8Tests + lpae32Tests + maliTests

  private static let armv8Tests: [String] = {
    var texts: [String] = []
    for granule in ["4k", "16k", "64k"] {
      texts += [
        "stage=1", "stage=2", "stage=1,coherent=0", "stage=2,coherent=0", "stage=1,coherent=0,quirks=ns",
        "stage=1,coherent=0,quirks=outer_wbwa", "stage=1,ias=32,oas=32", "stage=1,ias=36,oas=36",
        "stage=1,ias=39,oas=40", "stage=1,ias=42,oas=42", "stage=1,ias=44,oas=44", "stage=1,quirks=hd",
        "stage=1,quirks=ns", "stage=1,quirks=no_warn", "stage=1,ias=39,quirks=ttbr1", "stage=1,quirks=ttbr1",
        "stage=2,ias=32,oas=32", "stage=2,ias=36,oas=36", "stage=2,ias=39,oas=40", "stage=2,ias=40,oas=40",
        "stage=2,ias=42,oas=42", "stage=2,ias=43,oas=44", "stage=2,ias=44,oas=44", "stage=2,ias=40,oas=44",
        "stage=2,quirks=s2fwb", "stage=1,era=6.12", "stage=1,coherent=0,era=6.12", "stage=2,era=6.12",
        "stage=2,ias=40,oas=40,era=6.12", "stage=2,ias=43,oas=44,era=6.12",
      ].map { "armv8:granule=\(granule),\($0)" }
    }
    for stage in [1, 2] { texts.append("armv8:stage=\(stage),granule=64k,ias=52,oas=52") }
    texts.append("armv8:stage=1,granule=64k,ias=52,oas=52,coherent=0")
    // Leaf sizes left out, between others and at the end.
    texts.append("armv8:stage=1,granule=4k,pgsizes=0x40001000")
    texts.append("armv8:stage=2,granule=64k,pgsizes=0x10000")
    return texts
  }()

  private static let lpae32Tests = [
    "stage=1", "stage=1,oas=32", "stage=1,coherent=0", "stage=1,quirks=ns", "stage=1,quirks=ttbr1",
    "stage=1,quirks=hd", "stage=2", "stage=2,ias=36,oas=36", "stage=2,ias=39", "stage=2,ias=40",
    "stage=2,ias=40,coherent=0", "stage=2,quirks=s2fwb", "stage=1,era=6.12", "stage=2,ias=40,era=6.12",
  ].map { "arm_lpae32:\($0)" }

  private static let maliTests = [
    "mali", "mali:coherent=0", "mali:ias=32,oas=32", "mali:ias=33", "mali:ias=39", "mali:ias=40,oas=36",
    "mali:era=6.12",
  ]

  @inlinable
  public static func apply<Function: LegacyFunction, Memory: TableMemory>(
    _ function: Function, to configuration: Configuration, memory: Memory
  ) throws -> Function.Output {
    try function(ARMLPAETable(ARMLPAEShape(configuration), memory: memory))
  }
}
