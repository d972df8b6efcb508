// SPDX-License-Identifier: GPL-2.0-only
//
// What Linux's drivers/iommu/io-pgtable-arm.c accepts, and the tables that it derives: arm_lpae_restrict_pgsizes(),
// arm_lpae_alloc_pgtable(), arm_lpae_concat_mandatory(), and the functions of each format that call them.

import PageTable

/// The shape of the tables of a configuration. Levels count from 0, the last.
public struct ARMLPAEShape: Hashable, Sendable {
  /// Bytes of a page and of a table, log2.
  public let granuleLog2: Int
  /// Width of the input address, in bits, at most what the granule allows.
  public let inputBits: Int
  /// Width of the output address, in bits, at most what the granule allows.
  public let outputBits: Int
  /// The leaf sizes in use, a bitmap of bytes.
  public let pageSizes: UInt64
  /// The level of the root.
  public private(set) var topLevel: Int
  /// Words of the root, log2; more than a table has where tables are concatenated.
  public private(set) var rootIndexBits: Int
  /// Whether the walker snoops CPU caches.
  public let coherent: Bool
  /// Whether this is stage 2.
  public let stage2: Bool
  /// Whether this is Mali's variant.
  public let mali: Bool
  /// Whether Linux implements dirty tracking for the format; only where the quirk `hd` asks for it, it is used.
  public let hasDirtyTracking: Bool
  /// Linux's io-pgtable quirks.
  public let quirks: Set<String>
  /// Whether an unmap of part of a block splits it, as Linux 6.12 does.
  public let splitsBlocks: Bool

  /// Reads a configuration of armv8, arm_lpae32 or mali.
  ///
  /// - Throws: `ConfigurationError` where Linux refuses. alloc_io_pgtable_ops() then returns no errno but NULL; EINVAL
  ///   stands for that.
  public init(_ configuration: Configuration) throws {
    let check = Check(configuration)
    mali = configuration.format == "mali"
    stage2 = configuration.text("stage") == "2"
    hasDirtyTracking = configuration.format == "armv8" && !stage2
    quirks = configuration.flags("quirks")
    coherent = configuration.number("coherent") == 1
    splitsBlocks = configuration.text("era") == "6.12"
    try check.widths(stage2: stage2)
    try check.quirks(quirks, stage2: stage2, old: splitsBlocks, coherent: coherent)
    granuleLog2 = try check.granuleLog2()
    let widest = granuleLog2 == 16 ? 52 : 48
    inputBits = min(configuration.number("ias"), widest)
    outputBits = min(configuration.number("oas"), widest)
    if !mali {
      try check.require(
        [32, 36, 40, 42, 44, 48, 52].contains(outputBits), "oas is 32, 36, 40, 42, 44, 48 or 52")
    }
    let sizes = Self.pageSizes(granuleLog2: granuleLog2, outputBits: outputBits)
    let limit = configuration.bitmap("pgsizes")
    pageSizes = limit == 0 ? sizes : sizes & limit
    let indexBits = granuleLog2 - 3
    let levels = (inputBits - granuleLog2 + indexBits - 1) / indexBits
    topLevel = levels - 1
    rootIndexBits = inputBits - granuleLog2 - indexBits * topLevel
    if stage2 {
      try concatenate(check)
    } else if mali, topLevel < 3 {
      // Mali always walks four levels; where fewer would do, its root has one entry.
      topLevel = 3
      rootIndexBits = 0
    }
  }

  /// Words of a table, log2.
  var indexBits: Int { granuleLog2 - 3 }

  private static func pageSizes(granuleLog2: Int, outputBits: Int) -> UInt64 {
    switch granuleLog2 {
    case 12: Bits.bit(12) | Bits.bit(21) | Bits.bit(30)
    case 14: Bits.bit(14) | Bits.bit(25)
    default: Bits.bit(16) | Bits.bit(29) | (outputBits > 48 ? Bits.bit(42) : 0)
    }
  }

  /// Puts up to 16 tables of the level below in the root's place: Linux 6.12 wherever they suffice for four levels, later
  /// Linux where the architecture demands it (DDI 0487, R_DXBSH and R_SRKBC).
  private mutating func concatenate(_ check: Check) throws {
    if splitsBlocks {
      guard topLevel == 3, rootIndexBits <= 4 else { return }
    } else {
      let demanded =
        switch (granuleLog2, topLevel) {
        case (14, 3): outputBits == 48 || inputBits == 48
        case (12, 3): outputBits == 40 || outputBits == 42
        case (14, 2): outputBits == 40
        default: false
        }
      guard demanded else { return }
      try check.require(rootIndexBits <= 4, "this ias needs more than 16 concatenated tables for this oas")
    }
    topLevel -= 1
    rootIndexBits += indexBits
  }
}

/// Linux's refusals.
private struct Check {
  let configuration: Configuration

  init(_ configuration: Configuration) { self.configuration = configuration }

  func require(_ condition: Bool, _ expectation: @autoclosure () -> String) throws {
    guard !condition else { return }
    throw ConfigurationError(.einval, "\(configuration): refused with EINVAL: \(expectation())")
  }

  func widths(stage2: Bool) throws {
    let ias = configuration.number("ias")
    let oas = configuration.number("oas")
    switch configuration.format {
    case "mali": try require(ias <= 48 && oas <= 40, "ias is at most 48, and oas at most 40")
    case "arm_lpae32":
      let widest = stage2 ? 40 : 32
      try require(ias <= widest && oas <= 40, "ias is at most \(widest), and oas at most 40")
    default: break
    }
  }

  func quirks(_ quirks: Set<String>, stage2: Bool, old: Bool, coherent: Bool) throws {
    var allowed: Set = stage2 ? ["s2fwb", "no_warn"] : ["ns", "ttbr1", "outer_wbwa", "hd", "no_warn"]
    if old { allowed.subtract(["s2fwb", "no_warn"]) }
    try require(
      quirks.isSubset(of: allowed),
      "stage \(stage2 ? 2 : 1) has the quirks \(allowed.sorted().joined(separator: ", "))")
    try require(
      !quirks.contains("outer_wbwa") || !coherent,
      "outer_wbwa is for walkers that do not snoop (coherent=0)")
  }

  /// The granule; where page sizes are given, Linux takes it from them: 4K if it is among them, as the size of the
  /// processor's pages, else the smallest.
  func granuleLog2() throws -> Int {
    let named =
      switch configuration.text("granule") {
      case "16k": 14
      case "64k": 16
      default: 12
      }
    let sizes = configuration.bitmap("pgsizes")
    guard sizes != 0 else { return named }
    let chosen = sizes & 0x1000 != 0 ? 12 : sizes.trailingZeroBitCount
    try require(chosen == named, "pgsizes are sizes of the granule, the granule itself among them")
    return named
  }
}
