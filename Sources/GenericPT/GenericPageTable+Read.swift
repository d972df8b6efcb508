// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension GenericPageTable {
  /// The output address that an IOVA translates to, or nil when nothing is mapped there.
  @inlinable
  public func translate(_ iova: UInt64) -> UInt64? {
    withLock {
      guard let found = leaf(at: iova) else { return nil }
      let sizeLog2 =
        Format.itemLog2(level: found.level) + format.contiguousLog2(found.entry, level: found.level)
      return format.leafAddress(found.entry, level: found.level) | iova & Bits.lowMask(sizeLog2)
    }
  }

  /// The leaf word that maps an IOVA and where it is.
  @inlinable
  func leaf(at iova: UInt64) -> (entry: UInt64, level: Int, table: UInt64, index: Int)? {
    let root = self.root
    guard geometry.holds(first: iova, last: iova, bits: topBits(level: root.level)) else { return nil }
    var table = root.physical
    var level = root.level
    while true {
      let index = index(iova, level: level, of: root)
      let entry = load(table, index)
      switch format.kind(of: entry, level: level) {
      case .empty: return nil
      case .leaf: return (entry, level, table, index)
      case .table:
        table = format.tableAddress(entry, level: level)
        level -= 1
      }
    }
  }

  /// Does what hardware does to the word that maps an IOVA when a device writes.
  ///
  /// Returns ENOENT when nothing is mapped, ERANGE outside of the address space, EOPNOTSUPP where the format has
  /// no dirty state, EAGAIN when the word changed meanwhile.
  @inlinable
  public func setDirty(_ iova: UInt64) -> LinuxErrno? {
    guard format.tracksDirty else { return .eopnotsupp }
    return withLock { setDirtyLocked(iova) }
  }

  @inlinable
  func setDirtyLocked(_ iova: UInt64) -> LinuxErrno? {
    guard geometry.holds(first: iova, last: iova, bits: topBits(level: root.level)) else { return .erange }
    guard let found = leaf(at: iova) else { return .enoent }
    let word = words(of: found.table) + found.index
    guard Entry.install(format.dirtied(found.entry), word, expecting: found.entry) else { return .eagain }
    record(found.table, found.index, count: 1)
    return nil
  }

  /// The dirty leaves of a range in ascending order; with `clear`, they are made clean and added to the gather,
  /// which the caller synchronises, as iommufd does.
  ///
  /// - Throws: EINVAL, EOVERFLOW or ERANGE for a range that is empty, wraps or is out of the address space, and
  ///   EOPNOTSUPP where the format has no dirty state.
  @inlinable
  public func readDirty(
    iova: UInt64, length: UInt64, clear: Bool, gather: inout Gather
  ) throws(LinuxErrno) -> [DirtyRange] {
    guard format.tracksDirty else { throw .eopnotsupp }
    let last = try Self.last(iova, length)
    let found = withLock { readDirtyLocked(iova, last, clear: clear) }
    guard let ranges = found else { throw .erange }
    if clear, let first = ranges.first, let final = ranges.last {
      gather.add(first: first.iova, last: final.iova &+ final.length &- 1)
    }
    return ranges
  }

  /// The dirty leaves of a range; nil when it is out of the address space.
  @inlinable
  func readDirtyLocked(_ iova: UInt64, _ last: UInt64, clear: Bool) -> [DirtyRange]? {
    let root = self.root
    let bits = topBits(level: root.level)
    guard geometry.holds(first: iova, last: last, bits: bits) else { return nil }
    var ranges: [DirtyRange] = []
    let start = Self.topIndex(iova, level: root.level, bits: bits)
    let end = Self.topIndex(last, level: root.level, bits: bits)
    readDirty(in: root.physical, level: root.level, start...end, iova, last, clear: clear, &ranges)
    return ranges
  }

  @inlinable
  func readDirty(
    in table: UInt64, level: Int, _ indices: ClosedRange<Int>, _ first: UInt64, _ last: UInt64, clear: Bool,
    _ ranges: inout [DirtyRange]
  ) {
    let itemLog2 = UInt64(Format.itemLog2(level: level))
    var index = indices.lowerBound
    var iova = first
    while index <= indices.upperBound {
      let entry = load(table, index)
      var step = 1
      switch format.kind(of: entry, level: level) {
      case .empty: break
      case .table:
        let childLast = min(last, iova | Bits.lowMask(Int(itemLog2)))
        readDirty(
          in: format.tableAddress(entry, level: level), level: level - 1,
          Self.index(iova, level: level - 1)...Self.index(childLast, level: level - 1), iova, childLast,
          clear: clear, &ranges)
      case .leaf:
        let words = 1 << format.contiguousLog2(entry, level: level)
        let group = index & ~(words - 1)
        step = group + words - index
        if isDirty(table, group..<group + words) {
          // A range that starts or ends inside of a leaf reports the whole leaf.
          let size = UInt64(words) << itemLog2
          ranges.append(DirtyRange(iova: iova & ~(size &- 1), length: size))
          if clear { clean(table, group..<group + words) }
        }
      }
      index += step
      iova = (iova >> itemLog2 &+ UInt64(step)) << itemLog2
    }
  }

  @inlinable
  func isDirty(_ table: UInt64, _ group: Range<Int>) -> Bool {
    group.contains { format.isDirty(load(table, $0)) }
  }

  @inlinable
  func clean(_ table: UInt64, _ group: Range<Int>) {
    for index in group { store(format.cleaned(load(table, index)), table, index) }
  }

  /// The table image as this format's own decoder reads it.
  ///
  /// - Throws: `DanglingPointerError` when a pointer leads outside of `reader`'s memory.
  @inlinable
  public func image(in reader: some PhysicalMemoryReader) throws -> TableImage {
    let topWords = 1 << (Self.rootSizeLog2(geometry, level: root.level) - Format.Word.bytesLog2)
    let rootWords = topWords / geometry.rootCount
    return try TableImage(roots: roots, memory: reader, wordBytes: Self.wordBytes) { _, isRoot in
      isRoot ? rootWords : 1 << Format.indexBits
    } classify: { word, level in
      guard format.kind(of: word, level: level) == .table else { return .plain }
      let child = format.tableAddress(word, level: level)
      return .table(child: child, cleared: word & ~format.addressField(child))
    }
  }
}
