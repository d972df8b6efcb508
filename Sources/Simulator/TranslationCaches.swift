// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a device keeps of its walks: an IOTLB of leaves, and paging-structure caches of the pointers above them.
///
/// They forget nothing unless they are told to, so that what they answer shows which invalidation was missing,
/// short or late. Around each operation, in this order: `touch` with the addresses of interest, the operation,
/// `apply` with its events, `check` with the addresses. For one operation at a time.
public struct TranslationCaches: Sendable {
  /// How the hardware walks.
  public let walker: any HardwareWalker

  /// Leaves by their size, log2 of bytes.
  var leaves: [CacheTier<KeptLeaf>] = (0..<64).map { CacheTier(shift: $0) }
  /// Bit N set: `leaves[N]` has been used.
  var leafSizes: UInt64 = 0
  /// Pointers by the level of their word.
  var pointers: [CacheTier<KeptPointer>] = []
  /// How many of `pointers` lead to a table, by its physical address.
  var leading: [UInt64: Int] = [:]
  var progress = InvalidationProgress()
  /// Events so far.
  var position = 0

  /// A leaf with the pointers that led to it.
  struct KeptLeaf: Sendable {
    var leaf: CachedLeaf
    var path: [CachedPointer]
  }

  /// A pointer with an IOVA that it is for, and the path to it: `path[...index]`.
  struct KeptPointer: Sendable {
    var iova: UInt64
    var path: [CachedPointer]
    var index: Int

    var pointer: CachedPointer { path[index] }
  }

  public init(walker: any HardwareWalker) {
    self.walker = walker
    var level = 0
    while let shift = walker.shift(level: level), shift < 64 {
      pointers.append(CacheTier(shift: shift))
      level += 1
    }
  }

  // MARK: Device accesses

  /// The device accesses addresses: what it has not in its caches is walked to, and kept.
  public mutating func touch(
    _ addresses: some Sequence<UInt64>, roots: [TableRoot], memory: any PhysicalMemoryReader
  ) {
    for iova in addresses where !isKept(iova) {
      keep(walker.walk(iova, roots: roots, memory: memory), of: iova)
    }
  }

  /// Whether an address needs no walk: its leaf is there, and the pointer to the leaf's table.
  private func isKept(_ iova: UInt64) -> Bool {
    guard let leaf = leaf(at: iova) else { return false }
    guard pointers.indices.contains(leaf.level + 1) else { return true }
    return pointers[leaf.level + 1].value(at: iova) != nil
  }

  func leaf(at iova: UInt64) -> CachedLeaf? {
    var sizes = leafSizes
    while sizes != 0 {
      if let kept = leaves[sizes.trailingZeroBitCount].value(at: iova) { return kept.leaf }
      sizes &= sizes - 1
    }
    return nil
  }

  mutating func keep(_ walk: DeviceWalk, of iova: UInt64) {
    for index in walk.pointers.indices { keep(KeptPointer(iova: iova, path: walk.pointers, index: index)) }
    if let leaf = walk.leaf { keep(KeptLeaf(leaf: leaf, path: walk.pointers)) }
  }

  mutating func keep(_ kept: KeptLeaf) {
    guard leaves.indices.contains(kept.leaf.sizeLog2) else { return }
    leafSizes |= Bits.bit(kept.leaf.sizeLog2)
    leaves[kept.leaf.sizeLog2].insert(kept, at: kept.leaf.iova)
  }

  mutating func keep(_ kept: KeptPointer) {
    guard pointers.indices.contains(kept.pointer.level) else { return }
    let old = pointers[kept.pointer.level].insert(kept, at: kept.iova)
    if let old, old.pointer.table == kept.pointer.table { return }
    leading[kept.pointer.table, default: 0] += 1
    if let old { forgetLead(to: old.pointer.table) }
  }

  // MARK: Forgetting

  mutating func forget(_ kept: KeptLeaf) {
    leaves[kept.leaf.sizeLog2].remove(at: kept.leaf.iova)
  }

  mutating func forget(_ kept: KeptPointer) {
    if let old = pointers[kept.pointer.level].remove(at: kept.iova) { forgetLead(to: old.pointer.table) }
  }

  private mutating func forgetLead(to table: UInt64) {
    guard let count = leading[table] else { return }
    leading[table] = count > 1 ? count - 1 : nil
  }

  mutating func forgetAll() {
    for size in leaves.indices { leaves[size] = CacheTier(shift: size) }
    for level in pointers.indices { pointers[level] = CacheTier(shift: Int(pointers[level].shift)) }
    leafSizes = 0
    leading = [:]
    progress.pendingLeaves = []
    progress.pendingPointers = []
  }

  /// How many leaves and pointers are kept.
  public var count: Int {
    leaves.reduce(0) { $0 + $1.values.count } + pointers.reduce(0) { $0 + $1.values.count }
  }
}
