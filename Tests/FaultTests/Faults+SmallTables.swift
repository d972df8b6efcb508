// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Synchronization

extension FormatFault {
  /// Pointers of MediaTek's extension hold no address bits from bit 32 on; the implementation itself finds its tables.
  static var shortMediaTekPointers: FormatFault {
    let high = HighBits()
    return FormatFault(
      tableEntry: { entry, table, _ in
        high.bits.withLock { $0 = table & ~Bits.lowMask(32) }
        return entry & ~(Bits.bit(9) | Bits.mask(5, 4))
      },
      tableAddress: { address, _ in address | high.bits.withLock { $0 } })
  }
}

extension OperationFault {
  /// Of the words of a supersection, the last one is not written.
  static let fifteenWords = OperationFault.map { table, map in
    let result = table.base.perform(map.operation)
    guard let leaf = table.leaf(at: map.iova), leaf.leafLevel == 1 else { return result }
    let words = table.words(of: leaf)
    if words.count == 16 { table.write(0, at: words[15]) }
    return result
  }

  /// The roots are in the opposite order.
  static let swappedRoots = OperationFault(roots: { now, _ in now.reversed() })
}

extension SeededFault {
  static let smallTables: [SeededFault] = [
    SeededFault(
      "v7s-supersection-of-15", on: "armv7s",
      "Of the 16 words of a supersection, the last one is not written.",
      .operations(.fifteenWords)),
    SeededFault(
      "v7s-mediatek-bit-34", on: "armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext",
      "Leaves hold no address bit 34.", .format(FormatFault(address: { $0 & ~Bits.bit(34) }))),
    SeededFault(
      "v7s-table-above-4g", on: "armv7s:ias=34,oas=35,quirks=no_perms+mtk_ext+mtk_ttbr_ext",
      "Table pointers hold no address bits above 31.", history: "0a352554da69, 29859aeb8a6e",
      .format(.shortMediaTekPointers)),
    SeededFault(
      "v7s-noexec-of-sections", on: "armv7s", "Sections that may not be executed may.",
      .format(FormatFault(leafBits: { bits, _, level in level == 1 ? bits & ~Bits.bit(4) : bits }))),
    SeededFault(
      "v7s-noexec-of-large-pages", on: "armv7s",
      "Large pages have their execute-never bit where small pages have it, in the bit that makes them large.",
      .format(
        FormatFault(leafBits: { bits, size, level in
          level == 0 && size == 16 ? bits & ~Bits.bit(15) : bits
        }))),
    SeededFault(
      "v7s-read-only-sections-writable", on: "armv7s", "Read-only sections may be written.",
      .format(FormatFault(leafBits: { bits, _, level in level == 1 ? bits & ~Bits.bit(15) : bits }))),
    SeededFault(
      "lpae32-noexec-lost", on: "arm_lpae32", "Mappings without execution may be executed.",
      .format(.without(.noexec))),
    SeededFault(
      "lpae32-read-only-inverted", on: "arm_lpae32:stage=2,ias=40", "Pages have the write bit inverted.",
      .format(.leafBit(7, level: 0))),
    SeededFault(
      "mali-rights-swapped", on: "mali", "Reads and writes are swapped in the permissions of pages.",
      .format(
        FormatFault(leafBits: { bits, _, level in
          level > 0 ? bits : bits & ~Bits.mask(7, 6) | (bits & Bits.bit(6)) << 1 | (bits & Bits.bit(7)) >> 1
        }))),
    SeededFault(
      "mali-memory-type", on: "mali", "Cached mappings have the memory type of others.",
      .format(.without(.cache))),
    SeededFault(
      "dart-roots-swapped", on: "dart:granule=4k", "The four roots are in the opposite order.",
      .operations(.swappedRoots)),
    SeededFault(
      "dart2-pointer-not-shifted", on: "dart:version=2,oas=42",
      "Version 2 shifts addresses in leaves, not in table pointers.", history: "9abe2ac83485, Arm",
      .format(
        FormatFault(
          tableEntry: { _, table, _ in table | 1 }, tableAddress: { _, entry in entry & Bits.mask(41, 14) }))),
    SeededFault(
      "dart-subpage-end-short", on: "dart", "The last part of each page is out of reach.",
      .format(.leafBit(40))),
  ]
}
