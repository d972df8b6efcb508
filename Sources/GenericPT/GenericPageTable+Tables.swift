// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Synchronization

extension GenericPageTable {
  /// The table of `level` that holds the entry for an IOVA; missing tables are installed.
  @inlinable
  func descend(to level: Int, iova: UInt64, root: TableRoot) throws(LinuxErrno) -> UInt64 {
    var table = root.physical
    var current = root.level
    while current > level {
      let index = index(iova, level: current, of: root)
      let entry = load(table, index)
      switch format.kind(of: entry, level: current) {
      case .leaf: throw .eaddrinuse
      case .table:
        // Another thread may have installed the table and not yet flushed the entry.
        if entry & format.flushedMark == 0 { flush(table, index..<index + 1) }
        table = format.tableAddress(entry, level: current)
      case .empty:
        guard let child = try install(at: index, of: table, level: current, expecting: entry) else {
          continue
        }
        table = child
      }
      current -= 1
    }
    return table
  }

  /// Installs a new table; nil when another thread was first. Memory beyond the reach of pointers counts as none.
  @inlinable
  func install(
    at index: Int, of table: UInt64, level: Int, expecting old: UInt64
  ) throws(LinuxErrno) -> UInt64? {
    guard let child = allocate() else { throw .enomem }
    let entry = format.tableEntry(child, level: level)
    // Memory that the pointer cannot hold is of no use, as in Linux (io-pgtable-arm-v7s.c).
    guard format.tableAddress(entry, level: level) == child else {
      release(child)
      throw .enomem
    }
    if geometry.features.contains(.dmaIncoherent) {
      memory.flushCache(at: child, byteCount: 1 << Format.tableLog2)
    }
    let word = words(of: table) + index
    guard Entry.install(entry, word, expecting: old) else {
      release(child)
      return nil
    }
    count(table, 1)
    record(table, index, count: 1)
    if Memory.recordsEvents { memory.recordTableInstall(child, at: address(table, index)) }
    flush(table, index..<index + 1)
    // The mark is for other threads; the walker ignores it, so it needs no flush of its own.
    if geometry.features.contains(.dmaIncoherent) { Entry.set(format.flushedMark, word) }
    return child
  }

  /// The root for a range; the top grows until it spans the range and can hold leaves of `leafLevel`.
  @inlinable
  func growTop(first: UInt64, last: UInt64, leafLevel: Int) throws(LinuxErrno) -> TableRoot {
    while true {
      let root = self.root
      if spans(first, last, leafLevel: leafLevel, level: root.level) { return root }
      guard geometry.features.contains(.dynamicTop) else { throw .erange }
      var added: [UInt64] = []
      do throws(LinuxErrno) {
        let grown = try addTops(above: root, first, last, leafLevel: leafLevel, &added)
        if changeTop(from: root, to: grown) { return grown }
        // Another thread grew the top meanwhile: look again.
        for table in added { release(table) }
      } catch {
        for table in added { release(table) }
        throw error
      }
    }
  }

  @inlinable
  func spans(_ first: UInt64, _ last: UInt64, leafLevel: Int, level: Int) -> Bool {
    geometry.holds(first: first, last: last, bits: topBits(level: level))
      && (leafLevel <= level || !geometry.features.contains(.dynamicTop))
  }

  /// Stacks new tables on `root`, each with the one below at index 0.
  @inlinable
  func addTops(
    above root: TableRoot, _ first: UInt64, _ last: UInt64, leafLevel: Int, _ added: inout [UInt64]
  ) throws(LinuxErrno) -> TableRoot {
    var top = root
    while !spans(first, last, leafLevel: leafLevel, level: top.level) {
      let level = top.level + 1
      if level > Format.maximumLevel || Format.itemLog2(level: level) >= geometry.iovaBits { throw .erange }
      let sizeLog2 = Self.rootSizeLog2(geometry, level: level)
      guard let table = allocate(sizeLog2: sizeLog2) else { throw .enomem }
      added.append(table)
      store(format.tableEntry(top.physical, level: level), table, 0)
      count(table, 1)
      if geometry.features.contains(.dmaIncoherent) { memory.flushCache(at: table, byteCount: 1 << sizeLog2) }
      if Memory.recordsEvents { memory.recordTableInstall(top.physical, at: table) }
      top = TableRoot(physical: table, level: level)
    }
    return top
  }

  /// Makes `new` the root unless another thread changed the root since `old` was read. The hardware follows
  /// before other callers do, so that nobody maps where the hardware does not look yet.
  @inlinable
  func changeTop(from old: TableRoot, to new: TableRoot) -> Bool {
    topLock.lock()
    defer { topLock.unlock() }
    guard root == old else { return false }
    memory.changeTop(to: new.physical, level: new.level)
    top.store(new.physical | UInt64(new.level), ordering: .releasing)
    return true
  }

  /// Unlinks the empty tables on the way to an IOVA where a map failed, into a gather.
  @inlinable
  func pruneEmptyTables(at iova: UInt64, gather: inout Gather) {
    let root = self.root
    guard geometry.holds(first: iova, last: iova, bits: topBits(level: root.level)) else { return }
    var pending = Gather()
    _ = prune(root.physical, level: root.level, iova: iova, root: root, &pending)
    // Nothing was mapped through these tables, but walks may have found them.
    if pending.tables.head != 0 { add(&pending, iova: iova, length: 1, to: &gather) }
  }

  @inlinable
  func prune(_ table: UInt64, level: Int, iova: UInt64, root: TableRoot, _ pending: inout Gather)
    -> Bool
  {
    if level > 0 {
      let index = index(iova, level: level, of: root)
      let entry = load(table, index)
      if format.kind(of: entry, level: level) == .table {
        let child = format.tableAddress(entry, level: level)
        if prune(child, level: level - 1, iova: iova, root: root, &pending) {
          unlink(child, at: index, of: table, level: level, &pending)
        }
      }
    }
    return metadata[page(table)].entries == 0
  }

  /// Takes an empty table out of its parent.
  @inlinable @inline(__always)
  func unlink(_ child: UInt64, at index: Int, of table: UInt64, level: Int, _ pending: inout Gather) {
    store(0, table, index)
    count(table, -1)
    flush(table, index..<index + 1)
    add(table: child, level: level, to: &pending)
  }
}
