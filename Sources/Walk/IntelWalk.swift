// SPDX-License-Identifier: GPL-2.0-only
//
// Registers: D51397, section 11.4. How Linux programs them: drivers/iommu/intel/iommu.c.

import PageTable

/// From the registers of Intel VT-d to the tables of each device.
struct IntelWalk {
  let reader: StructureReader
  private let cap: UInt64
  private let ecap: UInt64

  init(_ reader: StructureReader) {
    self.reader = reader
    cap = reader.registers["CAP"]
    ecap = reader.registers["ECAP"]
  }

  // CAP.MGAW, 21:16: the widest IOVA, less one.
  private var widestIOVA: Int { Int((cap &>> 16) & 0x3f) + 1 }

  func run() throws {
    let rtaddr = reader.registers["RTADDR"]
    let enabled = reader.registers["GSTS"] & Bits.bit(31) != 0
    let mode = (rtaddr &>> 10) & 3
    let modes = ["legacy", "scalable", "reserved", "abort"]
    reader.fact("translation \(enabled ? "enabled" : "disabled: all DMA passes untranslated")")
    reader.fact("mode \(modes[Int(mode)]), root table \(Numbers.hex(rtaddr & Bits.mask(63, 12)))")
    reader.fact(
      "IOVAs have up to \(widestIOVA) bits; walks \(ecap & 1 == 1 ? "snoop" : "do not snoop") caches")
    guard enabled else { return }
    switch mode {
    case 0: try walkRoots(rtaddr & Bits.mask(63, 12), scalable: false)
    case 1: try walkRoots(rtaddr & Bits.mask(63, 12), scalable: true)
    case 3: reader.fact("all DMA is refused")
    default: reader.problem("RTADDR \(Numbers.hex(rtaddr)): translation table mode 2 is reserved")
    }
  }

  private func walkRoots(_ physical: UInt64, scalable: Bool) throws {
    guard let table = try reader.table("root table", at: physical, wordCount: 512) else { return }
    let layout = scalable ? IntelStructures.scalableRootEntry : IntelStructures.rootEntry
    for bus in 0..<256 where table[2 * bus] != 0 || table[2 * bus + 1] != 0 {
      let entry = reader.structure(
        layout, in: table, at: physical, index: bus, device: "bus \(Self.hex(bus))")
      if scalable {
        if entry["LP"] == 1 { try walkScalable(bus << 8, entry["LCTP"] << 12, entry) }
        if entry["UP"] == 1 { try walkScalable(bus << 8 + 128, entry["UCTP"] << 12, entry) }
      } else if entry["P"] == 1 {
        try walkContexts(bus << 8, entry["CTP"] << 12, entry)
      }
    }
  }

  private static func hex(_ value: Int) -> String { (value < 16 ? "0" : "") + String(value, radix: 16) }

  // MARK: Legacy mode

  private func walkContexts(_ first: Int, _ physical: UInt64, _ root: Structure) throws {
    let bus = "bus \(Self.hex(first >> 8))"
    guard let table = try reader.table("context table", at: physical, wordCount: 512, device: bus) else {
      return
    }
    for index in 0..<256 where table[2 * index] != 0 || table[2 * index + 1] != 0 {
      // Not present: requests are refused, and nothing else in the entry is looked at.
      guard table[2 * index] & 1 == 1 else {
        reader.count("context entries that hold bits but are not present")
        continue
      }
      let id = UInt32(first + index)
      let entry = reader.structure(
        IntelStructures.contextEntry, in: table, at: physical, index: index, device: DeviceTables.name(id))
      var device = DeviceTables(
        id: id, mode: .translated, stage: "second stage", domain: "DID \(entry["DID"])",
        structures: [root, entry])
      switch entry["TT"] {
      case 0, 1:
        secondStage(&device, entry, aw: entry["AW"], root: entry["SSPTPTR"] << 12, coherent: ecap & 1 == 1)
      case 2: device.mode = .passThrough
      default: refuse(&device, "translation type 3 is reserved", entry)
      }
      reader.add(device)
    }
  }

  /// Completes a device that the second stage translates.
  private func secondStage(
    _ device: inout DeviceTables, _ entry: Structure, aw: UInt64, root: UInt64, coherent: Bool
  ) {
    // CAP.SAGAW, 12:8.
    guard (1...3).contains(aw), (cap &>> 8) & (1 &<< aw) != 0 else {
      return refuse(
        &device, "the address width \(aw) is not one of CAP.SAGAW \(Numbers.hex((cap &>> 8) & 0x1f))", entry)
    }
    let level = Int(aw) + 1
    var optional = coherent ? [] : ["dma_incoherent"]
    // ECAP.SC: SNP is reserved in pages without it.
    if ecap & Bits.bit(7) != 0 { optional.append("force_coherence") }
    device.root = TableRoot(physical: root, level: level)
    device.formats = WalkFormats.configurations(
      "vtdss", ["va=\(min(widestIOVA, 12 + 9 * (level + 1)))", "level=\(level)"], features: ["flush_range"],
      optional: optional)
  }

