// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// Compares the words that operations touched with those that the reference encodes for what is mapped.
struct ModelComparison {
  let world: CompareWorld
  let side: LiveSide
  let leaves: LeafList

  /// - Throws: `Mismatch` at the first word that differs.
  func compare(_ spans: [WordSpan]) throws(Mismatch) {
    let roots = side.table.roots
    for span in spans {
      guard case .at(let table) = side.tracker.locate(level: span.level, base: span.base, roots: roots)
      else { continue }
      for index in span.first..<span.first + span.count {
        try compare(side.tracker.load(table, index), span, index)
      }
    }
  }

  private func compare(_ word: UInt64, _ span: WordSpan, _ index: Int) throws(Mismatch) {
    let level = span.level
    guard let shift = world.reference.shift(level: level) else { return }
    let iova = world.canonical(span.base | UInt64(index) &<< UInt64(shift))
    let last = iova &+ Bits.lowMask(shift)
    let place = leaves.firstIndex(endingFrom: iova)
    let leaf = place < leaves.count && leaves.leaves[place].start <= last ? leaves.leaves[place] : nil
    if level > 0, word != 0, case .table(let child, _) = world.reference.wordKind(word, level: level) {
      let expected = world.reference.encodeTable(level: level, pa: child)
      guard let expected, isSame(word, expected, level), leaf.map({ $0.size <= last - iova }) ?? true else {
        throw mismatch("the reference has another pointer", word, expected, level, iova)
      }
      return
    }
    guard let leaf else {
      if word != 0 { throw mismatch("nothing is mapped here", word, 0, level, iova) }
      return
    }
    let position = leaf.size > last - iova ? Int((iova - leaf.start) >> UInt64(shift)) : 0
    let clean = encode(leaf, level, position, dirty: false)
    if word == clean || leaf.isDirty && word == encode(leaf, level, position, dirty: true) { return }
    if let clean, isSameButForDirt(word, clean, level, leaf.isDirty) { return }
    throw mismatch("the reference has another leaf", word, clean, level, iova)
  }

  private func encode(_ leaf: LeafList.Leaf, _ level: Int, _ position: Int, dirty: Bool) -> UInt64? {
    world.reference.encodeLeafWord(
      position, level: level, pa: leaf.pa, size: leaf.size, protection: leaf.protection, dirty: dirty)
  }

  /// Whether a leaf that is born dirty was made clean: one bit differs, and says so.
  private func isSameButForDirt(_ word: UInt64, _ born: UInt64, _ level: Int, _ isDirty: Bool) -> Bool {
    guard world.subject.tracksDirty, (word ^ born).nonzeroBitCount == 1,
      case .leaf(var found) = world.reference.decode(word, level: level).kind,
      case .leaf(let expected) = world.reference.decode(born, level: level).kind, found.dirty == isDirty
    else { return false }
    found.dirty = expected.dirty
    return found == expected
  }

  /// Whether a pointer is the expected one but for software's mark of a flushed entry.
  private func isSame(_ word: UInt64, _ expected: UInt64, _ level: Int) -> Bool {
    if word == expected { return true }
    let change = word ^ expected
    guard world.subject.isIncoherent, change.nonzeroBitCount == 1 else { return false }
    return world.reference.decode(word, level: level).fields.contains {
      $0.role == .ignored && Bits.mask($0.high, $0.low) & change != 0
    }
  }

  private func mismatch(
    _ text: String, _ word: UInt64, _ expected: UInt64?, _ level: Int, _ iova: UInt64
  ) -> Mismatch {
    Mismatch(
      .image,
      "\(text) at level \(level), IOVA \(Numbers.hex(iova)): \(side.name) \(Numbers.hex(word)), "
        + "reference \(expected.map(Numbers.hex) ?? "no such word")",
      words: WordPair(level: level, iova: iova, left: word, right: expected))
  }
}
