// SPDX-License-Identifier: GPL-2.0-only

/// What Intel's driver would print of the page table of a fake machine: second stage, walkers that snoop, four levels. The bits are
/// written down here from the manual, not taken from the reference.
enum FakeDebugfs {
  /// `dmar_translation_struct` without scalable mode.
  static let stage = """
    IOMMU dmar0: Root Table Address: 0x103000
    B.D.F\tRoot_entry\t\t\t\tContext_entry\t\t\t\tPASID\tPASID_table_entry
    00:04.0\t0x0000000000000000:0x0000000000104001\t0x0000000000000002:0x0000000000105001\t-1    \t0x0:0x0:0x0

    """

  static func text(_ machine: FakeMappingMachine) -> String {
    var text =
      "Device 0000:00:01.0 @0x1000\nIOVA_PFN\n0x0000000000001 |\t0x0\t0x2003\t0x3003\t0x4003\t0x5003\n"
    text += "Device \(FakeMappingMachine.device) @0x105000\n"
    text += "IOVA_PFN         \tPML5E\tPML4E\tPDPE\tPDE\tPTE\n"
    guard let table = machine.tables.last else { return text }
    let faults = machine.faults
    var lines = table.areas.flatMap { Self.lines(of: $0, machine) }
    if faults.contains(.entryExtra), !lines.isEmpty {
      lines.append(line(0x7_7777_7000, level: 0, 0x1234_5003, machine))
    }
    if faults.contains(.entryMissing), lines.count > 3 { lines.remove(at: 3) }
    if faults.contains(.entryStays), lines.isEmpty {
      lines.append(line(0x20_0000, level: 0, 0x1234_5003, machine))
    }
    return text + lines.joined() + "\n"
  }

  private static func lines(of area: FakePageTable.Area, _ machine: FakeMappingMachine) -> [String] {
    var lines: [String] = []
    var offset: UInt64 = 0
    while offset < area.length {
      let iova = area.iova + offset
      let physical = machine.memory.physical(area.address + offset) ?? 0
      let rest = area.length - offset
      let isLarge = area.isLarge && iova & 0x1f_ffff == 0 && physical & 0x1f_ffff == 0 && rest >= 2 << 20
      let isHuge = isLarge && iova & 0x3fff_ffff == 0 && physical & 0x3fff_ffff == 0 && rest >= 1 << 30
      let level = isHuge ? 2 : isLarge ? 1 : 0
      var word = physical | (area.read ? 1 : 0) | (area.write ? 2 : 0) | (level > 0 ? 0x80 : 0)
      if machine.faults.contains(.entryWrongBit), iova & 0xf000 == 0x3000 { word |= 1 << 11 }
      if machine.faults.contains(.entryWrongAddress), level == 1 { word ^= 1 << 21 }
      lines.append(line(iova, level: level, word, machine))
      offset += UInt64(1) << UInt64(12 + 9 * level)
    }
    return lines
  }

  private static func line(_ iova: UInt64, level: Int, _ leaf: UInt64, _ machine: FakeMappingMachine)
    -> String
  {
    // Tables at addresses made of their place; the software bit 10 only by mistake.
    let wrong: UInt64 = machine.faults.contains(.entryTableBit) && iova >> 30 == 0 ? 1 << 2 : 0
    let tables = [iova >> 21, iova >> 30, iova >> 39].map { 0x2_0000_0000 + ($0 & 0xff_ffff) << 12 | 3 }
    var words = [UInt64(0), tables[2] | wrong, tables[1], tables[0]]
    words = Array(words[..<(4 - level)]) + [leaf]
    let columns = words.map { "0x" + hex($0, 16) }.joined(separator: "\t")
    return "0x\(hex(iova >> 12, 13)) |\t\(columns)\n"
  }

  private static func hex(_ value: UInt64, _ width: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }
}
