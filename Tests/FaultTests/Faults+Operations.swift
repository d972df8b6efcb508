// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Reference

extension OperationFault {
  /// The dirty state of a leaf of several words is looked for in its first words only.
  static func dirtyInFirst(_ share: @escaping @Sendable (_ words: Int) -> Int) -> OperationFault {
    OperationFault { table, operation in
      guard case .dirty(let iova, let length, let clear) = operation,
        case .dirty(let ranges) = table.base.perform(.dirty(iova: iova, length: length, clear: false))
      else { return table.base.perform(operation) }
      let seen = ranges.filter { range in
        guard let leaf = table.leaf(at: range.iova) else { return true }
        let words = table.words(of: leaf)
        return words.prefix(share(words.count)).contains { place in
          guard
            case .leaf(let part) = table.reference.decode(table.word(at: place), level: leaf.leafLevel).kind
          else { return true }
          return part.dirty
        }
      }
      if clear { _ = table.base.perform(operation) }
      return .dirty(seen)
    }
  }

  /// No operation reaches the last page below `end`, 0 for 2^64.
  static func losesPage(before end: UInt64) -> OperationFault {
    OperationFault { table, operation in
      switch operation {
      case .map(let iova, _, let length, _) where length > 0 && iova &+ length == end: .failed(.erange)
      case .mapRange(let iova, _, let length, _) where length > 0 && iova &+ length == end:
        .failedMapped(.erange, 0)
      case .unmap(let iova, let length) where length > 0 && iova &+ length == end: .unmapped(0)
      default: table.base.perform(operation)
      }
    }
  }

  /// Once an operation is done, words of the second half of a leaf of several words are changed.
  static func secondHalf(
    of leaf: Translation?, in table: FaultyTable, _ change: (UInt64) -> UInt64
  ) {
    guard let leaf else { return }
    let words = table.words(of: leaf)
    guard words.count > 1 else { return }
    for place in words[(words.count / 2)...] { table.write(change(table.word(at: place)), at: place) }
  }
}

