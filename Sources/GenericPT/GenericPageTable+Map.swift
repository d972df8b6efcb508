// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What stays the same over one map.
@usableFromInline @frozen
struct MapRequest {
  @usableFromInline var last: UInt64
  @usableFromInline var attributes: UInt64
  @usableFromInline var sizes: UInt64

  @inlinable
  init(last: UInt64, attributes: UInt64, sizes: UInt64) {
    self.last = last
    self.attributes = attributes
    self.sizes = sizes
  }
}

extension GenericPageTable {
  /// Maps `length` bytes from `iova` on to `pa`, all or nothing, as iommu_map().
  ///
  /// Fails with EINVAL (no permission, zero length, protection refused), ERANGE (an address out of range),
  /// EOVERFLOW (the range wraps), ENXIO (no leaf size fits), EADDRINUSE (a leaf is in the way), ENOMEM.
  @inlinable
  public func map(iova: UInt64, pa: UInt64, length: UInt64, protection: Protection) -> LinuxErrno? {
    withLock {
      let outcome = mapLocked(iova: iova, pa: pa, length: length, protection: protection, sizes: pageSizes)
      if outcome.errno != nil { rollBack(iova: iova, mapped: outcome.mapped) }
      return outcome.errno
    }
  }

  /// As `map`, but what was mapped before a failure stays.
  ///
  /// - Parameter sizes: bitmap of the leaf sizes allowed; nil allows those of the page table.
  @inlinable
  public func mapRange(
    iova: UInt64, pa: UInt64, length: UInt64, protection: Protection, sizes: UInt64? = nil
  ) -> MapOutcome {
    withLock {
      mapLocked(
        iova: iova, pa: pa, length: length, protection: protection,
        sizes: sizes.map { $0 & pageSizes } ?? pageSizes)
    }
  }

  @inlinable
  func rollBack(iova: UInt64, mapped: UInt64) {
    var gather = Gather()
    _ = unmapLocked(iova: iova, length: mapped, gather: &gather)
    synchronizeLocked(&gather)
  }

  @inlinable @inline(__always)
  func mapLocked(
    iova: UInt64, pa: UInt64, length: UInt64, protection: Protection, sizes: UInt64
  ) -> MapOutcome {
    do throws(LinuxErrno) {
      if protection.isDisjoint(with: [.read, .write]) { throw .einval }
      if pa & ~Bits.lowMask(geometry.outputBits) != 0 { throw .erange }
      let attributes = try format.attributes(protection)
      let last = try Self.last(iova, length)
      // A length that is one leaf size, with both addresses aligned to it, is one leaf. The granule stands apart, so
      // that its size is a constant.
      let isAligned = (iova | pa) & (length &- 1) == 0
      let granuleLog2 = Format.granuleLog2
      if length == Bits.bit(granuleLog2), sizes & length != 0 {
        if !isAligned { throw .enxio }
        if mapLeaf(iova, last: last, pa: pa, sizeLog2: granuleLog2, attributes: attributes) {
          return MapOutcome(nil, mapped: length)
        }
      } else if isAligned, sizes & length != 0, length.nonzeroBitCount == 1 {
        let sizeLog2 = length.trailingZeroBitCount
        if mapLeaf(iova, last: last, pa: pa, sizeLog2: sizeLog2, attributes: attributes) {
          return MapOutcome(nil, mapped: length)
        }
      }
      return mapRuns(iova, pa: pa, MapRequest(last: last, attributes: attributes, sizes: sizes))
    } catch {
      return MapOutcome(error, mapped: 0)
    }
  }

  /// Maps one leaf of a single word whose tables are all in place and whose word is free; false when more is needed.
  @inlinable @inline(__always)
  func mapLeaf(_ iova: UInt64, last: UInt64, pa: UInt64, sizeLog2: Int, attributes: UInt64) -> Bool {
    let root = self.root
    var level = root.level
    let bits = topBits(level: level)
    guard geometry.holds(first: iova, last: last, bits: bits) else { return false }
    var table = root.physical
    var itemLog2 = Format.itemLog2(level: level)
    var index = Self.topIndex(iova, itemLog2: itemLog2, bits: bits)
    while itemLog2 > sizeLog2 {
      let entry = load(table, index)
      guard format.kind(of: entry, level: level) == .table else { return false }
      // Another thread may have installed the table and not yet flushed the entry.
      if entry & format.flushedMark == 0 { flush(table, index..<index &+ 1) }
      table = format.tableAddress(entry, level: level)
      level &-= 1
      itemLog2 &-= Format.indexBits
      index = Self.index(iova, itemLog2: itemLog2)
    }
    // A leaf of several words has a size between those of two levels.
    guard itemLog2 == sizeLog2, load(table, index) == 0 else { return false }
    store(format.leafEntry(pa, sizeLog2: sizeLog2, level: level, attributes: attributes), table, index)
    flush(table, index..<index &+ 1)
    count(table, 1)
    return true
  }

