// SPDX-License-Identifier: GPL-2.0-only
//
// Arm System Memory Management Unit Architecture Specification version 3, IHI 0070, chapter 5. Fields that only some
// revisions have are named, so that what is left is reserved in all of them.

/// The structures between the stream table register of an SMMUv3 and the tables.
enum SMMUv3Structures {
  static let level1Descriptor = StructureLayout(
    "level 1 stream table descriptor", section: "5.1", wordCount: 1,
    [
      StructureField("Span", 4, 0, "log2 of the level 2 table's entries, plus 1; 0: invalid"),
      StructureField("L2Ptr", 55, 6, "level 2 stream table, in 64 bytes"),
    ])

  static let streamEntry = StructureLayout(
    "stream table entry", section: "5.2", wordCount: 8,
    [
      StructureField("V", 0, "valid"),
      StructureField("Config", 3, 1, "0 abort, 4 bypass, 5 stage 1, 6 stage 2, 7 both"),
      StructureField("S1Fmt", 5, 4, "context descriptors: 0 linear, 1 two levels with 4K, 2 with 64K"),
      StructureField("S1ContextPtr", 55, 6, "context descriptors, in 64 bytes"),
      StructureField("S1CDMax", 63, 59, "log2 of the context descriptors"),
      StructureField("S1DSS", 65, 64, "requests without substream: 0 abort, 1 bypass, 2 use substream 0"),
      StructureField("S1CIR", 67, 66), StructureField("S1COR", 69, 68), StructureField("S1CSH", 71, 70),
      StructureField("S2HWU", 75, 72), StructureField("DRE", 76), StructureField("CONT", 80, 77),
      StructureField("DCP", 81), StructureField("PPAR", 82), StructureField("MEV", 83, "merge events"),
      StructureField("SW_RESERVED", 87, 84), StructureField("S2FWB", 89, "stage 2 forces write back"),
      StructureField("S1MPAM", 90), StructureField("S1STALLD", 91), StructureField("EATS", 93, 92),
      StructureField("STRW", 95, 94), StructureField("MemAttr", 99, 96), StructureField("MTCFG", 100),
      StructureField("ALLOCCFG", 104, 101), StructureField("SHCFG", 109, 108),
      StructureField("NSCFG", 111, 110),
      StructureField("PRIVCFG", 113, 112), StructureField("INSTCFG", 115, 114),
      StructureField("attributes", 127, 116),
      StructureField("S2VMID", 143, 128), StructureField("implementation", 159, 144),
      StructureField("S2T0SZ", 165, 160, "stage 2's IOVA bits less than 64"),
      StructureField("S2SL0", 167, 166, "stage 2's start level"), StructureField("S2IR0", 169, 168),
      StructureField("S2OR0", 171, 170), StructureField("S2SH0", 173, 172),
      StructureField("S2TG", 175, 174, "granule: 0 4K, 1 64K, 2 16K"),
      StructureField("S2PS", 178, 176, "output bits: 32, 36, 40, 42, 44, 48, 52"),
      StructureField("S2AA64", 179, "64-bit descriptors"), StructureField("S2ENDI", 180, "big-endian"),
      StructureField("S2AFFD", 181), StructureField("S2PTW", 182), StructureField("S2HD", 183),
      StructureField("S2HA", 184), StructureField("S2S", 185), StructureField("S2R", 186),
      StructureField("S2extra", 191, 187),
      StructureField("S2NSW", 192), StructureField("S2NSA", 193),
      StructureField("S2TTB", 247, 196, "stage 2's root table, in 16 bytes"),
      // Words 4 to 7 hold what belongs to the Secure state, MPAM and the VMS pointer.
      StructureField("word4", 319, 256), StructureField("word5", 383, 320), StructureField("word6", 447, 384),
      StructureField("word7", 511, 448),
    ])

  static let level1ContextDescriptor = StructureLayout(
    "level 1 context descriptor", section: "5.3", wordCount: 1,
    [StructureField("V", 0, "valid"), StructureField("L2Ptr", 55, 12, "context descriptors, page number")])

  static let contextDescriptor = StructureLayout(
    "context descriptor", section: "5.4", wordCount: 8,
    [
      StructureField("T0SZ", 5, 0, "TTB0's IOVA bits less than 64"),
      StructureField("TG0", 7, 6, "granule: 0 4K, 1 64K, 2 16K"),
      StructureField("IR0", 9, 8), StructureField("OR0", 11, 10), StructureField("SH0", 13, 12),
      StructureField("EPD0", 14, "TTB0 is not walked"), StructureField("ENDI", 15, "big-endian"),
      StructureField("T1SZ", 21, 16), StructureField("TG1", 23, 22, "granule: 1 16K, 2 4K, 3 64K"),
      StructureField("IR1", 25, 24), StructureField("OR1", 27, 26), StructureField("SH1", 29, 28),
      StructureField("EPD1", 30, "TTB1 is not walked"), StructureField("V", 31, "valid"),
      StructureField("IPS", 34, 32, "output bits: 32, 36, 40, 42, 44, 48, 52"), StructureField("AFFD", 35),
      StructureField("WXN", 36), StructureField("UWXN", 37), StructureField("TBI", 39, 38),
      StructureField("PAN", 40), StructureField("AA64", 41, "64-bit descriptors"), StructureField("HD", 42),
      StructureField("HA", 43), StructureField("S", 44), StructureField("R", 45), StructureField("A", 46),
      StructureField("ASET", 47), StructureField("ASID", 63, 48),
      StructureField("attributes0", 67, 64, "NSCFG, HAD, E0PD, HAFT"),
      StructureField("TTB0", 119, 68, "root table, in 16 bytes"), StructureField("attributes1", 127, 124),
      StructureField("attributes2", 131, 128), StructureField("TTB1", 183, 132, "root table, in 16 bytes"),
      StructureField("attributes3", 191, 184),
      StructureField("MAIR", 255, 192, "memory attributes"), StructureField("AMAIR", 319, 256),
      StructureField("word5", 383, 320), StructureField("word6", 447, 384), StructureField("word7", 511, 448),
    ])
}
