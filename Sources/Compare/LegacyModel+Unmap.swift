// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

extension LegacyModel {
  /// As iommu_unmap(): in calls of one page size each.
  mutating func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64 {
    if length == 0 { return 0 }
    if (iova | length) & (smallest - 1) != 0 {
      note(.misaligned)
      return 0
    }
    guard isInside(iova, length) else {
      skipped = .outOfRange
      return 0
    }
    var unmapped: UInt64 = 0
    while unmapped < length, skipped == nil {
      let start = iova &+ unmapped
      guard isInside(start, 1), let (size, count) = call(start, length - unmapped) else { break }
      let done = unmapPages(start, size, count)
      if done == 0 { break }
      unmapped &+= done
    }
    if unmapped > 0, isBeyondTop(iova &+ (length - 1)) { note(.overTop) }
    return unmapped
  }

  /// Whether a top that grows does not span an IOVA yet.
  private func isBeyondTop(_ iova: UInt64) -> Bool {
    guard behaviour == .amdv1, let root = side.table.roots.first else { return false }
    return !world.reference.accepts(iova: iova, rootLevel: root.level)
  }

  /// The page size of the next call, and of how many pages it is: up to where the next larger size fits.
  private func call(_ iova: UInt64, _ length: UInt64) -> (size: UInt64, count: UInt64)? {
    guard let size = LeafChoice.best(sizes, iova: iova, pa: iova, length: length) else { return nil }
    let larger = sizes & ~(size | (size - 1))
    if larger != 0 {
      let next = larger & (0 &- larger)
      let offset = next - (iova & (next - 1))
      if length >= next, offset <= length - next { return (size, offset / size) }
    }
    return (size, length / size)
  }

  /// Unmaps pages of a size; returns what the driver counts.
  private mutating func unmapPages(_ iova: UInt64, _ size: UInt64, _ count: UInt64) -> UInt64 {
    switch behaviour {
    case .riscv: return unmapLeaf(iova)
    case .amdv1, .amdv2: return unmapAMD(iova, size * count)
    case .vtd: return unmapVTD(iova, size, count)
    case .arm, .armv7s, .dart: return unmapEntries(iova, size)
    }
  }

  /// Whole leaves; a hole, or a start inside of one, ends it.
  private mutating func unmapLeaf(_ iova: UInt64) -> UInt64 {
    guard let leaf = leaves.leaf(at: iova), leaf.start == iova else { return 0 }
    leaves.remove(from: iova, to: iova)
    return leaf.size
  }

  /// Counts the empty words of last-level tables as unmapped, and takes a leaf whole wherever it is met.
  private mutating func unmapAMD(_ iova: UInt64, _ size: UInt64) -> UInt64 {
    var unmapped: UInt64 = 0
    var next = iova
    while unmapped < size {
      var step = smallest
      if let leaf = leaves.leaf(at: next) {
        if leaf.start != next { note(.takesBlock) }
        step = leaf.size
        leaves.remove(from: next, to: next)
      } else if hasTable(level: 0, next) {
        note(.countsHoles)
      } else {
        break
      }
      next = (next & ~(step - 1)) &+ step
      unmapped &+= step
      if next == 0 { break }
    }
    if unmapped > 0 { overshoot = next &- 1 }
    if next &- iova != unmapped, unmapped > 0 { note(.takesBlock) }
    return unmapped
  }

  /// Counts holes, by the span of the empty word that is met, and unmaps the whole range that it counts.
  private mutating func unmapVTD(_ iova: UInt64, _ size: UInt64, _ count: UInt64) -> UInt64 {
    var length = size * count
    if let leaf = leaves.leaf(at: iova) {
      length = max(length, leaf.size)
    } else {
      note(.countsHoles)
      var level = 0
      while level < world.subject.shape.geometry.topLevel, !hasTable(level: level, iova) { level += 1 }
      length = max(length, Bits.bit(shift(level)))
    }
    let last = iova &+ (length - 1)
    let found = leaves.leaves(from: iova, to: last)
    guard last >= iova, isInside(iova, length), found.allSatisfy({ $0.start >= iova && $0.last <= last })
    else {
      skipped = .partOfBlock
      return 0
    }
    if found.reduce(0, { $0 + $1.size }) != length || found.contains(where: { $0.size < size }) {
      note(.countsHoles)
    }
    leaves.remove(from: iova, to: last)
    overshoot = last
    return length
  }

  /// Clears the words that a page of the size has; all must map something or lead to a table, which goes.
  private mutating func unmapEntries(_ iova: UInt64, _ size: UInt64) -> UInt64 {
    let last = iova &+ (size - 1)
    let level = level(of: size)
    let item = Bits.bit(shift(level))
    if let leaf = leaves.leaf(at: iova), leaf.size > size { return unmapPart(of: leaf, iova, size) }
    var part = iova
    while true {
      let end = part | (item - 1)
      let found = leaves.leaves(from: part, to: end)
      let isLed = level > 0 && hasTable(level: level - 1, part)
      if found.isEmpty, !isLed {
        if part != iova { note(.allOrNothing) }
        return 0
      }
      if isLed { note(.dropsTable) }
      if end >= last { break }
      part = end &+ 1
    }
    leaves.remove(from: iova, to: last)
    return size
  }

  /// A page inside of a larger leaf: refused, or the leaf is split.
  private mutating func unmapPart(of leaf: Leaf, _ iova: UInt64, _ size: UInt64) -> UInt64 {
    switch behaviour {
    case .arm(splits: true): break
    case .armv7s(splits: true):
      skipped = .splitLosesAddress
      return 0
    default:
      note(.refusesPart)
      return 0
    }
    note(.splitsBlock)
    leaves.remove(from: leaf.start, to: leaf.start)
    var block = leaf
    var pieces: [Leaf] = []
    while block.size > size {
      let level = level(of: block.size)
      guard level > 0 else { break }
      let part = Bits.bit(shift(level - 1))
      var next: Leaf?
      for start in stride(from: block.start, through: block.last, by: UInt64.Stride(part)) {
        var piece = block
        piece.start = start
        piece.size = part
        piece.pa = block.pa &+ (start &- block.start)
        if iova >= start, iova <= piece.last { next = piece } else { pieces.append(piece) }
      }
      guard let next else { break }
      block = next
    }
    for piece in pieces.sorted(by: { $0.start < $1.start }) { leaves.insert([piece]) }
    return size
  }
}
