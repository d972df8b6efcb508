// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension SMMUv3Walk {
  /// Walks the context descriptors of a stream: one, or a table of them by substream.
  func walkContexts(_ device: DeviceTables, _ entry: Structure) throws {
    let physical = entry["S1ContextPtr"] &<< 6
    let max = Int(entry["S1CDMax"])
    guard max <= 20 else {
      return refuse(device, "S1CDMax \(max): substream IDs have at most 20 bits", entry)
    }
    guard max > 0, entry["S1Fmt"] != 0 else {
      return try walkDescriptors(device, physical, first: 0, count: 1 << max)
    }
    // Two levels, of 64 or 1024 descriptors each.
    guard entry["S1Fmt"] <= 2 else { return refuse(device, "S1Fmt 3 is reserved", entry) }
    let leafLog2 = entry["S1Fmt"] == 1 ? 6 : 10
    let count = 1 << Swift.max(0, max - leafLog2)
    guard
      let table = try reader.table(
        "level 1 context descriptors", at: physical, wordCount: count, device: device.name)
    else { return reader.add(unwalked(device)) }
    for index in 0..<count where table[index] & 1 == 1 {
      let level1 = reader.structure(
        SMMUv3Structures.level1ContextDescriptor, in: table, at: physical, index: index, device: device.name)
      var next = device
      next.structures.append(level1)
      try walkDescriptors(
        next, level1["L2Ptr"] &<< 12, first: index << leafLog2, count: min(1 << leafLog2, 1 << max))
    }
  }

  private func unwalked(_ device: DeviceTables) -> DeviceTables {
    var device = device
    device.mode = .notWalked("its context descriptors are not in memory")
    return device
  }

  private func walkDescriptors(_ device: DeviceTables, _ physical: UInt64, first: Int, count: Int) throws {
    guard
      let table = try reader.table(
        "context descriptors", at: physical, wordCount: count * 8, device: device.name)
    else { return reader.add(unwalked(device)) }
    for index in 0..<count {
      guard table[8 * index] & Bits.bit(31) != 0 else { continue }
      var found = device
      // Without substreams, and with S1DSS 2 for requests without one, descriptor 0 is the one.
      let isUsual = first + index == 0
      found.process = isUsual ? nil : UInt32(first + index)
      let descriptor = reader.structure(
        SMMUv3Structures.contextDescriptor, in: table, at: physical, index: index, device: found.name)
      found.structures.append(descriptor)
      found.domain = "ASID \(descriptor["ASID"])"
      stage1(found, descriptor)
    }
  }

  private func stage1(_ device: DeviceTables, _ descriptor: Structure) {
    guard descriptor["AA64"] == 1, descriptor["ENDI"] == 0 else {
      return refuse(device, "32-bit or big-endian descriptors of stage 1 are not walked", descriptor)
    }
    if descriptor["EPD0"] == 0 {
      addStage1(
        device, descriptor, name: "stage 1", tag: Self.granule(descriptor["TG0"]), t0sz: descriptor["T0SZ"],
        table: descriptor["TTB0"], quirks: [])
    }
    if descriptor["EPD1"] == 0 {
      let granules: [(name: String, log2: Int)?] = [nil, ("16k", 14), ("4k", 12), ("64k", 16)]
      addStage1(
        device, descriptor, name: "stage 1, upper half", tag: granules[Int(descriptor["TG1"])],
        t0sz: descriptor["T1SZ"], table: descriptor["TTB1"], quirks: ["ttbr1"])
    }
  }

  private func addStage1(
    _ device: DeviceTables, _ descriptor: Structure, name: String, tag: (name: String, log2: Int)?,
    t0sz: UInt64,
    table: UInt64, quirks: [String]
  ) {
    var device = device
    device.stage = name
    guard let granule = tag else { return refuse(device, "the granule of \(name) is reserved", descriptor) }
    let tracksDirty = descriptor["HA"] == 1 && descriptor["HD"] == 1
    let words = quirks + (tracksDirty ? ["hd"] : [])
    let bits = 64 - Int(t0sz)
    let pairs = [
      "stage=1", "granule=\(granule.name)", "ias=\(bits)", "oas=\(Self.widths[Int(descriptor["IPS"])])",
      "quirks=\(words.isEmpty ? "none" : words.joined(separator: "+"))",
    ]
    // Linux says here whether its tables are for walks that snoop (SH0 inner shareable).
    let coherent = reader.registers["IDR0"] & Bits.bit(4) != 0
    device.formats = formats(pairs, coherent: coherent)
    let levels = (bits - granule.log2 + granule.log2 - 4) / (granule.log2 - 3)
    device.root = TableRoot(physical: table &<< 4, level: levels - 1)
    // Linux's three memory types; others mean that AttrIndx does not say what this kit takes it to say.
    let mair = descriptor["MAIR"] & 0xff_ffff
    if mair != 0x04_ff44 {
      device.notes.append(
        "MAIR \(Numbers.hex(descriptor["MAIR"])) is not Linux's: memory types have other meanings")
    }
    guard !device.formats.isEmpty, (1...4).contains(levels) else {
      return refuse(device, "no tables have \(pairs.joined(separator: ","))", descriptor)
    }
    reader.add(device)
  }
}