extension SeededFault {
  static let operationOrder: [SeededFault] = [
    SeededFault(
      "amdv1-grows-by-first-address", on: "amdv1",
      "The top grows for the first address of a range only; what lies beyond lands at the bottom.",
      history: "e3a682eaf2af",
      .operations(
        .map { table, map in
          let reach = table.reference.inputWidth(rootLevel: table.base.root.level)
          guard reach < 64, map.iova < 1 << UInt64(reach), map.last >= 1 << UInt64(reach) else { return nil }
          let inside: UInt64 = (1 << UInt64(reach)) - map.iova
          _ = table.base.perform(
            .mapRange(iova: map.iova, pa: map.pa, length: inside, protection: map.protection))
          return table.base.perform(
            .map(
              iova: 0, pa: map.pa &+ inside, length: map.length - inside, protection: map.protection))
        })),
    SeededFault(
      "amdv1-stale-level", on: "amdv1", "The hardware has the new root with the old number of levels.",
      history: "eb791aa70b90, 1e56310b40fd",
      .operations(
        OperationFault(roots: { now, first in
          zip(now, first).map { TableRoot(physical: $0.physical, level: $1.level) }
        }))),
    SeededFault(
      "amdv1-dirty-in-first-replica", on: "amdv1",
      "Only the first word of a contiguous leaf is asked whether it is dirty.",
      .operations(.dirtyInFirst { _ in 1 })),
    SeededFault(
      "arm-dirty-in-first-half", on: "armv8:quirks=hd,contig=1",
      "Only half the words of a contiguous leaf are asked whether they are dirty.",
      .operations(.dirtyInFirst { max(1, $0 / 2) })),
    SeededFault(
      "vtd-unmap-skips-tail", on: "vtdss",
      "An unmap over the border of two tables ends there, and says that it went on.",
      history: "after 3f34f1259776",
      .operations(
        .unmap { table, iova, length in
          let border = (iova | 0x1f_ffff) &+ 1
          guard border != 0, iova & 0x1f_ffff != 0, border &- iova < length else { return nil }
          let result = table.base.perform(.unmap(iova: iova, length: border &- iova))
          return result == .unmapped(border &- iova) ? .unmapped(length) : result
        })),
    SeededFault(
      "vtd-unmap-in-superpage", on: "vtdss",
      "An unmap inside of a large leaf takes its page for a table, finds it empty, and says that it is done.",
      history: "after 119a4e6a8273",
      .operations(
        .unmap { table, iova, length in
          guard let leaf = table.leaf(at: iova), leaf.leafIOVA != iova else { return nil }
          return .unmapped(length)
        })),
    SeededFault(
      "vtd-index-one-bit-short", on: "vtdss", "The index of level 1 has eight bits.",
      .operations(.aliases { $0 & ~Bits.bit(29) })),
    SeededFault(
      "vtd-keeping-dirty-clears", on: "vtdss", "Dirty state that is to be kept is taken back.",
      .operations(
        OperationFault { table, operation in
          guard case .dirty(let iova, let length, _) = operation else { return table.base.perform(operation) }
          return table.base.perform(.dirty(iova: iova, length: length, clear: true))
        })),
    SeededFault(
      "arm-concatenated-root-wraps", on: "armv8:stage=2,ias=40,oas=40",
      "The index of the concatenated root tables is that of one table.", history: "d71fa842d33c",
      .operations(.aliases { $0 & ~Bits.bit(39) })),
    SeededFault(
      "arm-upper-half-one-page-short", on: "armv8:ias=39,quirks=ttbr1",
      "The last page of the upper half is out of range.", history: "after 71a7d3d78e3c, VFIO",
      .operations(.losesPage(before: 0))),
    SeededFault(
      "lpae32-sign-of-32-bits", on: "arm_lpae32",
      "Addresses from 2^31 on are taken for the upper half.",
      history: "io-pgtable-arm: Fix IOVA validation for 32-bit",
      .operations(
        OperationFault { table, operation in
          switch operation {
          case .map(let iova, _, let length, let protection)
          where iova & 1 << 31 != 0 && iova >> 32 == 0 && length > 0
            && !protection.isDisjoint(with: [.read, .write]):
            .failed(.erange)
          case .unmap(let iova, _) where iova & 1 << 31 != 0 && iova >> 32 == 0: .unmapped(0)
          default: table.base.perform(operation)
          }
        })),
    SeededFault(
      "arm-contiguous-half-cleared", on: "armv8:contig=1",
      "Half a contiguous leaf stays when it is unmapped.",
      history: "after 6d568ef9a622, AMD",
      .operations(
        .unmap { table, iova, length in
          guard let leaf = table.leaf(at: iova) else { return nil }
          let words = table.words(of: leaf)
          let before = words.map { table.word(at: $0) }
          let result = table.base.perform(.unmap(iova: iova, length: length))
          if words.count > 1, result != .unmapped(0), table.leaf(at: iova) == nil {
            for index in words.count / 2..<words.count { table.write(before[index], at: words[index]) }
          }
          return result
        })),
    SeededFault(
      "arm-contiguous-half-marked", on: "armv8:contig=1",
      "Half the words of a contiguous leaf lack the contiguous bit.",
      .operations(
        .map { table, map in
          let result = table.base.perform(map.operation)
          OperationFault.secondHalf(of: table.leaf(at: map.iova), in: table) { $0 & ~Bits.bit(52) }
          return result
        })),
    SeededFault(
      "riscv-napot-misaligned", on: "riscv64:features=flush_range+detailed_gather+sign_extend+svnapot_64k",
      "Sixteen pages are made one leaf although their output address is not aligned to it.",
      .operations(
        .map { table, map in
          let result = table.base.perform(map.operation)
          guard map.length >= 0x1_0000, map.iova & 0xffff == 0, map.pa & 0xffff != 0,
            let leaf = table.leaf(at: map.iova), leaf.leafSize == 4096, let step = leaf.path.last
          else { return result }
          for index in 0..<16 {
            let place = step.physical &+ UInt64(index) * 8
            table.write(step.word & ~Bits.mask(13, 10) | Bits.bit(63) | Bits.bit(13), at: place)
          }
          return result
        })),
    SeededFault(
      "unmap-one-entry-short", on: "x86_64",
      "An unmap leaves the last entry of a table, if it goes on in the next one.",
      .operations(
        .unmap { table, iova, length in
          let border = (iova | 0x1f_ffff) &+ 1
          guard border != 0, border &- iova < length, let leaf = table.leaf(at: border &- 1),
            leaf.leafSize == 4096,
            let step = leaf.path.last
          else { return nil }
          let result = table.base.perform(.unmap(iova: iova, length: length))
          // The table may be gone.
          if table.path(to: border &- 1).last?.physical == step.physical {
            table.write(step.word, at: step.physical)
          }
          return result
        })),
    SeededFault(
      "freed-table-linked", on: "vtdss", "The pointer to a table that was released stays.",
      .operations(
        .unmap { table, iova, length in
          let before = table.path(to: iova)
          let result = table.base.perform(.unmap(iova: iova, length: length))
          let after = table.path(to: iova)
          if let last = after.last, last.word == 0, after.count < before.count {
            table.write(before[after.count - 1].word, at: last.physical)
          }
          return result
        })),
    SeededFault(
      "roll-back-leaves-page", on: "armv8", "A map that fails leaves its first page.",
      .operations(
        .map { table, map in
          let result = table.base.perform(map.operation)
          if case .failed(let errno) = result, [.eaddrinuse, .enomem].contains(errno),
            map.length > table.granule
          {
            let page = PageTable.Operation.mapRange(
              iova: map.iova, pa: map.pa, length: table.granule, protection: map.protection)
            _ = table.base.perform(page)
          }
          return result
        })),
    SeededFault(
      "map-over-leaf", on: "vtdss", "A map over a leaf replaces it.",
      .operations(
        .map { table, map in
          let result = table.base.perform(map.operation)
          guard result == .failed(.eaddrinuse) else { return result }
          _ = table.base.perform(.unmap(iova: map.iova, length: map.length))
          return table.base.perform(map.operation)
        })),
    SeededFault(
      "map-without-rights", on: "riscv64", "A map that permits nothing succeeds and maps nothing.",
      history: "iommu: Do not return 0 from map_pages if it doesn't do anything",
      .operations(
        .map { _, map in map.protection.isDisjoint(with: [.read, .write]) ? .ok : nil })),
    SeededFault(
      "no-memory-hidden", on: "x86_64", "A map that runs out of memory says that all is well.",
      history: "5b8a9a047b6c, AMD",
      .operations(
        .map { table, map in
          let result = table.base.perform(map.operation)
          return result == .failed(.enomem) ? .ok : result
        })),
    SeededFault(
      "output-zero-is-none", on: "amdv1", "The output address 0 is told as none.", history: "0a4d00e2e99a",
      .operations(
        OperationFault { table, operation in
          let result = table.base.perform(operation)
          if case .phys = operation, result == .physical(0) { return .physical(nil) }
          return result
        })),
    SeededFault(
      "offset-in-large-leaf-lost", on: "armv8",
      "The output address in a large leaf lacks the offset above a page.",
      .operations(
        OperationFault { table, operation in
          let result = table.base.perform(operation)
          guard case .phys(let iova) = operation, case .physical(.some) = result,
            let leaf = table.leaf(at: iova)
          else { return result }
          return .physical(leaf.leafPA | iova & (table.granule - 1))
        })),
    SeededFault(
      "unmap-tells-what-was-asked", on: "x86_64", "An unmap returns the length that was asked for.",
      .operations(
        .unmap { table, iova, length in
          let result = table.base.perform(.unmap(iova: iova, length: length))
          return result == .unmapped(0) ? result : .unmapped(length)
        })),
    SeededFault(
      "last-page-not-unmapped", on: "amdv1", "A range that ends at 2^64 is not unmapped.",
      history: "after 71a7d3d78e3c, VFIO",
      .operations(.losesPage(before: 0))),
  ]
}
