// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// Finds a short list of simple operations that shows a difference.
struct DifferenceShrinker {
  private let comparison: Comparison
  private let limit: Int

  init(_ comparison: Comparison, limit: Int) {
    self.comparison = comparison
    self.limit = limit
  }

  /// A shorter list that is caught by the same check; the difference itself where there is none.
  func shrink(_ difference: Difference) -> Difference {
    let check = difference.check
    func find(_ operations: [Operation]) -> Difference? {
      guard let found = try? comparison.run(operations), found.check == check else { return nil }
      return found
    }
    var best = difference
    // The last operations often suffice, which saves most of the work.
    for count in [2, 4, 8, 16, 64, 250] where count < best.operations.count {
      if let found = find(Array(best.operations.suffix(count))) {
        best = found
        break
      }
    }
    let fewer = Shrinker.minimize(best.operations, limit: limit) { find($0) != nil }
    best = find(fewer) ?? best
    var tries = 0
    var progress = true
    while progress, tries < limit {
      progress = false
      for position in best.operations.indices where position < best.operations.count {
        for simpler in simpler(best.operations[position]) where tries < limit && isShort(simpler) {
          tries += 1
          var list = best.operations
          list[position] = simpler
          guard let found = find(list), found.operations.count <= list.count else { continue }
          best = found
          progress = true
          break
        }
      }
    }
    return best
  }

  /// Whether an operation maps few enough leaves to be tried: a long range at unlike addresses would need small ones.
  private func isShort(_ operation: Operation) -> Bool {
    switch operation {
    case .map(let iova, let pa, let length, _), .mapRange(let iova, let pa, let length, _):
      let fitting = comparison.world.subject.sizes.filter { (iova &- pa) & ($0 - 1) == 0 && $0 <= length }
      return length / (fitting.max() ?? comparison.world.subject.granule) <= 1 << 14
    default: return true
    }
  }

  /// Operations like one, with smaller numbers.
  private func simpler(_ operation: Operation) -> [Operation] {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      return ranges(iova, pa, length, protection).map {
        .map(iova: $0.iova, pa: $0.pa, length: $0.length, protection: $0.protection)
      }
    case .mapRange(let iova, let pa, let length, let protection):
      return [.map(iova: iova, pa: pa, length: length, protection: protection)]
        + ranges(iova, pa, length, protection).map {
          .mapRange(iova: $0.iova, pa: $0.pa, length: $0.length, protection: $0.protection)
        }
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      let length = pageSize &* count
      return [
        .map(iova: iova, pa: pa, length: length, protection: protection),
        .mapPages(iova: iova, pa: pa, pageSize: pageSize, count: count / 2, protection: protection),
      ]
    case .unmap(let iova, let length):
      return lengths(length).map { .unmap(iova: iova, length: $0) }
        + addresses(iova).map { .unmap(iova: $0, length: length) }
    case .unmapPages(let iova, let pageSize, let count):
      return [.unmap(iova: iova, length: pageSize &* count)]
    case .dirty(let iova, let length, let clear):
      return lengths(length).map { .dirty(iova: iova, length: $0, clear: clear) }
    case .setDirty(let iova):
      return addresses(iova).map { .setDirty(iova: $0) }
    case .phys(let iova):
      return addresses(iova).map { .phys(iova: $0) }
    case .allocationBudget: return []
    }
  }

  private typealias Range = (iova: UInt64, pa: UInt64, length: UInt64, protection: Protection)

  private func ranges(_ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection) -> [Range] {
    var ranges: [Range] = []
    for (_, flag) in Protection.namedFlags where protection.contains(flag) {
      ranges.append((iova, pa, length, protection.subtracting(flag)))
    }
    // One leaf within the range, at its place and at 0.
    for size in comparison.world.subject.sizes where size < length {
      let skipped = (0 &- iova) & (size - 1)
      guard skipped <= length - size else { continue }
      ranges.append((0, 0, size, protection))
      ranges.append((iova &+ skipped, pa &+ skipped, size, protection))
    }
    ranges += lengths(length).map { (iova, pa, $0, protection) }
    ranges += addresses(pa).map { (iova, $0, length, protection) }
    ranges += addresses(iova).map { ($0, pa, length, protection) }
    if !protection.isSuperset(of: [.read, .write]), !protection.isDisjoint(with: [.read, .write]) {
      ranges.append((iova, pa, length, protection.union([.read, .write])))
    }
    return ranges
  }

  /// Shorter lengths, shortest first.
  private func lengths(_ length: UInt64) -> [UInt64] {
    let granule = comparison.world.subject.granule
    let aligned = comparison.world.subject.sizes.filter { $0 < length }
    let half = length / 2 & ~(granule - 1)
    return aligned + (half > 0 && !aligned.contains(half) ? [half] : [])
  }

  /// Addresses with fewer bits set: none, or without the highest.
  private func addresses(_ address: UInt64) -> [UInt64] {
    guard address != 0 else { return [] }
    var simpler: [UInt64] = [0]
    for bits in [21, 30, 39, 48] where address > Bits.lowMask(bits) {
      simpler.append(address & Bits.lowMask(bits))
    }
    simpler.append(address & ~Bits.bit(63 - address.leadingZeroBitCount))
    var seen: Set<UInt64> = [address]
    return simpler.filter { seen.insert($0).inserted }
  }
}
