// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// What table memory holds that must not be used, and fast tests of whole pages.
public enum Poison {
  /// The word all over a released table. Odd, so that most formats take it for a present entry
  /// with an address that no machine has: a walk through it does not pass for a hole.
  public static let released: UInt64 = 0xdead_7ab1_dead_7ab1

  /// The word all over the walker's view of a new table until its cache lines are flushed.
  public static let stale: UInt64 = 0x57a1_e000_57a1_e001

  /// Fills `byteCount` bytes, a multiple of 8, with `word`.
  @inline(__always)
  static func fill(_ start: UnsafeMutableRawPointer, _ byteCount: Int, with word: UInt64) {
    start.withMemoryRebound(to: UInt64.self, capacity: byteCount / 8) {
      $0.update(repeating: word, count: byteCount / 8)
    }
  }

  /// The offset in bytes of the first word that is not `word`, or nil when all are.
  @inline(__always)
  static func firstChange(_ start: UnsafeRawPointer, _ byteCount: Int, from word: UInt64) -> Int? {
    guard byteCount > 0 else { return nil }
    // All words are equal exactly when each equals its successor; memcmp is quick in debug builds too.
    if start.load(as: UInt64.self) == word, memcmp(start, start + 8, byteCount - 8) == 0 { return nil }
    return stride(from: 0, to: byteCount, by: 8).first {
      start.load(fromByteOffset: $0, as: UInt64.self) != word
    }
  }
}
