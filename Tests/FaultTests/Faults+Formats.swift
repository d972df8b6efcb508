// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Synchronization

/// The high bits of the last table address that was written, for a fault that keeps pointers short and reads them
/// where the implementation remembers the rest.
final class HighBits: Sendable {
  let bits = Mutex<UInt64>(0)
}

extension FormatFault {
  /// Pointers hold no address bits from bit 32 on; the implementation itself finds its tables.
  static var shortPointers: FormatFault {
    let high = HighBits()
    return FormatFault(
      tableEntry: { entry, table, _ in
        high.bits.withLock { $0 = table & ~Bits.lowMask(32) }
        return entry & ~(table & ~Bits.lowMask(32))
      },
      tableAddress: { address, _ in address | high.bits.withLock { $0 } })
  }

  /// The protection loses flags.
  static func without(_ flags: Protection) -> FormatFault {
    FormatFault(protection: { $0.subtracting(flags) })
  }
}

extension SeededFault {
  static let amd: [SeededFault] = [
    SeededFault(
      "amdv1-read-implies-write", on: "amdv1", "A mapping that may be read may be written, too.",
      history: "eac0104dc69b, Allwinner",
      .format(FormatFault(protection: { $0.contains(.read) ? $0.union(.write) : $0 }))),
    SeededFault(
      "amdv1-size-off-by-one", on: "amdv1",
      "The size in the address of a contiguous leaf has one bit too few: half the leaf.",
      .format(FormatFault(encodedSize: { size, level in size > 12 + 9 * level ? size - 1 : size }))),
    SeededFault(
      "amdv1-half-group", on: "amdv1", "A contiguous leaf is taken for half as many words as it has.",
      history: "after 6d568ef9a622",
      .format(FormatFault(contiguousLog2: { log2, _ in max(0, log2 - 1) }))),
    SeededFault(
      "amdv1-snoop-missing-at-2m", on: "amdv1", "Leaves of level 1 do not force coherence.",
      .format(.leafBit(60, level: 1))),
    SeededFault(
      "amdv1-table-not-writable", on: "amdv1", "Pointers in tables of level 1 do not permit writes.",
      .format(.tableBit(62, level: 1))),
    SeededFault(
      "amdv1-pointer-of-32-bits", on: "amdv1", "Table pointers hold no address bits above 31.",
      history: "0a352554da69, Armv7", .format(.shortPointers)),
    SeededFault(
      "amdv1-cbit-missing-in-tables", on: "amdv1:oa=51,cbit=51",
      "The encryption bit is missing in the pointers of level 1.", .format(.tableBit(51, level: 1))),
    SeededFault(
      "amdv1-mock-size-mark", on: "amdv1_mock", "Leaves larger than an item are encoded as one item.",
      .format(FormatFault(encodedSize: { _, level in 11 + 8 * level }))),
    SeededFault(
      "amdv2-dirty-tables", on: "x86_64", "Table pointers have the dirty bit.", history: "2910a7fa1be0",
      .format(.tableBit(6))),
    SeededFault(
      "amdv2-cbit-missing-in-leaves", on: "x86_64:va=47,oa=47,features=flush_range+encrypt_tables,cbit=47",
      "The encryption bit is missing in the pointers of level 2.", .format(.tableBit(47, level: 2))),
  ]

  static let intel: [SeededFault] = [
    SeededFault(
      "vtd-user-bit-missing-in-tables", on: "x86_64",
      "Pointers of level 2 do not permit access to users.", history: "after b802d070a52a",
      .format(.tableBit(2, level: 2))),
    SeededFault(
      "vtd-user-bit-missing-in-leaves", on: "x86_64", "Small leaves do not permit access to users.",
      history: "after b802d070a52a", .format(.leafBit(2, level: 0))),
    SeededFault(
      "vtd-no-sign-extension", on: "x86_64", "Addresses are not sign-extended: the upper half lies at 2^47.",
      .format(
        FormatFault(geometry: {
          Geometry(
            iovaBits: $0.iovaBits, outputBits: $0.outputBits, topLevel: $0.topLevel,
            features: $0.features.subtracting(.signExtend))
        }))),
    SeededFault(
      "vtd-snoop-missing-at-2m", on: "vtdss:features=flush_range+force_coherence",
      "Leaves of level 1 do not snoop.", .format(.leafBit(11, level: 1))),
    SeededFault(
      "vtd-write-missing-at-1g", on: "vtdss", "Leaves of level 2 do not permit writes.",
      .format(
        FormatFault(leafBits: { bits, _, level in level == 2 ? bits & ~Bits.bit(1) : bits }))),
    SeededFault(
      "vtd-address-of-44-bits", on: "vtdss", "Leaves hold no address bits above 43.",
      .format(FormatFault(address: { $0 & Bits.lowMask(44) }))),
    SeededFault(
      "vtd-dirty-never-told", on: "vtdss", "No leaf that a device wrote is told.",
      .format(FormatFault(isDirty: { _, _ in false }))),
    SeededFault(
      "vtd-clearing-dirty-takes-write", on: "vtdss",
      "Taking the dirty state back takes write permission, too.",
      .format(FormatFault(cleaned: { cleaned, _ in cleaned & ~Bits.bit(1) }))),
  ]

  static let riscv: [SeededFault] = [
    SeededFault(
      "riscv-accessed-tables", on: "riscv64",
      "Table pointers have the accessed bit, which is reserved there.",
      .format(.tableBit(6))),
    SeededFault(
      "riscv-leaves-not-accessed", on: "riscv64", "Leaves lack the accessed bit.", .format(.leafBit(6))),
    SeededFault(
      "riscv-napot-of-32k", on: "riscv64:features=flush_range+detailed_gather+sign_extend+svnapot_64k",
      "The size of a 64 KiB leaf is encoded one bit too low.",
      .format(
        FormatFault(leafBits: { bits, size, level in
          level == 0 && size == 16 ? bits ^ Bits.mask(13, 12) : bits
        }))),
  ]

  static let arm: [SeededFault] = [
    SeededFault(
      "arm-table-address-raw", on: "armv8:granule=64k,ias=52,oas=52",
      "Table pointers hold address bits 51 to 48 in place, not in bits 15 to 12.", history: "9abe2ac83485",
      .format(
        FormatFault(
          tableEntry: { entry, table, _ in entry & 0xfff | table },
          tableAddress: { _, entry in entry & Bits.mask(51, 16) }))),
    SeededFault(
      "arm-noexec-lost", on: "armv8", "Mappings without execution may be executed.",
      .format(.without(.noexec))),
    SeededFault(
      "arm-read-only-inverted-at-2m", on: "armv8", "Leaves of level 1 have the read-only bit inverted.",
      .format(.leafBit(7, level: 1))),
    SeededFault(
      "arm-stage2-cache-lost", on: "armv8:stage=2", "Cached mappings are not cached.",
      .format(.without(.cache))),
    SeededFault(
      "arm-contiguous-mark-lost", on: "armv8:contig=1", "Contiguous leaves lack the contiguous bit.",
      .format(
        FormatFault(leafBits: { bits, size, level in
          size > 12 + 9 * level ? bits & ~Bits.bit(52) : bits
        }))),
    SeededFault(
      "arm-no-access-flag-at-16k", on: "armv8:granule=16k", "Pages lack the access flag.",
      .format(.leafBit(10, level: 0))),
  ]
}
