// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A part of an address and the bits of the word that hold it.
struct AddressMove: Hashable, Sendable {
  /// The bits of the word.
  var mask: UInt64
  /// How far the address stands left of the word's bits; negative: right.
  var left: Int

  func address(in word: UInt64) -> UInt64 {
    let bits = word & mask
    return left >= 0 ? bits &<< UInt64(left) : bits &>> UInt64(-left)
  }

  func bits(of address: UInt64) -> UInt64 {
    (left >= 0 ? address &>> UInt64(left) : address &<< UInt64(-left)) & mask
  }
}

/// A check of one kind of entry; numbers index the format's lists.
struct CompiledCheck: Sendable {
  var test: WordTest
  var onRead: Bool
  var onWrite: Bool
  var fault: Int
  var why: String
}

/// One kind of entry at one level, as masks: all that a walk needs, without references.
struct CompiledEntry: Sendable {
  var fixedMask: UInt64 = 0
  var fixedValue: UInt64 = 0
  var reserved: UInt64 = 0
  /// Where the entry's address moves stand in the format's list.
  var firstMove = 0
  var moveCount = 0
  /// The bits of the word that hold address bits.
  var addressBits: UInt64 = 0
  var isTable = false
  /// Of a table pointer: the level it leads to.
  var child = 0
  /// Of a table pointer: the IOVA bits that must be 0 because their levels are skipped.
  var skipped: UInt64 = 0
  /// Of a leaf: log2 of its size in bytes, and of the number of its words.
  var sizeLog2 = 0
  var countLog2 = 0
  var consecutive = false
  /// The bits that all words of a leaf have in common.
  var agreement: UInt64 = 0
  var read = WordTest.never
  var write = WordTest.never
  var cache = WordTest.never
  var noexec = WordTest.never
  var mmio = WordTest.never
  var priv = WordTest.never
  var dirty = WordTest.never
  var accessed = WordTest.never
  var firstCheck = 0
  var checkCount = 0

  /// Whether `word` is an entry of this kind.
  @inline(__always)
  func matches(_ word: UInt64) -> Bool { word & fixedMask == fixedValue }
}

/// A field of one kind of entry at one level.
struct ResolvedField: Sendable {
  var spec: FieldSpec
  /// The bits of the word that belong to the field; an address gives way to fields before it.
  var mask: UInt64
  var low: Int
  var high: Int
  var addressLow: Int?
  var encoder: FieldEncoder?
  var meanings: [(value: UInt64, text: String)]
}

/// What encoding and explaining need of an entry, beside the masks.
struct EntryDetail: Sendable {
  var spec: EntrySpec
  var level: Int
  var offered: Bool
  var fields: [ResolvedField]
  /// The address bits that the entry can hold.
  var addressMask: UInt64
}
