// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Testing

/// Walks that start below the root, as a paging-structure cache lets them.
struct PartialWalkTests {
  private func mapping(_ text: String, protection: Protection = [.read, .write]) throws -> TestMapping {
    let format = try reference(text)
    return try TestMapping(
      format, iova: 0x7654_3000, pa: 0x12_3456_7000, level: 0, size: 4096, protection: protection)
  }

  @Test(arguments: ["amdv1", "x86_64", "vtdss", "riscv64", "armv8", "armv8:stage=2"])
  func theRestOfAWalkIsTheWalk(_ text: String) throws {
    let mapping = try mapping(text)
    let whole = try mapping.walk().get()
    let tables = mapping.format.tablesReached(by: whole.path)
    #expect(tables.map(\.physical) == whole.path.dropFirst().map { $0.physical & ~0xfff })
    for (position, table) in tables.enumerated() {
      var rest = try mapping.format.walk(
        iova: mapping.iova, from: table, memory: mapping.memory, access: .read
      ).get()
      #expect(rest.path == Array(whole.path.dropFirst(position + 1)))
      rest.path = whole.path
      #expect(rest == whole)
      // What lies below a cached table is the same from there.
      let below = mapping.format.tablesReached(
        by: Array(whole.path.dropFirst(position + 1)), above: table.rights)
      #expect(below == Array(tables.dropFirst(position + 1)))
    }
  }

  /// What the words above granted when they were read counts, not what they grant now.
  @Test func rightsComeFromTheCache() throws {
    let mapping = try mapping("amdv1")
    let writable = mapping.format.tablesReached(by: try mapping.walk().get().path)
    mapping.flip(2, 1 << 62)
    let readOnly = mapping.format.tablesReached(by: try mapping.walk().get().path)
    #expect(writable[0].rights.write && !readOnly[0].rights.write && !readOnly[1].rights.write)
    let format = mapping.format
    for (tables, permitted) in [(writable, true), (readOnly, false)] {
      let result = format.walk(iova: mapping.iova, from: tables[1], memory: mapping.memory, access: .write)
      switch result {
      case .success: #expect(permitted)
      case .failure(let fault): #expect(!permitted && fault.key == "permission")
      }
    }
  }

  @Test func faultsTellWhatMayBeCached() throws {
    let mapping = try mapping("vtdss")
    let whole = try mapping.walk().get()
    mapping.flip(0, try mapping.word(0))
    let fault = try #require(mapping.fault())
    #expect(fault.path.count == 4 && fault.path.last == fault.step)
    #expect(mapping.format.tablesReached(by: fault.path) == mapping.format.tablesReached(by: whole.path))
    let missing = ReachedTable(physical: 0x1000, level: 1)
    let outside = mapping.format.walk(iova: 0, from: missing, memory: mapping.memory, access: .read)
    #expect(throws: Fault.self) { try outside.get() }
    let nowhere = mapping.format.walk(
      iova: 0, from: ReachedTable(physical: 0x1000_0000, level: 9), memory: mapping.memory, access: .read)
    #expect(throws: Fault.self) { try nowhere.get() }
  }
}
