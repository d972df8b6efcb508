// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a scan of whole tables needs to know of a word, without its description.
public struct ScannedWord: Hashable, Sendable {
  public var kind: EntryKind
  /// What the word alone grants.
  public var rights: PathRights
  /// Whether `ReferenceFormat.decode` has something to object to: reserved bits set, a failed check, an
  /// address that is too wide, or no entry of the level.
  public var isWrong: Bool
  /// The bits that the hardware may set or clear by itself.
  public var updated: UInt64
}

/// Reads every word of many tables: decodes as `ReferenceFormat.decode` does, but names nothing.
public struct EntryScanner: Sendable {
  public let format: ReferenceFormat
  /// For each kind of entry, the bits that must be 0 and those that the hardware writes.
  private let zero: [UInt64]
  private let updated: [UInt64]

  public init(_ format: ReferenceFormat) {
    self.format = format
    zero = format.details.map { detail in
      detail.fields.filter { $0.spec.role == .reserved || $0.spec.role == .res0 }.reduce(0) { $0 | $1.mask }
    }
    updated = format.details.indices.map { index in
      let entry = format.entries[index]
      // Of leaves, what their words need not agree in is what the hardware writes.
      guard entry.isTable else {
        return ~(entry.agreement | (entry.consecutive ? entry.addressBits : 0))
          & Bits.lowMask(format.wordBytes * 8)
      }
      return format.details[index].fields.filter { $0.spec.updated.expression == .number(1) }
        .reduce(0) { $0 | $1.mask }
    }
  }

  /// Reads a word of a table of `level`; nil when there is no such level.
  public func scan(_ word: UInt64, level: Int) -> ScannedWord? {
    guard format.levels.indices.contains(level) else { return nil }
    let nothing = PathRights(read: false, write: false, noexec: false, priv: false)
    if format.isAbsent(word) { return ScannedWord(kind: .empty, rights: nothing, isWrong: false, updated: 0) }
    guard let index = format.entryIndex(of: word, level: level) else {
      return ScannedWord(kind: .malformed, rights: nothing, isWrong: true, updated: 0)
    }
    let entry = format.entries[index]
    let address = format.address(in: word, index)
    var isWrong = word & zero[index] != 0 || address > Bits.lowMask(format.outputWidth)
    for position in entry.firstCheck..<(entry.firstCheck + entry.checkCount) {
      isWrong = isWrong || format.holds(format.checks[position].test, word)
    }
    let rights = PathRights(
      read: format.holds(entry.read, word), write: format.holds(entry.write, word),
      noexec: format.holds(entry.noexec, word), priv: format.holds(entry.priv, word))
    let kind: EntryKind =
      entry.isTable
      ? .table(child: address, level: entry.child) : .leaf(leaf(word, entry, address, rights))
    return ScannedWord(kind: kind, rights: rights, isWrong: isWrong, updated: updated[index])
  }

  private func leaf(
    _ word: UInt64, _ entry: CompiledEntry, _ address: UInt64, _ rights: PathRights
  ) -> DecodedLeaf {
    var protection: Protection = []
    if rights.read { protection.insert(.read) }
    if rights.write { protection.insert(.write) }
    if rights.noexec { protection.insert(.noexec) }
    if rights.priv { protection.insert(.priv) }
    if format.holds(entry.cache, word) { protection.insert(.cache) }
    if format.holds(entry.mmio, word) { protection.insert(.mmio) }
    return DecodedLeaf(
      pa: address, size: 1 &<< UInt64(entry.sizeLog2), wordCount: 1 << entry.countLog2,
      isConsecutive: entry.consecutive, protection: protection, dirty: format.holds(entry.dirty, word),
      accessed: format.holds(entry.accessed, word))
  }

  /// Whether two words of the same leaf agree in all that they must: the same bits, but for what the hardware writes,
  /// and the same or the consecutive address.
  ///
  /// - Parameter distance: how many words `other` stands behind `word`; negative before it.
  public func agree(_ word: UInt64, _ other: UInt64, level: Int, distance: Int) -> Bool {
    guard format.levels.indices.contains(level), !format.isAbsent(word), !format.isAbsent(other),
      let index = format.entryIndex(of: word, level: level),
      format.entryIndex(of: other, level: level) == index
    else { return false }
    let entry = format.entries[index]
    guard (word ^ other) & entry.agreement == 0 else { return false }
    guard entry.consecutive else { return true }
    let step = Int64(distance) &<< Int64(format.levels[level].shift)
    return format.address(in: other, index) == format.address(in: word, index) &+ UInt64(bitPattern: step)
  }
}
