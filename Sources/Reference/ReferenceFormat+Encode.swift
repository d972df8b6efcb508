// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ReferenceFormat {
  /// The word of a leaf as Linux writes it, of the first word where a leaf has several.
  ///
  /// - Parameters:
  ///   - level: the level of the table it stands in; 0 is the last level.
  ///   - pa: the output address in bytes, aligned to `size`.
  ///   - size: the leaf's size in bytes.
  ///   - dirty: whether the device has written; ignored where the format presets the state.
  ///   - accessed: whether the device has accessed; as `dirty`.
  /// - Returns: nil when the format or the configuration cannot express it.
  public func encodeLeaf(
    level: Int, pa: UInt64, size: UInt64, protection: Protection, dirty: Bool = false, accessed: Bool = false
  ) -> UInt64? {
    encodeLeafWord(
      0, level: level, pa: pa, size: size, protection: protection, dirty: dirty, accessed: accessed)
  }

  /// Word number `position` of a leaf; `pa` is the address of the whole leaf.
  ///
  /// - Returns: nil when there is no such word or the leaf cannot be expressed.
  public func encodeLeafWord(
    _ position: Int, level: Int, pa: UInt64, size: UInt64, protection: Protection, dirty: Bool = false,
    accessed: Bool = false
  ) -> UInt64? {
    let flags = EncodingFlags(protection, dirty: dirty, accessed: accessed)
    guard let index = leafEntry(level: level, size: size), position >= 0,
      position < 1 << entries[index].countLog2, refusal(flags) == nil, pa & (size &- 1) == 0,
      pa <= Bits.lowMask(outputWidth), size &- 1 <= Bits.lowMask(outputWidth) &- pa
    else { return nil }
    let step = entries[index].consecutive ? UInt64(position) &<< UInt64(levels[level].shift) : 0
    return word(index, address: pa &+ step, flags)
  }

  /// How many words a leaf has; nil when there is no leaf of that size at the level.
  public func leafWordCount(level: Int, size: UInt64) -> Int? {
    leafEntry(level: level, size: size).map { 1 << entries[$0].countLog2 }
  }

  /// The word that points to the table at `pa`, as Linux writes it.
  ///
  /// - Parameter level: the level of the table the word stands in.
  /// - Returns: nil when the level has no table pointers or `pa` cannot be expressed.
  public func encodeTable(level: Int, pa: UInt64) -> UInt64? {
    guard levels.indices.contains(level), pa <= Bits.lowMask(outputWidth) else { return nil }
    let kinds = levels[level].entries.filter { entries[$0].isTable && details[$0].offered }
    guard let index = kinds.first(where: { entries[$0].child == level - 1 }) ?? kinds.first else {
      return nil
    }
    return word(index, address: pa, EncodingFlags([], dirty: false, accessed: false))
  }

  /// Why the format refuses a protection; nil when it does not.
  public func refusal(_ protection: Protection) -> String? {
    refusal(EncodingFlags(protection, dirty: false, accessed: false))
  }

  private func refusal(_ flags: EncodingFlags) -> String? {
    refusals.first { $0.encoder.value(flags) != 0 }?.why
  }

  private func leafEntry(level: Int, size: UInt64) -> Int? {
    guard levels.indices.contains(level), size.nonzeroBitCount == 1 else { return nil }
    return levels[level].entries.first {
      !entries[$0].isTable && details[$0].offered && entries[$0].sizeLog2 == size.trailingZeroBitCount
    }
  }

  private func word(_ index: Int, address: UInt64, _ flags: EncodingFlags) -> UInt64? {
    let entry = entries[index]
    guard address & ~details[index].addressMask == 0 else { return nil }
    var word = entry.fixedValue
    for position in entry.firstMove..<(entry.firstMove + entry.moveCount) {
      word |= moves[position].bits(of: address)
    }
    // By position: a field is costly to copy, and comparisons encode every word that they look at.
    let fields = details[index].fields
    for position in fields.indices {
      guard let value = fields[position].encoder?.value(flags) else { continue }
      word |= (value &<< UInt64(fields[position].low)) & fields[position].mask
    }
    return word
  }
}
