// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

/// Two tables of four words each, at 0x1000 and 0x2000.
private struct ToyMemory: PhysicalMemoryReader {
  var words: [UInt64]

  func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? {
    guard physical == 0x1000 || physical == 0x2000 else { return nil }
    let start = physical == 0x1000 ? 0 : 4
    return words.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[start * 8..<start * 8 + byteCount]) }
  }
}

@Suite struct TableImageTests {
  private func image(_ words: [UInt64]) throws -> TableImage {
    try TableImage(root: TableRoot(physical: 0x1000, level: 1), memory: ToyMemory(words: words)) { _, _ in
      4
    } classify: { word, _ in
      word & 1 == 1 ? .table(child: word & ~0xfff, cleared: word & 0xfff) : .plain
    }
  }

  @Test func tablesAreNumberedAndPointersCleared() throws {
    let image = try image([0, 0x2003, 0, 0x70, 0x10, 0x20, 0x30, 0])
    #expect(
      image.lines == [
        "T0 L1 [0x1] 0x3 -> T1", "T0 L1 [0x3] 0x70", "T1 L0 [0x0..0x2] 0x10 step 0x10",
      ])
  }

  @Test func pointersOutOfMemoryAreAnError() {
    #expect(throws: DanglingPointerError.self) { try image([0x9001, 0, 0, 0, 0, 0, 0, 0]) }
  }

  @Test func theFirstDifferenceIsFound() throws {
    let left = try image([0, 0x2003, 0, 0x70, 0x10, 0x20, 0, 0])
    #expect(left.firstDifference(from: left) == nil)
    let changed = try image([0, 0x2003, 0, 0x71 & ~1 | 0x80, 0x10, 0x20, 0, 0])
    let difference = try #require(left.firstDifference(from: changed))
    #expect(difference.left?.value == 0x70 && difference.right?.value == 0xf0)
    let missing = try image([0, 0x2003, 0, 0, 0x10, 0x20, 0, 0])
    #expect(try #require(left.firstDifference(from: missing)).right == nil)
  }

  @Test func nearestNames() {
    #expect(Nearest.matches("amdv", in: ["amdv1", "armv8", "vtdss"]).first == "amdv1")
    #expect(Nearest.matches("zzzzzzz", in: ["amdv1", "armv8", "vtdss"]).isEmpty)
  }
}
