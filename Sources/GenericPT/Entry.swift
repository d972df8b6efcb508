// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Access to the words of tables: each access is one aligned load or store of a word, or a vector of such. Words are
/// handled as 64-bit values, the narrower ones with zeros above.
@usableFromInline
enum Entry {
  /// Loads a word; what a table pointer leads to is visible afterwards.
  @inlinable @inline(__always)
  static func load<Word: TableWord>(_ word: UnsafeMutablePointer<Word>) -> UInt64 {
    UInt64(truncatingIfNeeded: Word.loadAcquiring(word))
  }

  @inlinable @inline(__always)
  static func store<Word: TableWord>(_ value: UInt64, _ word: UnsafeMutablePointer<Word>) {
    store(word: Word(truncatingIfNeeded: value), word)
  }

  @inlinable @inline(__always)
  static func store<Word: TableWord>(word value: Word, _ word: UnsafeMutablePointer<Word>) {
    #if PTKIT_TSAN
      Word.storeRelaxed(value, word)
    #else
      word.pointee = value
    #endif
  }

  /// Replaces an empty word; returns whether nobody else was first.
  @inlinable @inline(__always)
  static func install<Word: TableWord>(
    _ value: UInt64, _ word: UnsafeMutablePointer<Word>, expecting old: UInt64
  ) -> Bool {
    Word.exchange(
      Word(truncatingIfNeeded: value), word, expecting: Word(truncatingIfNeeded: old))
  }

  /// Sets bits of a word that others may change at the same time.
  @inlinable
  static func set<Word: TableWord>(_ bits: UInt64, _ word: UnsafeMutablePointer<Word>) {
    Word.setReleasing(Word(truncatingIfNeeded: bits), word)
  }

  /// How many of `count` words from `word` on are zero before the first that is not.
  @inlinable @inline(__always)
  static func zeroPrefix<Word: TableWord>(_ word: UnsafeMutablePointer<Word>, count: Int) -> Int {
    var index = 0
    #if !PTKIT_TSAN
      while index &+ 16 <= count {
        var any: Word = 0
        for lane in 0..<16 { any |= word[index &+ lane] }
        if any != 0 { break }
        index &+= 16
      }
    #endif
    while index < count, load(word + index) == 0 { index &+= 1 }
    return index
  }

  /// Writes `count` words: `fixed` with an address field that starts at `field` and grows by `step`.
  @inlinable @inline(__always)
  static func fill<Word: TableWord>(
    _ word: UnsafeMutablePointer<Word>, count: Int, fixed: UInt64, field: UInt64, step: UInt64
  ) {
    let fixed = Word(truncatingIfNeeded: fixed)
    let step = Word(truncatingIfNeeded: step)
    var field = Word(truncatingIfNeeded: field)
    for index in 0..<count {
      store(word: fixed | field, word + index)
      field &+= step
    }
  }

  /// Clears `count` words.
  @inlinable @inline(__always)
  static func clear<Word: TableWord>(_ word: UnsafeMutablePointer<Word>, count: Int) {
    for index in 0..<count { store(word: 0, word + index) }
  }
}
