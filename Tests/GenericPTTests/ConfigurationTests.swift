// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import GenericPT

/// The formats of the server IOMMUs, by name.
private func geometry(_ text: String) throws -> (geometry: Geometry, sizes: UInt64) {
  let parts = text.split(separator: ":", maxSplits: 1).map { String($0) }
  let pairs = parts.count > 1 ? parts[1].split(separator: ",").map { String($0) } : []
  func make<Format: PageTableFormat>(_ type: Format.Type) throws -> (Geometry, UInt64) {
    let format = try Format(Format.schema.configuration(pairs))
    return (format.geometry, format.offeredSizes())
  }
  switch parts[0] {
  case "amdv1": return try make(AMDv1.self)
  case "amdv1_mock": return try make(AMDv1Mock.self)
  case "x86_64": return try make(X86.self)
  case "vtdss": return try make(VTDSecondStage.self)
  case "riscv64": return try make(RISCV.self)
  case "arm_lpae32": return try make(ArmLPAE32.self)
  case "armv7s": return try make(Armv7s.self)
  case "mali": return try make(Mali.self)
  case "dart":
    switch (pairs.contains("granule=4k"), pairs.contains("version=2")) {
    case (true, false): return try make(DART<DART4K, DARTVersion1>.self)
    case (true, true): return try make(DART<DART4K, DARTVersion2>.self)
    case (false, false): return try make(DART<DART16K, DARTVersion1>.self)
    case (false, true): return try make(DART<DART16K, DARTVersion2>.self)
    }
  default: return try make(Armv8<Arm4K>.self)
  }
}

@Suite struct ConfigurationTests {
  @Test(arguments: LinuxConfigurations.accepted)
  func acceptedAsLinuxDoes(_ expected: LinuxConfigurations.Accepted) throws {
    let (geometry, sizes) = try geometry(expected.text)
    #expect(geometry.iovaBits == expected.iovaBits)
    #expect(geometry.outputBits == expected.outputBits)
    #expect(geometry.topLevel == expected.topLevel)
    #expect(sizes == expected.pageSizes)
    #expect(geometry.aperture == expected.aperture)
  }

  @Test(arguments: LinuxConfigurations.refused)
  func refusedAsLinuxDoes(_ refused: (text: String, errno: String)) {
    do {
      _ = try geometry(refused.text)
      Issue.record("\(refused.text) is accepted; Linux refuses it with \(refused.errno)")
    } catch let error as ConfigurationError {
      #expect(error.errno.name == refused.errno, "\(error)")
      #expect(error.description.contains("refused with \(refused.errno)"))
    } catch {
      Issue.record("\(refused.text): \(error)")
    }
  }

  /// What Linux's io-pgtable code refuses, which does not tell why.
  @Test(arguments: [
    "arm_lpae32:ias=33", "arm_lpae32:stage=2,ias=41", "arm_lpae32:oas=42", "arm_lpae32:oas=39",
    "arm_lpae32:quirks=s2fwb", "arm_lpae32:stage=2,quirks=ns", "arm_lpae32:quirks=outer_wbwa",
    "arm_lpae32:pgsizes=0x40200000", "mali:ias=49", "mali:oas=48", "mali:pgsizes=0x200000",
    "armv7s:ias=33", "armv7s:oas=33", "armv7s:quirks=mtk_ext", "armv7s:quirks=mtk_ttbr_ext",
    "armv7s:quirks=no_perms+mtk_ttbr_ext", "armv7s:ias=35,quirks=no_perms+mtk_ext",
    "armv7s:oas=36,quirks=no_perms+mtk_ext", "dart:oas=40", "dart:ias=37", "dart:pgsizes=0x1000",
    "dart:granule=4k,pgsizes=0x4000", "dart:granule=4k,ias=42,oas=42",
  ])
  func refusedAsTheDriverDoes(text: String) {
    let error = #expect(throws: ConfigurationError.self) { try geometry(text) }
    #expect(error?.errno == .einval)
  }

  /// Levels, and roots that IOVA bits choose among, as dart_alloc_pgtable() derives them.
  @Test(arguments: [
    ("dart:ias=28", 1, 1), ("dart:ias=36", 1, 1), ("dart:ias=37,oas=42", 2, 1), ("dart:ias=42,oas=42", 2, 1),
    ("dart:granule=4k,ias=30", 1, 1), ("dart:granule=4k,ias=31", 1, 2), ("dart:granule=4k", 1, 4),
    ("dart:granule=4k,ias=33", 2, 1), ("dart:granule=4k,ias=39,oas=42", 2, 1),
    ("dart:granule=4k,ias=40,oas=42", 2, 2), ("dart:granule=4k,ias=41,oas=42", 2, 4),
  ])
  func rootsOfDART(text: String, topLevel: Int, rootCount: Int) throws {
    let geometry = try geometry(text).geometry
    #expect(geometry.topLevel == topLevel && geometry.rootCount == rootCount)
  }

  @Test func permissiveLiftsTheBuildsRefusalsOnly() throws {
    #expect(throws: Never.self) { try geometry("amdv1:features=none,build=permissive") }
    #expect(throws: ConfigurationError.self) { try geometry("amdv1:level=0,build=permissive") }
  }

  @Test func concatenatesStartTablesWhereTheArchitectureRequiresIt() throws {
    // Stage 2 with 40 bits: two level-1 tables side by side instead of a level-0 table of two entries.
    #expect(try geometry("armv8:stage=2,ias=40,oas=40").geometry.topLevel == 2)
    #expect(try geometry("armv8:stage=1,ias=40,oas=40").geometry.topLevel == 3)
    #expect(throws: ConfigurationError.self) { try geometry("armv8:stage=2,ias=48,oas=40") }
  }
}
