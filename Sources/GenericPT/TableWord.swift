// SPDX-License-Identifier: GPL-2.0-only

import Synchronization

/// The type of a table's words: `UInt64`, or `UInt32` for Armv7's short descriptors.
///
/// Single accesses are atomics of the word's size; a word and its atomic have the same layout.
public protocol TableWord: FixedWidthInteger, UnsignedInteger, Sendable {
  /// Bytes of a word, log2.
  static var bytesLog2: Int { get }
  /// Loads a word; what a table pointer leads to is visible afterwards.
  static func loadAcquiring(_ word: UnsafeMutablePointer<Self>) -> Self
  /// Stores a word.
  static func storeRelaxed(_ value: Self, _ word: UnsafeMutablePointer<Self>)
  /// Replaces a word that still is `old`; returns whether it was.
  static func exchange(_ value: Self, _ word: UnsafeMutablePointer<Self>, expecting old: Self) -> Bool
  /// Sets bits of a word that others may change at the same time.
  static func setReleasing(_ bits: Self, _ word: UnsafeMutablePointer<Self>)
}

extension UInt64: TableWord {
  @inlinable public static var bytesLog2: Int { 3 }

  @inlinable @inline(__always)
  static func atomic(_ word: UnsafeMutablePointer<Self>) -> UnsafeMutablePointer<Atomic<Self>> {
    UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<Self>.self)
  }

  @inlinable @inline(__always)
  public static func loadAcquiring(_ word: UnsafeMutablePointer<Self>) -> Self {
    atomic(word).pointee.load(ordering: .acquiring)
  }

  @inlinable @inline(__always)
  public static func storeRelaxed(_ value: Self, _ word: UnsafeMutablePointer<Self>) {
    atomic(word).pointee.store(value, ordering: .relaxed)
  }

  @inlinable @inline(__always)
  public static func exchange(_ value: Self, _ word: UnsafeMutablePointer<Self>, expecting old: Self) -> Bool
  {
    atomic(word).pointee.compareExchange(expected: old, desired: value, ordering: .acquiringAndReleasing)
      .exchanged
  }

  @inlinable
  public static func setReleasing(_ bits: Self, _ word: UnsafeMutablePointer<Self>) {
    atomic(word).pointee.bitwiseOr(bits, ordering: .releasing)
  }
}

extension UInt32: TableWord {
  @inlinable public static var bytesLog2: Int { 2 }

  @inlinable @inline(__always)
  static func atomic(_ word: UnsafeMutablePointer<Self>) -> UnsafeMutablePointer<Atomic<Self>> {
    UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<Self>.self)
  }

  @inlinable @inline(__always)
  public static func loadAcquiring(_ word: UnsafeMutablePointer<Self>) -> Self {
    atomic(word).pointee.load(ordering: .acquiring)
  }

  @inlinable @inline(__always)
  public static func storeRelaxed(_ value: Self, _ word: UnsafeMutablePointer<Self>) {
    atomic(word).pointee.store(value, ordering: .relaxed)
  }

  @inlinable @inline(__always)
  public static func exchange(_ value: Self, _ word: UnsafeMutablePointer<Self>, expecting old: Self) -> Bool
  {
    atomic(word).pointee.compareExchange(expected: old, desired: value, ordering: .acquiringAndReleasing)
      .exchanged
  }

  @inlinable
  public static func setReleasing(_ bits: Self, _ word: UnsafeMutablePointer<Self>) {
    atomic(word).pointee.bitwiseOr(bits, ordering: .releasing)
  }
}
