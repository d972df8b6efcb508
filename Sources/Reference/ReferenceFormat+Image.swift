// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ReferenceFormat {
  /// How Linux reads a word while it takes an image: a table pointer with the child's address
  /// cleared (an encryption bit stays), or anything else.
  ///
  /// Skipped levels are not followed: Linux reads every pointer as one to the next level.
  public func wordKind(_ word: UInt64, level: Int) -> WordKind {
    guard levels.indices.contains(level), !isAbsent(word), let index = entryIndex(of: word, level: level),
      entries[index].isTable
    else { return .plain }
    let entry = entries[index]
    return .table(child: address(in: word, index), cleared: word & ~entry.addressBits)
  }

  /// The canonical image of the tables below `root`.
  ///
  /// - Throws: `DanglingPointerError` when a pointer leads outside of `memory`.
  public func image(root: TableRoot, memory: some PhysicalMemoryReader) throws -> TableImage {
    try image(roots: [root], memory: memory)
  }

  /// The canonical image of the tables below each of several roots in turn.
  ///
  /// - Throws: `DanglingPointerError` when a pointer leads outside of `memory`.
  public func image(roots: [TableRoot], memory: some PhysicalMemoryReader) throws -> TableImage {
    try TableImage(
      roots: roots, memory: memory, wordBytes: wordBytes,
      wordCount: { self.wordCount(level: $0, isRoot: $1) }, classify: { self.wordKind($0, level: $1) })
  }
}
