// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

extension CompareRule {
  /// Rules between two configurations of the generic algorithms.
  static let genericRules: [CompareRule] = [
    CompareRule(
      "contiguous-words",
      scope: "generic with contiguous entries; right without them",
      excuses: "the bits that tell the hardware that neighbouring words belong together",
      reason: """
        Only the generic code makes contiguous entries (armv8 contig=1, riscv64 svnapot_64k): io-pgtable and the \
        drivers' own code never set them. Each word on the right is the leaf of one item at the word's own part of \
        the output address, with the same protection.
        """,
      applies: { left, right in
        guard case .generic(let own) = left.kind, let other = right.configuration else { return false }
        return makesContiguous(own) && !makesContiguous(other)
      },
      word: { _, _ in
        let words = SingleWords()
        return { word, context in words.word(of: context) ?? word }
      }),
    CompareRule(
      "contiguous-whole",
      scope: "generic with contiguous entries; right without them",
      excuses: "bytes of an unmap, and what is unmapped",
      reason: """
        The words of a contiguous entry are one leaf: an unmap that ends within takes all of it, one that starts within \
        takes nothing (generic_pt: an unmap never splits). Without contiguous entries each word is a leaf of its own.
        """,
      applies: { left, right in
        guard case .generic(let own) = left.kind, let other = right.configuration else { return false }
        return makesContiguous(own) && !makesContiguous(other)
      }),
    CompareRule(
      "empty-tables",
      scope: "generic; legacy or generic with another configuration",
      excuses: "pointers to tables that map nothing, and tops that only lead to the table below",
      reason: """
        Which tables stay behind empty differs: the generic code frees what a range covers, Arm's drivers a table that is \
        unmapped at its block's size, VT-d's what a range covers, AMD's and RISC-V's none before a block takes its place.
        """,
      applies: { _, right in right.configuration != nil }),
    CompareRule(
      "flushed-mark",
      scope: "generic with dma_incoherent; right without it, or the other way round",
      excuses: "the software bit of table words that says that they are flushed",
      reason: """
        With dma_incoherent the generic code marks a table word once its cache line is written back \
        (generic_pt: PT_FEAT_DMA_INCOHERENT, a software bit). The bit is the only difference.
        """,
      applies: { left, right in
        guard case .generic(let own) = left.kind, case .generic(let other) = right.kind else { return false }
        return isIncoherent(own) != isIncoherent(other)
      },
      word: { left, right in
        let isLeft = isIncoherent(left)
        let marks = (0..<6).map { mark(isLeft ? left : right, $0) ?? 0 }
        return { word, context in
          guard case .table = context.reference.wordKind(word, level: context.level),
            marks.indices.contains(context.level)
          else { return word }
          return isLeft ? word & ~marks[context.level] : word | marks[context.level]
        }
      }),
  ]

  private static func makesContiguous(_ configuration: Configuration) -> Bool {
    configuration.number("contig") == 1 || configuration.flags("features").contains("svnapot_64k")
  }

  static func isIncoherent(_ configuration: Configuration) -> Bool {
    configuration.flags("features").contains("dma_incoherent") || configuration.text("coherent") == "0"
  }

  /// The software bit that an incoherent configuration has in its table words.
  static func mark(_ configuration: Configuration, _ level: Int) -> UInt64? {
    guard let encoder = try? FormatList.encoder(configuration),
      let word = encoder.encodeTable(level, 0), word != 0
    else { return nil }
    let plain = configuration.flags("features").subtracting(["dma_incoherent"])
    let features = plain.isEmpty ? "none" : plain.joined(separator: "+")
    let pairs = configuration.schema.keys.map(\.name).map { name in
      name == "features" ? "features=\(features)" : "\(name)=\(configuration.text(name))"
    }
    guard let coherent = try? configuration.schema.configuration(pairs, permissive: true),
      let other = try? FormatList.encoder(coherent).encodeTable(level, 0)
    else { return nil }
    return word ^ other
  }
}

/// The words that a contiguous leaf has where there are no contiguous leaves.
private final class SingleWords {
  private var leaf: LeafList.Leaf?
  private var level = 0
  /// The first word and what each further one adds; nil where the leaf has one word.
  private var words: (first: UInt64, step: UInt64)?

  /// The word at a place; nil where no leaf of several words is.
  func word(of context: WordContext) -> UInt64? {
    guard let mapped = context.leaf else { return nil }
    // Words are looked at in order, so that most are of the same leaf as the one before.
    if mapped != leaf || context.level != level {
      leaf = mapped
      level = context.level
      words = Self.words(mapped, context)
    }
    guard let words, let shift = context.reference.shift(level: level) else { return nil }
    let count = Int(mapped.size >> UInt64(shift))
    return words.first &+ UInt64(context.index & (count - 1)) &* words.step
  }

  private static func words(_ leaf: LeafList.Leaf, _ context: WordContext) -> (UInt64, UInt64)? {
    guard let count = context.reference.leafWordCount(level: context.level, size: leaf.size), count > 1,
      let shift = context.reference.shift(level: context.level)
    else { return nil }
    let item: UInt64 = 1 << UInt64(shift)
    func word(_ pa: UInt64) -> UInt64? {
      context.reference.encodeLeaf(level: context.level, pa: pa, size: item, protection: leaf.protection)
    }
    guard let first = word(leaf.pa), let second = word(leaf.pa &+ item) else { return nil }
    return (first, second &- first)
  }
}
