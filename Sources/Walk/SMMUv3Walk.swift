// SPDX-License-Identifier: GPL-2.0-only
//
// Registers: IHI 0070, chapter 6. How Linux programs them: drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c.

import PageTable

/// From the registers of an SMMUv3 to the tables of each stream.
struct SMMUv3Walk {
  let reader: StructureReader
  /// Whether walks snoop caches: IDR0.COHACC.
  private let isCoherent: Bool
  private let size: Int

  /// 52-bit addresses keep their highest bits in the fields' places (IDR5.OAS, 2:0).
  static let widths = [32, 36, 40, 42, 44, 48, 52, 52]

  init(_ reader: StructureReader) {
    self.reader = reader
    isCoherent = reader.registers["IDR0"] & Bits.bit(4) != 0
    size = Int(reader.registers["STRTAB_BASE_CFG"] & 0x3f)
  }

  func run() throws {
    let registers = reader.registers
    let isEnabled = registers["CR0"] & 1 == 1
    // GBPA.ABORT
    let aborts = registers["GBPA"] & Bits.bit(20) != 0
    reader.fact(
      "the SMMU is \(isEnabled ? "enabled" : aborts ? "disabled: all DMA is refused" : "disabled: all DMA passes")"
    )
    reader.fact(
      "output addresses have \(Self.widths[Int(registers["IDR5"] & 7)]) bits; walks "
        + (isCoherent ? "snoop" : "do not snoop") + " caches")
    let base = registers["STRTAB_BASE"] & Bits.mask(51, 6)
    let form = (registers["STRTAB_BASE_CFG"] &>> 16) & 3
    reader.fact("stream table \(Numbers.hex(base)), \(form == 1 ? "2 levels" : "linear"), 2^\(size) streams")
    guard isEnabled else { return }
    // IDR1.SIDSIZE; a table for more streams than a memory holds is no table.
    let widest = Int(registers["IDR1"] & 0x3f)
    guard size <= min(widest, 32) else {
      return reader.problem("STRTAB_BASE_CFG: 2^\(size) streams, but IDR1.SIDSIZE is \(widest)")
    }
    switch form {
    case 0: try walkStreams(base, first: 0, countLog2: size)
    case 1: try walkLevel1(base)
    default: reader.problem("STRTAB_BASE_CFG: the form \(form) of the stream table is reserved")
    }
  }

  private func walkLevel1(_ physical: UInt64) throws {
    let split = Int((reader.registers["STRTAB_BASE_CFG"] &>> 6) & 0x1f)
    guard [6, 8, 10].contains(split), size - split <= 20 else {
      return reader.problem("STRTAB_BASE_CFG: SPLIT \(split) with 2^\(size) streams is not 6, 8 or 10")
    }
    let count = 1 << max(0, size - split)
    guard let table = try reader.table("level 1 stream table", at: physical, wordCount: count) else { return }
    for index in 0..<count where table[index] != 0 {
      let name = "streams from \(Numbers.hex(UInt64(index << split)))"
      let entry = reader.structure(
        SMMUv3Structures.level1Descriptor, in: table, at: physical, index: index, device: name)
      switch entry["Span"] {
      case 0: continue
      case 1...UInt64(split + 1):
        try walkStreams(entry["L2Ptr"] &<< 6, first: index << split, countLog2: Int(entry["Span"]) - 1)
      default: reader.problem("Span \(entry["Span"]) is more than SPLIT \(split) plus 1", device: name, entry)
      }
    }
  }

  private func walkStreams(_ physical: UInt64, first: Int, countLog2: Int) throws {
    // In parts, for linear tables of many streams.
    let partLog2 = min(countLog2, 12)
    for part in 0..<(1 << (countLog2 - partLog2)) {
      let start = part << partLog2
      let base = physical &+ UInt64(start) &* 64
      guard let table = try reader.table("stream table", at: base, wordCount: 8 << partLog2) else { return }
      for index in 0..<(1 << partLog2) {
        guard table[8 * index] & 1 == 1 else {
          reader.count("V=0: DMA is refused")
          continue
        }
        try walkStream(UInt32(truncatingIfNeeded: first + start + index), table, base, index)
      }
    }
  }

