// SPDX-License-Identifier: GPL-2.0-only
//
// AMD I/O Virtualization Technology (IOMMU) Specification, 48882: device table and guest CR3 table (section 2.2), MMIO
// registers (section 3.4). How Linux programs them: drivers/iommu/amd/init.c, iommu.c.

import PageTable

/// The structures between the device table register of AMD's IOMMU and the tables.
enum AMDStructures {
  static let deviceEntry = StructureLayout(
    "device table entry", section: "2.2.2.1", wordCount: 4,
    [
      StructureField("V", 0, "valid"), StructureField("TV", 1, "translation valid"),
      StructureField("CXL", 6, 4, "attributes of CXL memory"),
      StructureField("HAD", 8, 7, "accessed and dirty bits"),
      StructureField("Mode", 11, 9, "levels of host tables; 0: not translated"),
      StructureField("HostTable", 51, 12, "host root table, page number"),
      StructureField("PPR", 52, "page requests"), StructureField("GPRP", 53), StructureField("GIoV", 54),
      StructureField("GV", 55, "guest tables valid"),
      StructureField("GLX", 57, 56, "levels of the GCR3 table less 1"),
      StructureField("GCR3_14_12", 60, 58), StructureField("IR", 61, "read allowed"),
      StructureField("IW", 62, "write allowed"),
      StructureField("DomainID", 79, 64), StructureField("GCR3_30_15", 95, 80),
      StructureField("I", 96, "IOTLB"),
      StructureField("SE", 97), StructureField("SA", 98), StructureField("IOCTL", 100, 99),
      StructureField("Cache", 101), StructureField("SD", 102), StructureField("EX", 103),
      StructureField("SysMgt", 105, 104), StructureField("GCR3_51_31", 127, 107),
      StructureField("IV", 128, "interrupt map valid"), StructureField("IntTabLen", 132, 129),
      StructureField("IG", 133),
      StructureField("IntTable", 179, 134),
      StructureField("GuestPagingMode", 183, 182, "guest tables: 0 is 4 levels, 1 is 5"),
      StructureField("InitPass", 184), StructureField("EIntPass", 185), StructureField("NMIPass", 186),
      StructureField("HPTMode", 187), StructureField("IntCtl", 189, 188), StructureField("Lint0Pass", 190),
      StructureField("Lint1Pass", 191),
      // What later revisions keep here concerns virtual IOMMUs and attributes, not translation.
      StructureField("Attributes", 255, 192),
    ])

  static let guestEntry = StructureLayout(
    "GCR3 table entry", section: "2.2.6.3", wordCount: 1,
    [
      StructureField("V", 0, "valid"),
      StructureField("Table", 51, 12, "next table or guest root table, page number"),
    ])
}

/// From the registers of AMD's IOMMU to the tables of each device.
struct AMDWalk {
  let reader: StructureReader
  /// The bit of addresses that marks encrypted memory (SME); 0 for none.
  let encryptionBit: Int

  private static let entryWords = 4

  func run() throws {
    let base = reader.registers["DEV_TABLE_BASE"]
    let control = reader.registers["CONTROL"]
    let features = reader.registers["EXT_FEATURE"]
    let enabled = control & 1 == 1
    let count = (Int(base & 0x1ff) + 1) * 4096 / (Self.entryWords * 8)
    let physical = address(base)
    reader.fact("translation \(enabled ? "enabled" : "disabled: all DMA passes untranslated")")
    reader.fact("device table \(Numbers.hex(physical)), \(count) entries")
    // EFR.HATS, 11:10, and GTSup, 4.
    reader.fact(
      "host tables of up to \([4, 5, 6, 0][Int((features &>> 10) & 3)]) levels; guest tables "
        + (features & Bits.bit(4) != 0 ? "supported" : "not supported"))
    guard enabled else { return }
    // CONTROL.DevTblSegEn, 36:34
    guard (control &>> 34) & 7 == 0 else {
      return reader.problem("CONTROL \(Numbers.hex(control)): a device table in segments is not walked")
    }
    guard let table = try reader.table("device table", at: physical, wordCount: count * Self.entryWords)
    else { return }
    for index in 0..<count { try walk(table, physical, index) }
  }

  /// A page's address in a word, without the bit that marks encrypted memory.
  private func address(_ word: UInt64) -> UInt64 {
    word & Bits.mask(51, 12) & ~(encryptionBit > 0 ? Bits.bit(encryptionBit & 63) : 0)
  }

