// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension TranslationCaches {
  /// Compares what the caches answer with what walks find now: at the addresses given, and at both ends of all leaves
  /// kept from `first` to `last`. What the walks read is kept.
  ///
  /// Any part of what is kept may be forgotten by real caches, so each leaf and each pointer must answer as a walk
  /// from the root does, not only the deepest.
  public mutating func check(
    _ addresses: some Sequence<UInt64>, first: UInt64, last: UInt64, roots: [TableRoot],
    memory: any PhysicalMemoryReader
  ) -> [CacheViolation] {
    var checked = Set(addresses)
    var found: [CacheViolation] = []
    for iova in checked.sorted() { found += check(iova, roots, memory) }
    var sizes = leafSizes
    while sizes != 0, first <= last {
      for kept in leaves[sizes.trailingZeroBitCount].values(overlapping: first, last) {
        for iova in [kept.leaf.iova, kept.leaf.last] where checked.insert(iova).inserted {
          found += check(iova, roots, memory)
        }
      }
      sizes &= sizes - 1
    }
    return found
  }

  private mutating func check(
    _ iova: UInt64, _ roots: [TableRoot], _ memory: any PhysicalMemoryReader
  ) -> [CacheViolation] {
    let walk = walker.walk(iova, roots: roots, memory: memory)
    var found: [CacheViolation] = []
    var sizes = leafSizes
    while sizes != 0 {
      if let kept = leaves[sizes.trailingZeroBitCount].value(at: iova),
        !Self.agree(iova, kept: kept.leaf, walk.leaf)
      {
        found.append(staleLeaf(kept, iova, walk.leaf))
        forget(kept)
      }
      sizes &= sizes - 1
    }
    for level in pointers.indices {
      guard let kept = pointers[level].value(at: iova),
        !walk.pointers.contains(where: { $0.level == level && $0.leadsWhere(kept.pointer) })
      else { continue }
      let rest = walker.walk(iova, from: kept.pointer, memory: memory)
      guard !Self.agree(iova, kept: rest.leaf, walk.leaf) else { continue }
      found.append(stalePointer(kept, iova, answer: rest.leaf, walk.leaf))
      forget(kept)
    }
    keep(walk, of: iova)
    return found
  }

  /// Whether a kept answer is as good as a walk's: the same address and rights, and no leaf taken for dirty that
  /// is not, whose next write would go unmarked.
  private static func agree(_ iova: UInt64, kept: CachedLeaf?, _ walked: CachedLeaf?) -> Bool {
    guard let kept, let walked else { return kept == nil && walked == nil }
    return kept.address(of: iova) == walked.address(of: iova) && kept.protection == walked.protection
      && (!kept.isDirty || walked.isDirty)
  }
}
