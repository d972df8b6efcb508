// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import ReferenceSpecs
import Testing

@testable import Conformance
@testable import Selftests

/// The tests of gathers fail when a gather loses something.
@Suite("gathers")
struct GatheringTests {
  private func failures(_ slug: String, _ factory: MutantFactory) throws -> [String] {
    let context = SelftestContext(seed: 1, target: factory, library: .embedded)
    return try Selftests.select(["events.\(slug).gather"], from: Selftests.all()).flatMap {
      test -> [String] in
      switch test.run(context) {
      case .pass: []
      case .fail(let details): details
      case let other: ["\(other)"]
      }
    }
  }

  @Test(
    "each fault is caught, and only the fault",
    arguments: ["amdv1", "vtdss", "x86_64", "riscv64.sv39", "armv8.s1.4k.ias48.oas48"],
    [GatherFault.neverSyncs, .forgetsEarlier, .releasesNothing])
  func faults(slug: String, fault: GatherFault) throws {
    #expect(try failures(slug, MutantFactory()).isEmpty)
    #expect(!(try failures(slug, MutantFactory(gather: fault)).isEmpty), "\(fault) is not seen")
  }

  @Test("a failure lists the steps that led to it")
  func steps() throws {
    let details = try failures("vtdss", MutantFactory(gather: .neverSyncs))
    #expect(details.contains { $0.hasSuffix(", gathered") })
    #expect(details.contains { $0 == "  sync" })
  }
}