  private func walk(_ table: [UInt64], _ physical: UInt64, _ index: Int) throws {
    // Nothing else in an entry counts that is not valid.
    guard table[index * Self.entryWords] & 1 == 1 else { return reader.count("V=0: DMA passes untranslated") }
    let name = DeviceTables.name(UInt32(index))
    let entry = reader.structure(
      AMDStructures.deviceEntry, in: table, at: physical, index: index, device: name)
    guard entry["TV"] == 1 else { return reader.count("V=1 TV=0: DMA is refused") }
    let permits = entry["IR"] == 1 || entry["IW"] == 1
    if entry["Mode"] == 0, entry["GV"] == 0, !permits {
      return reader.count("V=1 TV=1 Mode=0 IR=IW=0: DMA is refused")
    }
    var device = DeviceTables(
      id: UInt32(index), mode: .translated, stage: "host tables", domain: "DomainID \(entry["DomainID"])",
      structures: [entry])
    if entry["GV"] == 1, entry["Mode"] == 0 { return try walkGuest(device, entry) }
    if entry["GV"] == 1 {
      device.stage = "host tables of a nested translation"
      device.notes.append("GCR3 table at \(Numbers.hex(guestTable(entry))) in guest addresses: not walked")
    }
    switch entry["Mode"] {
    case 0: device.mode = .passThrough
    case 1...6: hostTables(&device, entry)
    default: refuse(&device, "Mode 7 is reserved", entry)
    }
    reader.add(device)
  }

  private func hostTables(_ device: inout DeviceTables, _ entry: Structure) {
    let level = Int(entry["Mode"]) - 1
    device.root = TableRoot(physical: address(entry.words[0]), level: level)
    device.rights.read = entry["IR"] == 1
    device.rights.write = entry["IW"] == 1
    if entry["IR"] == 0 || entry["IW"] == 0 {
      device.notes.append("the device table entry grants IR=\(entry["IR"]) IW=\(entry["IW"])")
    }
    device.formats = WalkFormats.configurations(
      "amdv1", ["va=64", "level=\(level)"] + encryption, features: ["flush_range"] + encryptionFeature,
      optional: ["force_coherence"])
  }

  private var encryption: [String] { encryptionBit > 0 ? ["cbit=\(encryptionBit)"] : [] }
  private var encryptionFeature: [String] { encryptionBit > 0 ? ["encrypt_tables"] : [] }

  private func refuse(_ device: inout DeviceTables, _ why: String, _ entry: Structure) {
    device.mode = .notWalked(why)
    reader.problem(why, device: device.name, entry)
  }

  // MARK: Guest tables (version 2)

  private func guestTable(_ entry: Structure) -> UInt64 {
    address(entry["GCR3_14_12"] &<< 12 | entry["GCR3_30_15"] &<< 15 | entry["GCR3_51_31"] &<< 31)
  }

  private func walkGuest(_ device: DeviceTables, _ entry: Structure) throws {
    var device = device
    device.stage = "guest tables (version 2)"
    guard entry["GLX"] <= 2, entry["GuestPagingMode"] <= 1 else {
      let why = "GLX \(entry["GLX"]) or guest paging mode \(entry["GuestPagingMode"]) is reserved"
      refuse(&device, why, entry)
      return reader.add(device)
    }
    try walkGuestTable(guestTable(entry), depth: Int(entry["GLX"]), pasid: 0, device)
  }

  /// Walks a GCR3 table, which has 9 bits of the PASID at each level.
  private func walkGuestTable(_ physical: UInt64, depth: Int, pasid: Int, _ device: DeviceTables) throws {
    let name = device.name
    guard let table = try reader.table("GCR3 table", at: physical, wordCount: 512, device: name) else {
      return
    }
    for index in 0..<512 where table[index] & 1 == 1 {
      let entry = reader.structure(
        AMDStructures.guestEntry, in: table, at: physical, index: index, device: name)
      var found = device
      found.structures.append(entry)
      let number = pasid << 9 | index
      guard depth == 0 else {
        try walkGuestTable(address(entry.words[0]), depth: depth - 1, pasid: number, found)
        continue
      }
      guestTables(&found, entry, pasid: number)
      reader.add(found)
    }
  }

  private func guestTables(_ device: inout DeviceTables, _ entry: Structure, pasid: Int) {
    guard let deviceEntry = device.structures.first else { return }
    // With GIoV, requests without a PASID use PASID 0.
    device.process = pasid == 0 && deviceEntry["GIoV"] == 1 ? nil : UInt32(pasid)
    let level = 3 + Int(deviceEntry["GuestPagingMode"])
    device.root = TableRoot(physical: address(entry.words[0]), level: level)
    device.formats = WalkFormats.configurations(
      "x86_64", ["va=\(12 + 9 * (level + 1))", "level=\(level)"] + encryption,
      features: ["flush_range", "sign_extend"] + encryptionFeature, optional: [])
  }
}
