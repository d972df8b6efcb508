// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import ReferenceSpecs
import TAP
import Testing

@testable import Selftests

@Suite("the list of tests")
struct RegistryTests {
  private let tests = Selftests.all()

  @Test("names are valid, and stay unique when dots become underscores")
  func names() {
    #expect(tests.count > 1000)
    #expect(tests.allSatisfy { TAPName.isValid($0.name) })
    #expect(Set(tests.map { TAPName.identity($0.name) }).count == tests.count)
  }

  @Test("each theme has tests but that of golden files, which are not read")
  func themes() {
    let found = Set(tests.map(\.theme))
    #expect(found == Set(SelftestTheme.allCases).subtracting([.golden]))
    #expect(tests.allSatisfy { $0.name.hasPrefix($0.theme.rawValue + ".") })
  }

  @Test(
    "patterns choose tests",
    arguments: [
      ("walker.amdv1_mock.l1", 1), ("roundtrip.vtdss", 12), ("iova_stress.*.eager", 13),
      ("walker.amdv1_mock*", 3), ("walker.amdv1_moc?", 1), ("events.riscv64.sv39", 8),
    ])
  func selection(pattern: String, count: Int) throws {
    #expect(try Selftests.select([pattern], from: tests).count == count)
  }

  @Test("no pattern chooses all, two choose in the order of the list")
  func order() throws {
    #expect(try Selftests.select([], from: tests).count == tests.count)
    let chosen = try Selftests.select(["walker.vtdss", "roundtrip.vtdss"], from: tests)
    #expect(chosen.first?.name == "roundtrip.vtdss")
  }

  @Test(
    "a mistyped name is told with those that are near",
    arguments: [("walkr", "walker"), ("walker.amdv2", "walker.amdv1"), ("semantic.vtdss", "semantics.vtdss")])
  func mistyped(pattern: String, near: String) {
    let error = #expect(throws: SelectionError.self) { try Selftests.select([pattern], from: tests) }
    #expect(error?.description.contains(near) == true, "\(String(describing: error))")
  }

  @Test("the list's lines have three columns")
  func list() throws {
    let test = try #require(try Selftests.select(["events.riscv64.sv57"], from: tests).first)
    #expect(test.listLine == "events.riscv64.sv57\tevents\triscv64:va=57")
  }

  @Test("what a target cannot do is skipped, with the reason")
  func gaps() throws {
    let context = SelftestContext(seed: 1, target: MutantFactory(capabilities: []), library: .embedded)
    for name in ["events.vtdss", "concurrency.vtdss", "allocfail.vtdss", "semantics.vtdss.eager_keeps_none"] {
      let test = try #require(try Selftests.select([name], from: tests).first)
      guard case .skip(.target, let detail) = test.run(context) else {
        Issue.record("\(name) is not skipped")
        continue
      }
      #expect(detail.hasPrefix("the target mutant lacks "))
    }
  }

  @Test("numbers follow from the seed alone")
  func random() {
    var numbers = RandomNumbers(seed: 0)
    #expect(numbers.next() == 0xe220_a839_7b1d_cdaf)
    #expect(numbers.next() == 0x6e78_9e6a_a1b9_65f4)
    var bounded = RandomNumbers(seed: 7)
    #expect((0..<1000).allSatisfy { _ in bounded.below(10 as UInt64) < 10 })
    #expect(bounded.below(0 as UInt64) == 0)
  }

  @Test("shrinking keeps what a failure needs")
  func shrinking() {
    let needed: Set = [7, 31, 32]
    let found = Shrinker.minimize(Array(0..<100), limit: 600) { needed.isSubset(of: $0) }
    #expect(found == [7, 31, 32])
  }
}
