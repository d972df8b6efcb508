// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension OperationFault {
  /// After each map, words on the way to its first page are changed.
  static func pathChange(
    _ change: @escaping @Sendable (_ word: UInt64, _ isLeaf: Bool, _ level: Int) -> UInt64
  ) -> OperationFault {
    .map { table, map in
      let result = table.base.perform(map.operation)
      guard let leaf = table.leaf(at: map.iova) else { return result }
      for step in leaf.path {
        let word = change(step.word, step.level == leaf.leafLevel, step.level)
        if word != step.word { table.write(word, at: step.physical) }
      }
      return result
    }
  }

  static func named(_ name: String) -> OperationFault? {
    SeededFault.operationOrder.first { $0.name == name }?.operations
  }
}

extension SeededFault {
  /// The same kinds of mistakes in the models of the drivers' own code.
  static let drivers: [SeededFault] = [
    SeededFault(
      "driver-amdv1-half-group", on: "amdv1", "Half a contiguous leaf stays when it is unmapped.",
      history: "after 6d568ef9a622", .legacy(nil, .named("arm-contiguous-half-cleared"))),
    SeededFault(
      "driver-amdv1-grows-by-first-address", on: "amdv1",
      "The top grows for the first address of a range only; what lies beyond lands at the bottom.",
      history: "e3a682eaf2af", .legacy(nil, .named("amdv1-grows-by-first-address"))),
    SeededFault(
      "driver-amdv2-dirty-tables", on: "x86_64", "Table pointers have the dirty bit.",
      history: "2910a7fa1be0",
      .legacy(nil, .pathChange { word, isLeaf, _ in isLeaf ? word : word | Bits.bit(6) })),
    SeededFault(
      "driver-vtd-sync-mask", on: "vtdss",
      "The mask of an invalidation counts pages, and the address is aligned down to it.",
      history: "after 6fe1010d6d9c",
      .legacy(
        .sync { first, last in
          let pages = (last &- first) >> 12
          let mask = Bits.lowMask(12 + 64 - pages.leadingZeroBitCount)
          return (first & ~mask, first | mask)
        })),
    SeededFault(
      "driver-vtd-covered-table-leaks", on: "vtdss", "The first table that an unmap removes is not released.",
      history: "08336fd218e0",
      .legacy(MemoryFault(leaks: { $0.operation?.isUnmap == true && $0.number == 0 }))),
    SeededFault(
      "driver-riscv-sync-missing", on: "riscv64", "An unmap does not invalidate the IOTLB.",
      .legacy(.noSync(in: \.isUnmap))),
    SeededFault(
      "driver-arm-concatenated-root-wraps", on: "armv8:stage=2,ias=40,oas=40",
      "The index of the concatenated root tables is that of one table.", history: "d71fa842d33c",
      .legacy(nil, .aliases { $0 & ~Bits.bit(39) })),
    SeededFault(
      "driver-arm-replaced-table-lost", on: "armv8",
      "A block takes the place of an empty table, which is neither invalidated nor released.",
      history: "cf27ec930be9",
      .legacy(
        MemoryFault(
          sync: { request, operation in operation?.isMap == true ? nil : request },
          leaks: { $0.operation?.isMap == true }))),
    SeededFault(
      "driver-lpae32-noexec-lost", on: "arm_lpae32", "Pages without execution may be executed.",
      .legacy(nil, .pathChange { word, isLeaf, _ in isLeaf ? word & ~Bits.bit(54) : word })),
    SeededFault(
      "driver-mali-write-bit-at-2m", on: "mali", "Blocks of 2 MiB lose the write permission.",
      .legacy(nil, .pathChange { word, isLeaf, level in isLeaf && level == 1 ? word & ~Bits.bit(7) : word })),
    SeededFault(
      "driver-v7s-supersection-of-15", on: "armv7s",
      "Of the 16 words of a supersection, the last one is not written.", .legacy(nil, .fifteenWords)),
    SeededFault(
      "driver-arm-split-writable", on: "armv8", "What is left of a block that is split may be written.",
      history: "io-pgtable-arm-v7s: Fix attributes when splitting blocks, Armv7",
      .legacy(
        nil,
        .unmap { table, iova, length in
          let before = table.leaf(at: iova)
          let result = table.base.perform(.unmap(iova: iova, length: length))
          guard let before, before.leafLevel == 1 else { return result }
          for page in stride(from: before.leafIOVA, to: before.leafIOVA + before.leafSize, by: 0x1000) {
            guard let leaf = table.leaf(at: page), leaf.leafLevel == 0, let step = leaf.path.last else {
              continue
            }
            table.write(step.word & ~Bits.bit(7), at: step.physical)
          }
          return result
        }, era: "6.12")),
    SeededFault(
      "driver-dart-roots-swapped", on: "dart:granule=4k", "The four roots are in the opposite order.",
      .legacy(nil, .swappedRoots)),
  ]
}