  /// Maps a range as runs of leaves of one size.
  @inlinable
  func mapRuns(_ start: UInt64, pa: UInt64, _ request: MapRequest) -> MapOutcome {
    var gather = Gather()
    var iova = start
    let errno = mapSizes(&iova, pa: pa, request, &gather)
    if errno != nil, countsEntries { pruneEmptyTables(at: iova, gather: &gather) }
    // Tables that large leaves replaced wait in the gather.
    synchronizeLocked(&gather)
    return MapOutcome(errno, mapped: iova &- start)
  }

  /// Maps from `iova` on, size by size, and leaves in `iova` where it stopped.
  @inlinable
  func mapSizes(
    _ iova: inout UInt64, pa: UInt64, _ request: MapRequest, _ gather: inout Gather
  ) -> LinuxErrno? {
    let start = iova
    let granuleMask = Bits.lowMask(Format.granuleLog2)
    guard
      let first = PageSize.best(sizes: request.sizes, iova: iova, last: request.last, address: pa),
      (request.last &- start) & granuleMask == granuleMask
    else { return .enxio }
    do throws(LinuxErrno) {
      let root = try growTop(first: iova, last: request.last, leafLevel: Format.level(ofSizeLog2: first))
      repeat {
        let address = pa &+ (iova &- start)
        guard let size = PageSize.best(sizes: request.sizes, iova: iova, last: request.last, address: address)
        else { throw .enxio }
        let run = LeafRun(
          sizeLog2: size, level: Format.level(ofSizeLog2: size),
          leaves: PageSize.count(
            sizes: request.sizes, iova: iova, last: request.last, address: address, sizeLog2: size))
        try mapRun(run, &iova, address: address, root: root, attributes: request.attributes, &gather)
      } while iova &- 1 != request.last
      return nil
    } catch {
      return error
    }
  }

  /// Maps leaves of one size, table by table.
  @inlinable
  func mapRun(
    _ run: LeafRun, _ iova: inout UInt64, address: UInt64, root: TableRoot, attributes: UInt64,
    _ gather: inout Gather
  ) throws(LinuxErrno) {
    let stepLog2 = run.sizeLog2 - Format.itemLog2(level: run.level)
    let tableBits =
      run.level == root.level
      ? topBits(level: run.level) - Format.itemLog2(level: run.level) : Format.indexBits
    var left = run.leaves
    var address = address
    while left > 0 {
      let table = try descend(to: run.level, iova: iova, root: root)
      let index = index(iova, level: run.level, of: root)
      let capacity = UInt64(((1 << tableBits) - index) >> stepLog2)
      let slice = LeafRun(sizeLog2: run.sizeLog2, level: run.level, leaves: min(left, capacity))
      let done = fill(
        slice, in: table, from: index, iova: iova, address: address, attributes: attributes, &gather)
      iova &+= done << UInt64(run.sizeLog2)
      address &+= done << UInt64(run.sizeLog2)
      if done < slice.leaves { throw .eaddrinuse }
      left -= done
    }
  }

  /// Fills part of one table with leaves; returns how many were written before one was in the way.
  @inlinable
  func fill(
    _ run: LeafRun, in table: UInt64, from start: Int, iova: UInt64, address: UInt64, attributes: UInt64,
    _ gather: inout Gather
  ) -> UInt64 {
    let stepLog2 = UInt64(run.sizeLog2 - Format.itemLog2(level: run.level))
    var done: UInt64 = 0
    while done < run.leaves {
      let index = start + Int(done << stepLog2)
      let space = Int((run.leaves - done) << stepLog2)
      var free = UInt64(Entry.zeroPrefix(words(of: table) + index, count: space)) >> stepLog2
      if free == 0 {
        let group = iova &+ done << UInt64(run.sizeLog2)
        guard clearGroup(in: table, index..<index + (1 << stepLog2), level: run.level, iova: group, &gather)
        else { break }
        free = 1
      }
      write(
        LeafRun(sizeLog2: run.sizeLog2, level: run.level, leaves: free), to: table, at: index,
        address: address &+ done << UInt64(run.sizeLog2), attributes: attributes)
      done += free
    }
    if done > 0 { flush(table, start..<start + Int(done << stepLog2)) }
    return done
  }

