// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import Glibc
import PageTable
import Reference

/// Compares the words that operations touched, on two sides.
struct ImageComparison {
  let world: CompareWorld
  let left: LiveSide
  let right: LiveSide
  /// What the left side maps.
  let leaves: LeafList

  /// - Throws: `Mismatch` at the first words that differ.
  func compare(_ spans: [WordSpan]) throws(Mismatch) {
    let leftRoots = left.table.roots
    let rightRoots = right.table.roots
    for span in spans {
      let places = (
        left.tracker.locate(level: span.level, base: span.base, roots: leftRoots),
        right.tracker.locate(level: span.level, base: span.base, roots: rightRoots)
      )
      switch places {
      case (.at(let leftTable), .at(let rightTable)): try compare(span, leftTable, rightTable)
      case (.at(let table), let other): try requireEmpty(span, table, of: left, other)
      case (let other, .at(let table)): try requireEmpty(span, table, of: right, other)
      default: break
      }
    }
  }

  private func compare(_ span: WordSpan, _ leftTable: UInt64, _ rightTable: UInt64) throws(Mismatch) {
    let bytes = world.reference.wordBytes
    let leftStart = left.tracker.pointer(leftTable, span.first)
    let rightStart = right.tracker.pointer(rightTable, span.first)
    // A pointer that is equal leads to tables that are compared where they are touched.
    if let leftStart, let rightStart, memcmp(leftStart, rightStart, span.count * bytes) == 0 { return }
    for index in span.first..<span.first + span.count {
      let words = (left.tracker.load(leftTable, index), right.tracker.load(rightTable, index))
      if words.0 == words.1 { continue }
      try compare(words, span, index)
    }
  }

  private func compare(_ words: (UInt64, UInt64), _ span: WordSpan, _ index: Int) throws(Mismatch) {
    let level = span.level
    switch (kind(words.0, level), kind(words.1, level)) {
    case (.table(let child, let leftCleared), .table(let other, let rightCleared)):
      guard left.table.machine.isTableMemory(child, 64), right.table.machine.isTableMemory(other, 64) else {
        throw mismatch("a pointer leads outside of table memory", words, span, index)
      }
      if leftCleared == rightCleared { return }
      if world.expected(leftCleared, context(span, index)) == rightCleared { return }
      throw mismatch("table pointers differ", words, span, index)
    case (.table(let child, _), .plain) where words.1 == 0:
      if left.tracker.isEmpty(child, level: level - 1) { return world.note("empty-tables") }
    case (.plain, .table(let child, _)) where words.0 == 0:
      if right.tracker.isEmpty(child, level: level - 1) { return world.note("empty-tables") }
    case (.plain, .plain) where words.0 != 0:
      if world.expected(words.0, context(span, index)) == words.1 { return }
    default: break
    }
    throw mismatch("words differ", words, span, index)
  }

  /// The side's table has no counterpart: nothing may be mapped in it.
  private func requireEmpty(
    _ span: WordSpan, _ table: UInt64, of side: LiveSide, _ other: TableTracker.Found
  ) throws(Mismatch) {
    for index in span.first..<span.first + span.count {
      let word = side.tracker.load(table, index)
      if word == 0 { continue }
      if case .table(let child, _) = kind(word, span.level) {
        // The first word of a top that grew leads to what the other side has as its top.
        if case .aboveTop = other, index == 0, span.base == 0 { continue }
        if side.tracker.isEmpty(child, level: span.level - 1) {
          world.note("empty-tables")
          continue
        }
      }
      let words = side === left ? (word, UInt64(0)) : (UInt64(0), word)
      throw mismatch("only one side has a table here", words, span, index)
    }
  }

  private func kind(_ word: UInt64, _ level: Int) -> WordKind {
    level == 0 || word == 0 ? .plain : world.reference.wordKind(word, level: level)
  }

  private func iova(_ span: WordSpan, _ index: Int) -> UInt64 {
    world.canonical(span.base | UInt64(index) &<< UInt64(world.reference.shift(level: span.level) ?? 0))
  }

  private func context(_ span: WordSpan, _ index: Int) -> WordContext {
    WordContext(
      reference: world.reference, level: span.level, index: index, leaf: leaves.leaf(at: iova(span, index)))
  }

  private func mismatch(
    _ text: String, _ words: (UInt64, UInt64), _ span: WordSpan, _ index: Int
  ) -> Mismatch {
    let iova = iova(span, index)
    return Mismatch(
      .image,
      "\(text) at level \(span.level), IOVA \(Numbers.hex(iova)): "
        + "\(left.name) \(Numbers.hex(words.0)), \(right.name) \(Numbers.hex(words.1))",
      words: WordPair(level: span.level, iova: iova, left: words.0, right: words.1))
  }
}
