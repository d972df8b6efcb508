// SPDX-License-Identifier: GPL-2.0-only
//
// RISC-V IOMMU Architecture Specification, chapter on data structures.

/// The structures between the device directory register of a RISC-V IOMMU and the tables.
enum RISCVStructures {
  static let directoryEntry = StructureLayout(
    "device directory entry", section: "non-leaf DDT entry", wordCount: 1,
    [StructureField("V", 0, "valid"), StructureField("PPN", 53, 10, "next table, page number")])

  private static let contextFields = [
    StructureField("V", 0, "valid"), StructureField("EN_ATS", 1), StructureField("EN_PRI", 2),
    StructureField("T2GPA", 3), StructureField("DTF", 4, "translation faults are not reported"),
    StructureField("PDTV", 5, "fsc is a process directory"), StructureField("PRPR", 6),
    StructureField("GADE", 7, "second stage's A and D are set by hardware"),
    StructureField("SADE", 8, "first stage's A and D are set by hardware"),
    StructureField("DPE", 9, "requests without a process ID have process 0"),
    StructureField("SBE", 10, "first stage is big-endian"), StructureField("SXL", 11, "first stage is Sv32"),
    StructureField("custom", 31, 24),
    StructureField("iohgatp.PPN", 107, 64, "second-stage root table, page number"),
    StructureField("GSCID", 123, 108, "guest"),
    StructureField("iohgatp.MODE", 127, 124, "0 bare, 8 Sv39x4, 9, 10"),
    StructureField("PSCID", 159, 140, "address space"), StructureField("RCID", 179, 168),
    StructureField("MCID", 191, 180),
    StructureField("fsc.PPN", 235, 192, "first-stage root table or process directory, page number"),
    StructureField(
      "fsc.MODE", 255, 252, "0 bare; iosatp: 8 Sv39, 9 Sv48, 10 Sv57; pdtp: 1 PD8, 2 PD17, 3 PD20"),
  ]

  /// The base format, without MSI translation.
  static let baseContext = StructureLayout(
    "device context", section: "base format", wordCount: 4, contextFields)

  /// The extended format, where the capability MSI_FLAT is set.
  static let extendedContext = StructureLayout(
    "device context", section: "extended format", wordCount: 8,
    contextFields + [
      StructureField("msiptp.PPN", 299, 256, "MSI page table, page number"),
      StructureField("msiptp.MODE", 319, 316, "0 off, 1 flat"),
      StructureField("msi_addr_mask", 371, 320), StructureField("msi_addr_pattern", 435, 384),
    ])

  static let processEntry = StructureLayout(
    "process directory entry", section: "non-leaf PDT entry", wordCount: 1,
    [StructureField("V", 0, "valid"), StructureField("PPN", 53, 10, "next table, page number")])

  static let processContext = StructureLayout(
    "process context", section: "process context", wordCount: 2,
    [
      StructureField("V", 0, "valid"), StructureField("ENS", 1, "supervisor requests"),
      StructureField("SUM", 2),
      StructureField("PSCID", 31, 12, "address space"),
      StructureField("fsc.PPN", 107, 64, "first-stage root table, page number"),
      StructureField("fsc.MODE", 127, 124, "0 bare, 8 Sv39, 9 Sv48, 10 Sv57"),
    ])
}
