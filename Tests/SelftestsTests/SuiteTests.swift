// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import ReferenceSpecs
import Testing

@testable import Conformance
@testable import Selftests

/// The tests pass on the simulator, whatever the seed. `make check` runs all of them.
@Suite("selftests pass")
struct SuiteTests {
  @Test(
    "random themes with another seed", arguments: [0xdead_beef] as [UInt64],
    [
      "walker.amdv1", "walker.x86_64.va57.l4.flush_range-dma_incoherent-sign_extend", "events.amdv1.va57",
      "walker.armv8.s2.16k.ias48.oas48.contig1", "events.armv8.s1.4k.ias48.oas48.coherent0",
      "concurrency.amdv1", "roundtrip.armv8.s1.4k.ias39.oas40",
    ])
  func seeds(seed: UInt64, name: String) throws {
    let context = SelftestContext(seed: seed, target: SimulatorFactory(), library: .embedded)
    for test in try Selftests.select([name], from: Selftests.all()) {
      #expect(test.run(context) == .pass, "\(test.name)")
    }
  }

  @Test("the same seed makes the same operations")
  func deterministic() throws {
    let context = SelftestContext(seed: 1, target: SimulatorFactory(), library: .embedded)
    let subject = try context.subject(FormatList.configuration("vtdss"))
    var generators = [1, 1, 2].map { OperationGenerator(subject, RandomNumbers(seed: $0)) }
    let made = generators.indices.map { generators[$0].operations(200) }
    #expect(made[0] == made[1])
    #expect(made[0] != made[2])
    let kinds = Set(made[0].map { $0.description.split(separator: " ")[0] })
    #expect(kinds.isSuperset(of: ["map", "maprange", "unmap", "phys", "setdirty", "dirty"]))
  }

  private static let golden = #filePath.replacing("Tests/SelftestsTests/SuiteTests.swift", with: "Golden")

  @Test("golden files pass, and fail on a target with a wrong bit")
  func golden() throws {
    let source = GoldenSource(
      paths: ["\(Self.golden)/amdv1_mock/cases.golden"], divergences: Divergences(), library: .embedded)
    let tests = GoldenTests.tests(source).filter { $0.name != "golden.divergences" }
    #expect(!tests.isEmpty)
    let good = SelftestContext(seed: 1, target: SimulatorFactory(), library: .embedded)
    let bad = SelftestContext(seed: 1, target: MutantFactory(format: .leafBit(61)), library: .embedded)
    for test in tests {
      #expect(!test.run(good).isFailure, "\(test.name)")
      #expect(test.run(bad).isFailure, "\(test.name)")
    }
  }

  @Test("a golden file that does not parse is a failing test")
  func unreadable() throws {
    let source = GoldenSource(
      paths: ["\(Self.golden)/no-such.golden"], divergences: Divergences(), library: .embedded)
    let test = try #require(GoldenTests.tests(source).first)
    #expect(test.run(SelftestContext(seed: 1, target: SimulatorFactory(), library: .embedded)).isFailure)
  }
}
