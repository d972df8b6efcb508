// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

extension CompareRule {
  /// Rules about words of drivers' own code.
  static let wordRules: [CompareRule] = [
    CompareRule(
      "vtd-read-with-write", scope: "generic vtdss; legacy vtdss of 6.12",
      excuses: "bit 0 (R) of leaves for writing alone",
      reason: "The driver's code sets R in every leaf (DMA_PTE_READ in dma_pte attributes), W where asked.",
      applies: { left, right in isLegacy(right, "vtdss") },
      word: { _, _ in
        { word, context in
          guard let leaf = context.leaf, leaf.protection.contains(.write), !leaf.protection.contains(.read),
            word & 3 == 2
          else { return word }
          return word | 1
        }
      }),
    CompareRule(
      "vtd-flushed-mark", scope: "generic vtdss with dma_incoherent; legacy vtdss of 6.12",
      excuses: "the software bit of table words that says that they are flushed",
      reason:
        "Only the generic code marks a table word once it is flushed; the driver's code flushes each time.",
      applies: { left, right in
        guard case .generic(let own) = left.kind else { return false }
        return isIncoherent(own) && (isLegacy(right, "vtdss") || isLegacy(right, "x86_64"))
      },
      word: { left, _ in
        let marks = (0..<6).map { mark(left, $0) ?? 0 }
        return { word, context in
          guard case .table = context.reference.wordKind(word, level: context.level),
            marks.indices.contains(context.level)
          else { return word }
          return word & ~marks[context.level]
        }
      }),
    CompareRule(
      "riscv-never-executes", scope: "generic riscv64; legacy riscv64 of 6.13",
      excuses: "bit 3 (X) of leaves",
      reason: "The driver's code never sets X; the generic code does unless IOMMU_NOEXEC is asked for.",
      applies: { left, right in isLegacy(right, "riscv64") },
      word: { _, _ in
        { word, context in context.leaf != nil && word & 0xe != 0 ? word & ~8 : word }
      }),
    CompareRule(
      "amdv2-born-dirty", scope: "generic x86_64; legacy x86_64 amdv2 of 6.12",
      excuses: "bit 6 (D) of leaves that are not writable",
      reason: "6.12 sets D in every leaf beforehand; the generic code only in writable ones.",
      applies: { left, right in isAMDv2(right) },
      word: { _, _ in
        { word, context in
          guard let leaf = context.leaf, !leaf.protection.contains(.write), word & 1 != 0 else { return word }
          return word | 0x40
        }
      }),
    CompareRule(
      "encrypts-mmio", scope: "generic amdv1, x86_64 with encrypt_tables; legacy amdv1, x86_64 amdv2 of 6.12",
      excuses: "the encryption bit of leaves that map device memory",
      reason: "6.12 sets the C-bit in every leaf; the generic code leaves it out of IOMMU_MMIO.",
      applies: { left, right in
        (isAMDv2(right) || isLegacy(right, "amdv1")) && (right.configuration?.number("cbit") ?? 0) > 0
      },
      word: { _, right in
        let bit = Bits.bit(right.number("cbit"))
        return { word, context in
          guard let leaf = context.leaf, leaf.protection.contains(.mmio), word & 1 != 0 else { return word }
          return word | bit
        }
      }),
  ]

  private static func isLegacy(_ side: ResolvedSide, _ format: String) -> Bool {
    if case .legacy(let configuration) = side.kind { configuration.format == format } else { false }
  }

  private static func isAMDv2(_ side: ResolvedSide) -> Bool {
    isLegacy(side, "x86_64") && side.configuration?.text("use") == "amdv2"
  }
}
