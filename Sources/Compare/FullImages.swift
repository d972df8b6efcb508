// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// Compares whole table images: slow, and independent of what events say was touched.
struct FullImages {
  let world: CompareWorld
  /// What the left side maps.
  let leaves: LeafList

  /// - Throws: `Mismatch` at the first word that differs; for the reference (nil), at what the walk of all words
  ///   finds mapped and the model does not.
  func compare(_ left: LiveSide, _ right: LiveSide?) throws(Mismatch) {
    let own = try image(left)
    guard let right else { return try compareWithModel(own, left) }
    let other = try image(right)
    for (one, two) in zip(own, other) where one != two {
      guard one.place == two.place else { break }
      if one.isTable == two.isTable, world.expected(one.value, context(one)) == two.value { continue }
      throw mismatch(one, two, left, right)
    }
    guard zip(own, other).allSatisfy({ $0.place == $1.place }), own.count == other.count else {
      let first = zip(own, other).first { $0.place != $1.place }
      throw mismatch(
        first?.0 ?? own.dropFirst(other.count).first, first?.1 ?? other.dropFirst(own.count).first,
        left, right)
    }
  }

  /// A word of an image without empty tables.
  private struct Word: Hashable {
    var place: WordSpan
    var iova: UInt64
    var value: UInt64
    var isTable: Bool
  }

  /// All words but those of, and those that point to, tables that map nothing, and those of tops that only lead to the
  /// top before them.
  private func image(_ side: LiveSide) throws(Mismatch) -> [Word] {
    var words: [Word] = []
    for root in side.table.roots {
      let start = words.count
      try visit(root.physical, level: root.level, base: base(of: root, side), isRoot: true, side, &words)
      // A grown top whose only word is the first says no more than the table below it.
      while words.count > start, words[start].isTable, world.subject.isDynamic,
        words[start].place.level > world.subject.shape.geometry.topLevel, words[start].place.first == 0,
        !words[(start + 1)...].contains(where: { $0.place.level == words[start].place.level })
      {
        words.remove(at: start)
      }
    }
    return words
  }

  private func base(of root: TableRoot, _ side: LiveSide) -> UInt64 {
    side.tracker.rootBases[side.table.roots.firstIndex(of: root) ?? 0]
  }

  @discardableResult
  private func visit(
    _ table: UInt64, level: Int, base: UInt64, isRoot: Bool, _ side: LiveSide, _ words: inout [Word]
  ) throws(Mismatch) -> Bool {
    let reference = world.reference
    let count = reference.wordCount(level: level, isRoot: isRoot)
    guard side.table.machine.isTableMemory(table, count * reference.wordBytes) else {
      throw Mismatch(
        .image, "\(side.name): the table of level \(level) at \(Numbers.hex(table)) is not in table memory")
    }
    let shift = UInt64(reference.shift(level: level) ?? 0)
    var isUsed = false
    for index in 0..<count {
      let word = side.tracker.load(table, index)
      if word == 0 { continue }
      let iova = base | UInt64(index) &<< shift
      var item = Word(
        place: WordSpan(level: level, base: base, first: index, count: 1), iova: world.canonical(iova),
        value: word, isTable: false)
      if level > 0, case .table(let child, let cleared) = reference.wordKind(word, level: level) {
        item.value = cleared
        item.isTable = true
        let place = words.count
        words.append(item)
        if try visit(child, level: level - 1, base: iova, isRoot: false, side, &words) {
          isUsed = true
        } else {
          words.removeSubrange(place...)
        }
      } else {
        words.append(item)
        isUsed = true
      }
    }
    return isUsed
  }

  private func compareWithModel(_ words: [Word], _ side: LiveSide) throws(Mismatch) {
    var mapped: UInt64 = 0
    for word in words where !word.isTable {
      mapped &+= 1 &<< UInt64(world.reference.shift(level: word.place.level) ?? 0)
      guard leaves.leaf(at: word.iova) != nil else {
        throw Mismatch(
          .image,
          "\(side.name): nothing is mapped at \(Numbers.hex(word.iova)), found \(Numbers.hex(word.value))",
          words: WordPair(level: word.place.level, iova: word.iova, left: word.value, right: 0))
      }
    }
    let expected = leaves.leaves.reduce(UInt64(0)) { $0 &+ $1.size }
    guard mapped == expected else {
      throw Mismatch(
        .image,
        "\(side.name): the image maps \(Numbers.hex(mapped)) bytes, \(Numbers.hex(expected)) are mapped")
    }
  }

  private func context(_ word: Word) -> WordContext {
    WordContext(
      reference: world.reference, level: word.place.level, index: word.place.first,
      leaf: leaves.leaf(at: word.iova))
  }

  private func mismatch(_ one: Word?, _ two: Word?, _ left: LiveSide, _ right: LiveSide) -> Mismatch {
    guard let known = one ?? two else { return Mismatch(.image, "whole images differ") }
    func text(_ word: Word?) -> String {
      word.map { "\(Numbers.hex($0.value)) at level \($0.place.level), IOVA \(Numbers.hex($0.iova))" }
        ?? "no word"
    }
    let isSame = one?.place == two?.place
    return Mismatch(
      .image, "whole images differ: \(left.name) \(text(one)), \(right.name) \(text(two))",
      words: WordPair(
        level: known.place.level, iova: known.iova, left: one?.value, right: isSame ? two?.value : nil))
  }
}
