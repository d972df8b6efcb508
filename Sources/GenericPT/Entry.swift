// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

/// Access to the words of tables: each access is one aligned 64-bit load or store, or a vector of such.
///
/// Under ThreadSanitizer (built with `-D PTKIT_TSAN`) they are relaxed atomics.
@usableFromInline
enum Entry {
  /// The word as an atomic; the two have the same layout.
  @inlinable @inline(__always)
  static func atomic(_ word: UnsafeMutablePointer<UInt64>) -> UnsafeMutablePointer<Atomic<UInt64>> {
    UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// Loads a word; what a table pointer leads to is visible afterwards.
  @inlinable @inline(__always)
  static func load(_ word: UnsafeMutablePointer<UInt64>) -> UInt64 {
    atomic(word).pointee.load(ordering: .acquiring)
  }

  @inlinable @inline(__always)
  static func store(_ value: UInt64, _ word: UnsafeMutablePointer<UInt64>) {
    #if PTKIT_TSAN
      atomic(word).pointee.store(value, ordering: .relaxed)
    #else
      word.pointee = value
    #endif
  }

  /// Replaces an empty word; returns whether nobody else was first.
  @inlinable @inline(__always)
  static func install(_ value: UInt64, _ word: UnsafeMutablePointer<UInt64>, expecting old: UInt64) -> Bool {
    atomic(word).pointee.compareExchange(expected: old, desired: value, ordering: .acquiringAndReleasing)
      .exchanged
  }

  /// Sets bits of a word that others may change at the same time.
  @inlinable
  static func set(_ bits: UInt64, _ word: UnsafeMutablePointer<UInt64>) {
    atomic(word).pointee.bitwiseOr(bits, ordering: .releasing)
  }

  /// How many of `count` words from `word` on are zero before the first that is not.
  @inlinable @inline(__always)
  static func zeroPrefix(_ word: UnsafeMutablePointer<UInt64>, count: Int) -> Int {
    var index = 0
    #if !PTKIT_TSAN
      while index &+ 16 <= count {
        var any: UInt64 = 0
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
  static func fill(
    _ word: UnsafeMutablePointer<UInt64>, count: Int, fixed: UInt64, field: UInt64, step: UInt64
  ) {
    var field = field
    for index in 0..<count {
      store(fixed | field, word + index)
      field &+= step
    }
  }

  /// Clears `count` words.
  @inlinable @inline(__always)
  static func clear(_ word: UnsafeMutablePointer<UInt64>, count: Int) {
    for index in 0..<count { store(0, word + index) }
  }
}
