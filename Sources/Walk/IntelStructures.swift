// SPDX-License-Identifier: GPL-2.0-only
//
// Intel Virtualization Technology for Directed I/O, D51397, chapter 9. Bits that a later revision has given a meaning
// are named, also where the newest manual drops them.

/// The structures between the root table register of VT-d and the tables.
enum IntelStructures {
  static let rootEntry = StructureLayout(
    "root entry", section: "9.1", wordCount: 2,
    [StructureField("P", 0, "present"), StructureField("CTP", 63, 12, "context table, page number")])

  static let contextEntry = StructureLayout(
    "context entry", section: "9.3", wordCount: 2,
    [
      StructureField("P", 0, "present"), StructureField("FPD", 1, "fault processing disabled"),
      StructureField(
        "TT", 3, 2, "translation type: 0 untranslated requests only, 1 with device TLB, 2 pass-through"),
      StructureField("SSPTPTR", 63, 12, "second-stage root table, page number"),
      StructureField("AW", 66, 64, "address width: 1 is 39 bits, 2 is 48, 3 is 57"),
      StructureField("ignored", 70, 67), StructureField("DID", 87, 72, "domain"),
    ])

  static let scalableRootEntry = StructureLayout(
    "scalable-mode root entry", section: "9.2", wordCount: 2,
    [
      StructureField("LP", 0, "lower context table present"),
      StructureField("LCTP", 63, 12, "lower context table, page number"),
      StructureField("UP", 64, "upper context table present"),
      StructureField("UCTP", 127, 76, "upper context table, page number"),
    ])

  static let scalableContextEntry = StructureLayout(
    "scalable-mode context entry", section: "9.4", wordCount: 4,
    [
      StructureField("P", 0, "present"), StructureField("FPD", 1, "fault processing disabled"),
      StructureField("DTE", 2, "device TLB"), StructureField("PASIDE", 3, "requests with PASID"),
      StructureField("PRE", 4, "page requests"), StructureField("HPTE", 5), StructureField("EPTR", 6),
      StructureField("PDTS", 11, 9, "log2 of the PASID directory's entries less 7"),
      StructureField("PASIDDIRPTR", 63, 12, "PASID directory, page number"),
      StructureField("RID_PASID", 83, 64, "PASID of requests without one"),
      StructureField("RID_PRIV", 84, "they are privileged"),
    ])

  static let pasidDirectoryEntry = StructureLayout(
    "PASID directory entry", section: "9.5", wordCount: 1,
    [
      StructureField("P", 0, "present"), StructureField("FPD", 1, "fault processing disabled"),
      StructureField("SMPTBLPTR", 63, 12, "PASID table, page number"),
    ])

  static let pasidEntry = StructureLayout(
    "PASID table entry", section: "9.6", wordCount: 8,
    [
      StructureField("P", 0, "present"), StructureField("FPD", 1, "fault processing disabled"),
      StructureField("AW", 4, 2, "second stage's address width: 1 is 39 bits, 2 is 48, 3 is 57"),
      StructureField("SLEE", 5, "execute permission, in old revisions"),
      StructureField("PGTT", 8, 6, "1 first stage, 2 second stage, 3 nested, 4 pass-through"),
      StructureField("SSADE", 9, "second stage's accessed and dirty bits"),
      StructureField("SSPTPTR", 63, 12, "second-stage root table, page number"),
      StructureField("DID", 79, 64, "domain"), StructureField("PWSNP", 87, "walks snoop"),
      StructureField("PGSNP", 88, "page accesses snoop"), StructureField("CD", 89, "cache disable"),
      StructureField("EMTE", 90, "memory types"), StructureField("EMT", 93, 91),
      StructureField("PWT", 94), StructureField("PCD", 95), StructureField("PAT", 127, 96),
      StructureField("SRE", 128, "supervisor requests"),
      StructureField("ERE", 129, "execute, in old revisions"),
      StructureField("FSPM", 131, 130, "first stage: 0 is 4 levels, 1 is 5"),
      StructureField("WPE", 132, "write protection of supervisor requests"),
      StructureField("NXE", 133, "in old revisions"), StructureField("SMEP", 134, "in old revisions"),
      StructureField("EAFE", 135, "extended accessed flag"),
      StructureField("FSPTPTR", 191, 140, "first-stage root table, page number"),
    ])
}
