// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension TableImage {
  /// The image without the tables below which there is no leaf, and without the pointers to them; the other tables
  /// are numbered anew.
  var withoutEmptyTables: TableImage {
    // Children have higher ordinals than the tables that point to them.
    var living: Set<Int> = [0]
    for word in words.reversed() {
      if word.child.map({ living.contains($0) || $0 <= word.table }) ?? true { living.insert(word.table) }
    }
    let ordinals = Dictionary(
      uniqueKeysWithValues: living.sorted().enumerated().map { ($0.element, $0.offset) })
    return TableImage(
      words: words.compactMap { word in
        guard let table = ordinals[word.table] else { return nil }
        var word = word
        word.table = table
        guard let child = word.child else { return word }
        guard let ordinal = ordinals[child] else { return nil }
        word.child = ordinal
        return word
      })
  }

  /// Whether two unlike images differ in nothing but tables that map nothing.
  func differsOnlyInEmptyTables(from other: TableImage) -> Bool {
    self != other && withoutEmptyTables == other.withoutEmptyTables
  }
}
