// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ARMLPAETable {
  /// The leaf word that maps an address, its level, and the bytes that it maps, log2. The address is not checked against
  /// its width.
  @inlinable
  func leaf(at iova: UInt64) -> (word: Words, level: Int, shift: UInt64)? {
    var table = root
    var level = topLevel
    var shift = topShift
    while true {
      let word = table + index(iova, level: level, shift: shift)
      let entry = word.pointee
      if isLeaf(entry, level: level) { return (word, level, shift) }
      guard level > 0, entry & Self.typeMask == Self.tableType else { return nil }
      table = words(of: address(entry))
      level &-= 1
      shift &-= indexBits
    }
  }

  @inlinable
  public func translate(_ iova: UInt64) -> UInt64? {
    guard let found = leaf(at: iova) else { return nil }
    return address(found.word.pointee) | iova & ((1 &<< found.shift) &- 1)
  }

  // MARK: Dirty state

  public func setDirty(_ iova: UInt64) -> LinuxErrno? {
    guard encoding.marksDirty else { return .eopnotsupp }
    guard spans(iova) else { return .erange }
    guard let found = leaf(at: iova) else { return .enoent }
    if found.word.pointee & ARMLPAEEncoding.dirtyModifier != 0 {
      found.word.pointee &= ~ARMLPAEEncoding.readOnly
      announce(found.word)
    }
    return nil
  }

  /// A walk that ends at the first hole with EINVAL. A range that starts inside of a leaf reports that leaf from there on.
  public func readDirty(
    iova: UInt64, length: UInt64, clear: Bool, gather: inout LegacyGather
  ) throws(LinuxErrno) -> [DirtyRange] {
    guard encoding.marksDirty else { throw .eopnotsupp }
    guard length != 0, (iova &+ length &- 1) & ~Bits.lowMask(shape.inputBits) == 0 else {
      memory.recordWarning()
      throw .einval
    }
    guard shape.hasDirtyTracking else { throw .einval }
    var walk = ARMLPAEDirtyWalk(next: iova, end: iova &+ length, clears: clear)
    let isComplete = visit(root, level: topLevel, shift: topShift, words: rootWords, &walk)
    if clear { for range in walk.ranges { gather.add(iova: range.iova, length: range.length) } }
    if isComplete { return walk.ranges }
    // What was made clean before the hole is synced all the same.
    synchronize(&gather)
    throw .einval
  }

  private func visit(
    _ table: Words, level: Int, shift: UInt64, words count: Int, _ walk: inout ARMLPAEDirtyWalk
  ) -> Bool {
    var index = index(walk.next, level: level, shift: shift)
    while index < count, walk.next < walk.end {
      let entry = table[index]
      if isLeaf(entry, level: level) {
        if ARMLPAEEncoding.isDirty(entry) {
          walk.ranges.append(DirtyRange(iova: walk.next, length: 1 &<< shift))
          if walk.clears {
            table[index] |= ARMLPAEEncoding.readOnly
            announce(table + index)
          }
        }
        walk.next &+= 1 &<< shift
      } else {
        guard level > 0, entry & Self.typeMask == Self.tableType else {
          // Linux 6.12 warns of it.
          if splitsBlocks { memory.recordWarning() }
          return false
        }
        let child = words(of: address(entry))
        guard visit(child, level: level - 1, shift: shift - indexBits, words: tableWords, &walk) else {
          return false
        }
      }
      index += 1
    }
    return true
  }

  /// Dirty state is shared with a walker that snoops, so it is not flushed.
  private func announce(_ word: Words) {
    if Memory.recordsEvents { memory.recordEntryWrites(at: physical(of: word), count: 1, wordBytes: 8) }
  }

  // MARK: Image

  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    try TableImage(roots: roots, memory: reader) { _, isRoot in
      isRoot ? rootWords : tableWords
    } classify: { word, _ in
      guard word & Self.typeMask == Self.tableType else { return .plain }
      let child = address(word)
      return .table(child: child, cleared: word & ~Self.addressField(child))
    }
  }
}

/// A walk over dirty leaves.
private struct ARMLPAEDirtyWalk {
  /// The address that the walk has come to, and where it ends.
  var next: UInt64
  let end: UInt64
  let clears: Bool
  var ranges: [DirtyRange] = []
}
