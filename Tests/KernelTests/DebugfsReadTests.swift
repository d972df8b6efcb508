// SPDX-License-Identifier: GPL-2.0-only

import Testing

@testable import Kernel

@Suite("Intel's debugfs")
struct DebugfsReadTests {
  @Test("Lines of Linux 6.12 and later: as many words as there are levels")
  func lines() throws {
    let text = """
      Device 0000:00:04.0 @0x105000
      IOVA_PFN         \tPML5E             \tPML4E             \tPDPE              \tPDE               \tPTE
      0x0000000000200 |\t0x0000000000000000\t0x0000000107e0a003\t0x0000000107e0b003\t0x0000000107e0c003\t0x000000010a2f4003
      0x0000000000400 |\t0x0000000000000000\t0x0000000107e0a003\t0x0000000107e0b003\t0x0000000110c00083
      0x0000000040000 |\t0x0000000000000000\t0x0000000107e0a003\t0x0000000140000083

      """
    let read = try DebugfsTranslations(text, device: "0000:00:04.0")
    #expect(read.isThere)
    #expect(read.lines.map(\.iova) == [0x20_0000, 0x40_0000, 0x4000_0000])
    #expect(read.lines.map(\.leafLevel) == [0, 1, 2])
    #expect(read.lines[0].words == [0x1_0a2f_4003, 0x1_07e0_c003, 0x1_07e0_b003, 0x1_07e0_a003, 0])
  }

  @Test("Other devices of the same file are not looked at")
  func devices() throws {
    let text = "Device 0000:00:03.0 @0x1000\n0x1 |\t0x0\t0x1003\t0x2003\t0x3003\t0x4003\n"
    #expect(try DebugfsTranslations(text, device: "0000:00:04.0").lines.isEmpty)
    #expect(try !DebugfsTranslations(text, device: "0000:00:04.0").isThere)
    #expect(try DebugfsTranslations(text + "Device 0000:00:04.0 @0x1\n", device: "0000:00:04.0").isThere)
  }

  @Test(
    "A line that is none is told",
    arguments: [
      "0x1", "0x1 |\t0xzz", "0x1 |\t0x0\t0x0", "0x1 0x1 0x2 0x3 0x4 0x5 0x6", "0xfffffffffffff0 0x3",
    ])
  func malformed(line: String) {
    #expect(throws: KernelFailure.self) {
      try DebugfsTranslations("Device 0000:00:04.0 @0x1\n\(line)\n", device: "0000:00:04.0")
    }
  }

  @Test("The stage is that of the device's entry")
  func stage() {
    let head = "B.D.F\tRoot_entry\tContext_entry\tPASID\tPASID_table_entry\n"
    let root = "0x0:0x104001\t0x2:0x105001"
    func stage(_ pasid: String) -> Bool? {
      DebugfsStage.isFirst(head + "00:04.0\t\(root)\t\(pasid)\n", device: "0000:00:04.0")
    }
    #expect(stage("-1    \t0x0:0x0:0x0") == false)
    #expect(stage("0     \t0x0:0x0:0x0000000000000049") == true)
    #expect(stage("0     \t0x0:0x0:0x0000000000000089") == false)
    #expect(stage("5     \t0x0:0x0:0x0000000000000049") == nil)
    #expect(DebugfsStage.isFirst(head, device: "0000:00:04.0") == nil)
  }
}