  /// Writes leaves of one size into empty words.
  @inlinable @inline(__always)
  func write(_ run: LeafRun, to table: UInt64, at index: Int, address: UInt64, attributes: UInt64) {
    let stepLog2 = run.sizeLog2 - Format.itemLog2(level: run.level)
    let words = words(of: table) + index
    let fixed = format.leafBits(sizeLog2: run.sizeLog2, level: run.level, attributes: attributes)
    let step = Format.addressStep(level: run.level)
    let count = Int(run.leaves) << stepLog2
    let last = address &+ (run.leaves << UInt64(run.sizeLog2)) &- 1
    if stepLog2 == 0 || !Format.contiguousWordsRepeat, format.isLinear(first: address, last: last) {
      Entry.fill(words, count: count, fixed: fixed, field: format.addressField(address), step: step)
    } else {
      for leaf in 0..<Int(run.leaves) {
        let field = format.addressField(address &+ UInt64(leaf) << UInt64(run.sizeLog2))
        Entry.fill(
          words + (leaf << stepLog2), count: 1 << stepLog2, fixed: fixed, field: field,
          step: Format.contiguousWordsRepeat ? 0 : step)
      }
    }
    self.count(table, count)
    record(table, index, count: count)
  }

  /// Makes room for a leaf: unlinks empty tables in its words.
  ///
  /// Returns false when anything is mapped there. Tables found before it stay unlinked, as in Linux.
  @inlinable
  func clearGroup(
    in table: UInt64, _ range: Range<Int>, level: Int, iova: UInt64, _ gather: inout Gather
  ) -> Bool {
    let itemLog2 = Format.itemLog2(level: level)
    for index in range {
      let entry = load(table, index)
      switch format.kind(of: entry, level: level) {
      case .empty: continue
      case .leaf: return false
      case .table:
        var pending = Gather()
        let child = format.tableAddress(entry, level: level)
        guard
          collectTables(
            child, level: level - 1, wordCount: 1 << Format.indexBits, refusesLeaves: true, into: &pending)
        else { return false }
        // The walker must lose sight of the table before it is gathered.
        store(0, table, index)
        count(table, -1)
        flush(table, index..<index + 1)
        add(table: child, level: level, to: &pending)
        add(
          &pending, iova: iova &+ UInt64(index - range.lowerBound) << UInt64(itemLog2),
          length: 1 << UInt64(itemLog2), to: &gather)
      }
    }
    return true
  }

  /// Puts the tables below `table` on a list; with `refusesLeaves`, returns false at the first leaf.
  @inlinable
  func collectTables(
    _ table: UInt64, level: Int, wordCount: Int, refusesLeaves: Bool, into pending: inout Gather
  ) -> Bool {
    if level == 0, !refusesLeaves { return true }
    for index in 0..<wordCount {
      let entry = load(table, index)
      if entry == 0 { continue }
      switch format.kind(of: entry, level: level) {
      case .empty: continue
      case .leaf: if refusesLeaves { return false }
      case .table:
        let child = format.tableAddress(entry, level: level)
        add(table: child, level: level, to: &pending)
        guard
          collectTables(
            child, level: level - 1, wordCount: 1 << Format.indexBits, refusesLeaves: refusesLeaves,
            into: &pending)
        else { return false }
      }
    }
    return true
  }
}

/// Leaves of one size that follow each other.
@usableFromInline @frozen
struct LeafRun {
  @usableFromInline var sizeLog2: Int
  @usableFromInline var level: Int
  @usableFromInline var leaves: UInt64

  @inlinable
  init(sizeLog2: Int, level: Int, leaves: UInt64) {
    self.sizeLog2 = sizeLog2
    self.level = level
    self.leaves = leaves
  }
}
