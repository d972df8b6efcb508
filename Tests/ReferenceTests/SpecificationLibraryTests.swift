// SPDX-License-Identifier: GPL-2.0-only

import Reference
import ReferenceSpecs
import Testing

@Suite struct SpecificationLibraryTests {
  @Test("a configuration's reference is made once, and each library has its own")
  func references() throws {
    let configuration = try TestConfigurations.parse("riscv64:va=39")
    let library = SpecificationLibrary.embedded.adding([])
    let reference = try library.format(configuration)
    #expect(try library.format(configuration) === reference)
    #expect(try library.format(TestConfigurations.parse("riscv64:va=48")) !== reference)
    #expect(try library.adding([]).format(configuration) !== reference)
  }

  @Test("what is kept has a limit")
  func limit() throws {
    let library = SpecificationLibrary.embedded.adding([])
    let first = try TestConfigurations.parse("amdv1")
    let reference = try library.format(first)
    var others = 0
    for va in 32...64 {
      for oa in 40...52 where others < 300 {
        let other = try? library.format(TestConfigurations.parse("amdv1:va=\(va),oa=\(oa)"))
        others += other == nil ? 0 : 1
      }
    }
    try #require(others > 256)
    #expect(try library.format(first) !== reference)
  }
}
