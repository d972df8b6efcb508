// SPDX-License-Identifier: GPL-2.0-only
//
// RISC-V IOMMU Architecture Specification, chapters on data structures and the register map. How Linux programs them:
// drivers/iommu/riscv/iommu.c.

import PageTable

/// From the registers of a RISC-V IOMMU to the tables of each device.
struct RISCVWalk {
  let reader: StructureReader
  private let capabilities: UInt64

  init(_ reader: StructureReader) {
    self.reader = reader
    capabilities = reader.registers["CAPABILITIES"]
  }

  // MSI_FLAT: device contexts have the extended format.
  private var context: StructureLayout {
    capabilities & Bits.bit(22) != 0 ? RISCVStructures.extendedContext : RISCVStructures.baseContext
  }

  func run() throws {
    let ddtp = reader.registers["DDTP"]
    let mode = Int(ddtp & 0xf)
    let physical = ((ddtp &>> 10) & Bits.lowMask(44)) &<< 12
    let modes = [
      "off: all DMA is refused", "bare: all DMA passes untranslated", "1 level", "2 levels", "3 levels",
    ]
    reader.fact(
      "device directory \(mode < modes.count ? modes[mode] : "reserved mode \(mode)") at \(Numbers.hex(physical))"
    )
    reader.fact(
      "device contexts have \(context.wordCount * 8) bytes; addresses up to \((capabilities &>> 32) & 0x3f) bits"
    )
    guard ddtp & Bits.bit(4) == 0 else { return reader.problem("DDTP.busy is set: the register is changing") }
    // FCTL.BE
    guard reader.registers["FCTL"] & 1 == 0 else {
      return reader.problem("FCTL.BE: big-endian structures are not walked")
    }
    switch mode {
    case 0, 1: return
    case 2...4: try walkDirectory(physical, depth: mode - 2, first: 0)
    default: reader.problem("DDTP \(Numbers.hex(ddtp)): the mode \(mode) is reserved")
    }
  }

  /// How many bits of a device ID index the last level, the middle and the first.
  private var indexBits: [Int] { context.wordCount == 4 ? [7, 9, 8] : [6, 9, 9] }

  private func walkDirectory(_ physical: UInt64, depth: Int, first: Int) throws {
    guard let table = try reader.table("device directory", at: physical, wordCount: 512) else { return }
    guard depth > 0 else { return try walkContexts(table, physical, first) }
    let shift = indexBits[..<depth].reduce(0, +)
    let count = min(512, 1 << indexBits[depth])
    for index in 0..<count where table[index] & 1 == 1 {
      let start = first | index << shift
      let entry = reader.structure(
        RISCVStructures.directoryEntry, in: table, at: physical, index: index,
        device: "devices from \(Numbers.hex(UInt64(start)))")
      try walkDirectory(entry["PPN"] &<< 12, depth: depth - 1, first: start)
    }
  }

  private func walkContexts(_ table: [UInt64], _ physical: UInt64, _ first: Int) throws {
    let layout = context
    for index in 0..<(512 / layout.wordCount) where table[index * layout.wordCount] & 1 == 1 {
      let id = UInt32(first + index)
      let entry = reader.structure(
        layout, in: table, at: physical, index: index, device: DeviceTables.name(id))
      try walkContext(DeviceTables(id: id, mode: .translated, structures: [entry]), entry)
    }
  }

  private func walkContext(_ device: DeviceTables, _ entry: Structure) throws {
    var device = device
    device.domain = "PSCID \(entry["PSCID"])"
    if entry.words.count == 8, entry["msiptp.MODE"] != 0 {
      device.notes.append("MSI page table at \(Numbers.hex(entry["msiptp.PPN"] &<< 12)): not walked")
    }
    guard entry["iohgatp.MODE"] == 0 else {
      device.domain = "GSCID \(entry["GSCID"])"
      device.stage = "second stage"
      device.mode = .notWalked("second-stage tables (Sv39x4 and wider), which have no reference")
      return reader.add(device)
    }
    guard entry["SBE"] == 0, entry["SXL"] == 0 else {
      return refuse(device, "big-endian or Sv32 tables are not walked", entry)
    }
    guard entry["PDTV"] == 1 else {
      firstStage(device, entry, tracksState: entry["SADE"] == 1)
      return
    }
    let depths: [UInt64: Int] = [1: 0, 2: 1, 3: 2]
    guard entry["fsc.MODE"] != 0 else {
      device.mode = .passThrough
      return reader.add(device)
    }
    guard let depth = depths[entry["fsc.MODE"]] else {
      return refuse(device, "the mode \(entry["fsc.MODE"]) of the process directory is reserved", entry)
    }
    if entry["DPE"] == 0 { device.notes.append("requests without a process ID pass untranslated") }
    try walkProcesses(device, entry["fsc.PPN"] &<< 12, depth: depth, first: 0)
  }

  /// Completes a device from its device or process context.
  private func firstStage(_ device: DeviceTables, _ entry: Structure, tracksState: Bool) {
    var device = device
    device.stage = "first stage"
    let mode = entry["fsc.MODE"]
    guard mode != 0 else {
      device.mode = .passThrough
      return reader.add(device)
    }
    // CAPABILITIES.Sv39 to Sv57 are bits 9 to 11.
    guard (8...10).contains(mode), capabilities & (1 &<< (mode + 1)) != 0 else {
      return refuse(device, "the mode \(mode) of the first stage is reserved or not in CAPABILITIES", entry)
    }
    let level = Int(mode) - 6
    device.root = TableRoot(physical: entry["fsc.PPN"] &<< 12, level: level)
    // CAPABILITIES.Svpbmt
    let optional = capabilities & Bits.bit(15) != 0 ? ["svpbmt"] : []
    device.formats = WalkFormats.configurations(
      "riscv64", ["va=\(12 + 9 * (level + 1))"],
      features: ["flush_range", "detailed_gather", "sign_extend", "svnapot_64k"], optional: optional)
    if tracksState { device.notes.append("the hardware sets A and D") }
    reader.add(device)
  }

  private func refuse(_ device: DeviceTables, _ why: String, _ entry: Structure) {
    var device = device
    device.mode = .notWalked(why)
    reader.problem(why, device: device.name, entry)
    reader.add(device)
  }

  // MARK: Processes

  private func walkProcesses(_ device: DeviceTables, _ physical: UInt64, depth: Int, first: Int) throws {
    let name = device.name
    guard let table = try reader.table("process directory", at: physical, wordCount: 512, device: name) else {
      return
    }
    guard depth == 0 else {
      // 8 bits index the last level, 9 the middle, 3 the first.
      let shift = depth == 1 ? 8 : 17
      for index in 0..<(depth == 1 ? 512 : 8) where table[index] & 1 == 1 {
        let entry = reader.structure(
          RISCVStructures.processEntry, in: table, at: physical, index: index, device: name)
        var next = device
        next.structures.append(entry)
        try walkProcesses(next, entry["PPN"] &<< 12, depth: depth - 1, first: first | index << shift)
      }
      return
    }
    let isDefault = device.structures.first?["DPE"] == 1
    let tracksState = device.structures.first?["SADE"] == 1
    for index in 0..<256 where table[2 * index] & 1 == 1 {
      var found = device
      let process = first | index
      found.process = process == 0 && isDefault ? nil : UInt32(process)
      let entry = reader.structure(
        RISCVStructures.processContext, in: table, at: physical, index: index, device: found.name)
      found.structures.append(entry)
      found.domain = "PSCID \(entry["PSCID"])"
      firstStage(found, entry, tracksState: tracksState)
    }
  }
}