  private func walkStream(_ id: UInt32, _ table: [UInt64], _ physical: UInt64, _ index: Int) throws {
    let name = DeviceTables.name(id)
    let entry = reader.structure(
      SMMUv3Structures.streamEntry, in: table, at: physical, index: index, device: name)
    let device = DeviceTables(id: id, mode: .translated, structures: [entry])
    switch entry["Config"] {
    case 0: reader.count("Config=0: DMA is refused")
    case 4: reader.count("Config=4: DMA passes untranslated")
    case 5: try walkContexts(device, entry)
    case 6: stage2(device, entry, note: nil)
    case 7:
      stage2(
        device, entry,
        note:
          "context descriptors at \(Numbers.hex(entry["S1ContextPtr"] &<< 6)) and stage 1 in guest addresses: not walked"
      )
    default: refuse(device, "the configuration \(entry["Config"]) is reserved", entry)
    }
  }

  func refuse(_ device: DeviceTables, _ why: String, _ structure: Structure) {
    var device = device
    device.mode = .notWalked(why)
    reader.problem(why, device: device.name, structure)
    reader.add(device)
  }

  /// The choices that software has with a table: whether it marks flushed words where walks do not snoop.
  func formats(_ pairs: [String], coherent: Bool) -> [Configuration] {
    let choices = coherent ? ["1"] : ["0", "1"]
    return choices.compactMap { WalkFormats.configuration("armv8", pairs + ["contig=1", "coherent=\($0)"]) }
  }

  // MARK: Stage 2

  private func stage2(_ device: DeviceTables, _ entry: Structure, note: String?) {
    var device = device
    device.stage = note == nil ? "stage 2" : "stage 2 of a nested translation"
    device.domain = "VMID \(entry["S2VMID"])"
    if let note { device.notes.append(note) }
    guard entry["S2AA64"] == 1, entry["S2ENDI"] == 0 else {
      return refuse(device, "32-bit or big-endian descriptors of stage 2 are not walked", entry)
    }
    guard let granule = Self.granule(entry["S2TG"]), let start = Self.startLevel(entry["S2SL0"], granule)
    else {
      return refuse(
        device, "the granule S2TG \(entry["S2TG"]) or the start level S2SL0 \(entry["S2SL0"]) is reserved",
        entry)
    }
    let pairs = [
      "stage=2", "granule=\(granule.name)", "ias=\(64 - Int(entry["S2T0SZ"]))",
      "oas=\(Self.widths[Int(entry["S2PS"])])",
      "quirks=\(entry["S2FWB"] == 1 ? "s2fwb" : "none")",
    ]
    device.formats = formats(pairs, coherent: isCoherent)
    device.root = TableRoot(physical: entry["S2TTB"] &<< 4, level: 3 - start)
    guard !device.formats.isEmpty else {
      return refuse(device, "no tables have \(pairs.joined(separator: ","))", entry)
    }
    reader.add(device)
  }

  /// The granule that TG0 and S2TG name, log2 of its bytes.
  static func granule(_ value: UInt64) -> (name: String, log2: Int)? {
    switch value {
    case 0: ("4k", 12)
    case 1: ("64k", 16)
    case 2: ("16k", 14)
    default: nil
    }
  }

  /// The manual's number of the level at which stage 2 starts.
  private static func startLevel(_ sl0: UInt64, _ granule: (name: String, log2: Int)) -> Int? {
    // 3 asks for level 3 with small tables, or for 52-bit addresses: neither is walked.
    guard sl0 <= 2 else { return nil }
    return (granule.log2 == 12 ? 2 : 3) - Int(sl0)
  }
}