  private func refuse(_ device: inout DeviceTables, _ why: String, _ entry: Structure) {
    device.mode = .notWalked(why)
    reader.problem(why, device: device.name, entry)
  }

  // MARK: Scalable mode

  private func walkScalable(_ first: Int, _ physical: UInt64, _ root: Structure) throws {
    let bus = "bus \(Self.hex(first >> 8))"
    guard
      let table = try reader.table("scalable-mode context table", at: physical, wordCount: 512, device: bus)
    else { return }
    for index in 0..<128 where table[4 * index..<4 * index + 4].contains(where: { $0 != 0 }) {
      guard table[4 * index] & 1 == 1 else {
        reader.count("context entries that hold bits but are not present")
        continue
      }
      let id = UInt32(first + index)
      let entry = reader.structure(
        IntelStructures.scalableContextEntry, in: table, at: physical, index: index,
        device: DeviceTables.name(id))
      try walkDirectory(id, root, entry)
    }
  }

  private func walkDirectory(_ id: UInt32, _ root: Structure, _ context: Structure) throws {
    let name = DeviceTables.name(id)
    let physical = context["PASIDDIRPTR"] << 12
    let count = 1 << (Int(context["PDTS"]) + 7)
    guard let directory = try reader.table("PASID directory", at: physical, wordCount: count, device: name)
    else {
      return
    }
    for index in 0..<count where directory[index] != 0 {
      let entry = reader.structure(
        IntelStructures.pasidDirectoryEntry, in: directory, at: physical, index: index, device: name)
      guard entry["P"] == 1 else { continue }
      let table = entry["SMPTBLPTR"] << 12
      guard let words = try reader.table("PASID table", at: table, wordCount: 512, device: name) else {
        continue
      }
      for slot in 0..<64 where words[8 * slot] & 1 == 1 {
        let pasid = index << 6 | slot
        let isDefault = pasid == Int(context["RID_PASID"])
        var device = DeviceTables(id: id, process: isDefault ? nil : UInt32(pasid), mode: .translated)
        let pasidEntry = reader.structure(
          IntelStructures.pasidEntry, in: words, at: table, index: slot, device: device.name)
        device.structures = [root, context, entry, pasidEntry]
        device.domain = "DID \(pasidEntry["DID"])"
        complete(&device, pasidEntry)
        reader.add(device)
      }
    }
  }

  /// Completes a device from its PASID table entry.
  private func complete(_ device: inout DeviceTables, _ entry: Structure) {
    // ECAP.SMPWC: whether walks of tables can snoop in scalable mode.
    let coherent = ecap & Bits.bit(48) != 0
    switch entry["PGTT"] {
    case 1: firstStage(&device, entry, coherent: coherent)
    case 2:
      device.stage = "second stage"
      secondStage(&device, entry, aw: entry["AW"], root: entry["SSPTPTR"] << 12, coherent: coherent)
    case 3:
      // The first stage's addresses are those of the second, so that only the second is in this memory's terms.
      device.stage = "second stage of a nested translation"
      device.notes.append(
        "first stage at \(Numbers.hex(entry["FSPTPTR"] << 12)) in guest addresses: not walked")
      secondStage(&device, entry, aw: entry["AW"], root: entry["SSPTPTR"] << 12, coherent: coherent)
    case 4: device.mode = .passThrough
    default: refuse(&device, "the translation type PGTT \(entry["PGTT"]) is reserved", entry)
    }
  }

  private func firstStage(_ device: inout DeviceTables, _ entry: Structure, coherent: Bool) {
    device.stage = "first stage"
    guard entry["FSPM"] <= 1 else {
      return refuse(&device, "the paging mode FSPM \(entry["FSPM"]) is reserved", entry)
    }
    let level = 3 + Int(entry["FSPM"])
    // CAP.FS5LP
    guard level == 3 || cap & Bits.bit(60) != 0 else {
      return refuse(&device, "5 levels of the first stage, without CAP.FS5LP", entry)
    }
    device.root = TableRoot(physical: entry["FSPTPTR"] << 12, level: level)
    device.formats = WalkFormats.configurations(
      "x86_64", ["va=\(12 + 9 * (level + 1))", "level=\(level)"], features: ["flush_range", "sign_extend"],
      optional: coherent ? [] : ["dma_incoherent"])
  }
}
