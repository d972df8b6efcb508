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
