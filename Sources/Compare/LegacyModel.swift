// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// What a driver's own code returns and maps, by family and era: a list of leaves, and the rules by which each departs
/// from the generic code. Where no prediction is made, the operation is not run on either side, by a rule as well.
struct LegacyModel: Predictor {
  typealias Leaf = LeafList.Leaf

  var leaves = LeafList()
  /// The rules by which the last operation may differ from the generic code's.
  var notes: [LegacyRule] = []
  var skipped: LegacyRule?
  var overshoot: UInt64?

  let behaviour: LegacyBehaviour
  let world: CompareWorld
  /// The tables, as they are before an operation: whether a hole has a table makes a difference.
  let side: LiveSide
  /// The page sizes that the driver offers, a bitmap of bytes.
  let sizes: UInt64

  /// Whether the code is the kit's model of the driver.
  private let isModel: Bool
  /// Leaf sizes of one word that the generic code offers and the driver does not.
  private let missingSizes: UInt64

  init(_ configuration: Configuration, _ world: CompareWorld, _ side: LiveSide) {
    behaviour = LegacyBehaviour(configuration)
    self.world = world
    self.side = side
    let target = side.table as? any LegacyTarget
    isModel = target?.isModel ?? true
    let offered = target?.pageSizes ?? 0
    sizes = offered == 0 ? world.subject.sizeMap : offered
    let subject = world.subject
    missingSizes =
      subject.sizes.reduce(0) { sum, size in
        let words = subject.level(ofSize: size).flatMap {
          world.reference.leafWordCount(level: $0, size: size)
        }
        return words == 1 ? sum | size : sum
      } & ~sizes
  }

  var smallest: UInt64 { sizes & (0 &- sizes) }

  mutating func perform(_ operation: Operation) -> OperationResult {
    notes = []
    skipped = nil
    overshoot = nil
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      let outcome = map(iova, pa, length, protection)
      // However little the driver reports to have mapped, nothing of it stays.
      if skipped == .partialMap, outcome.errno != nil, !notes.contains(.blockOverTable) { skipped = nil }
      guard let errno = outcome.errno else { return .ok }
      if outcome.mapped > 0 { _ = unmap(iova, outcome.mapped) }
      return .failed(errno)
    case .mapRange(let iova, let pa, let length, let protection):
      let outcome = map(iova, pa, length, protection)
      return outcome.errno.map { .failedMapped($0, outcome.mapped) } ?? .okMapped(outcome.mapped)
    case .unmap(let iova, let length): return .unmapped(unmap(iova, length))
    case .phys(let iova):
      if !isInside(iova, 1) { skipped = .outOfRange }
      if world.skipsTranslation(of: iova) { skipped = .lastByte }
      return .physical(leaves.leaf(at: iova).map { $0.pa &+ (iova &- $0.start) })
    case .mapPages, .unmapPages:
      skipped = .singleCalls
      return .none
    case .setDirty(let iova): return setDirty(iova)
    case .dirty(let iova, let length, let clear): return dirty(iova, length, clear: clear)
    case .allocationBudget: return .none
    }
  }

  func meaning(size: UInt64, _ protection: Protection) -> LeafMeaning? {
    world.rightMeaning(size: size, protection)
  }

  mutating func forget(from first: UInt64, to last: UInt64) { leaves.remove(from: first, to: last) }

  mutating func note(_ rule: LegacyRule) {
    if !notes.contains(rule) { notes.append(rule) }
  }

  /// The level whose tables' words map leaves of a size, or part of them.
  func level(of size: UInt64) -> Int {
    var level = 0
    while let above = world.reference.shift(level: level + 1), above < 64, Bits.bit(above) <= size {
      level += 1
    }
    return level
  }

  /// log2 of the bytes that one word of a level maps.
  func shift(_ level: Int) -> Int { world.reference.shift(level: level) ?? 0 }

  /// Whether the tables have one of a level that an IOVA leads to.
  func hasTable(level: Int, _ iova: UInt64) -> Bool {
    let width = world.subject.shape.geometry.iovaBits
    let inside = iova & Bits.lowMask(width)
    if case .at = side.tracker.locate(level: level, base: inside, roots: side.table.roots) { return true }
    return false
  }

  /// Whether a range lies within the addresses that callers may use.
  func isInside(_ iova: UInt64, _ length: UInt64) -> Bool {
    // VT-d's driver knows the lower half of sign-extended addresses alone.
    if behaviour == .vtd, iova > world.subject.spans[0].upperBound { return false }
    return world.subject.spans.contains { $0.contains(iova) && $0.upperBound - iova >= length - 1 }
  }
}

// MARK: - Map

extension LegacyModel {
  private mutating func map(
    _ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection
  ) -> MapOutcome {
    var protection = protection
    if (iova | pa | length) & (smallest - 1) != 0 {
      note(.misaligned)
      return MapOutcome(.einval, mapped: 0)
    }
    if length == 0 {
      note(.emptyMap)
      return MapOutcome(nil, mapped: 0)
    }
    guard isInside(iova, length), pa & ~world.subject.outputMask == 0,
      (pa &+ (length - 1)) & ~world.subject.outputMask == 0, pa &+ (length - 1) >= pa
    else {
      skipped = .outOfRange
      return MapOutcome(nil, mapped: 0)
    }
    if protection.isDisjoint(with: [.read, .write]) {
      guard behaviour == .riscv else { return MapOutcome(.einval, mapped: 0) }
      note(.noPermission)
      protection.insert(.read)
    }
    if missingSizes != 0, needsMissing(iova, pa, length) {
      skipped = .fewerSizes
      return MapOutcome(nil, mapped: 0)
    }
    return add(iova, pa, length, protection)
  }

  private func needsMissing(_ iova: UInt64, _ pa: UInt64, _ length: UInt64) -> Bool {
    var offset: UInt64 = 0
    while offset < length {
      let size = LeafChoice.best(
        sizes | missingSizes, iova: iova &+ offset, pa: pa &+ offset, length: length - offset)
      guard let size, missingSizes & size == 0 else { return size != nil }
      offset += size
    }
    return false
  }

  /// Maps leaf by leaf; what is in the way is refused, replaced or kept.
  private mutating func add(
    _ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection
  ) -> MapOutcome {
    var mapped: UInt64 = 0
    var added: [Leaf] = []
    // Where nothing is in the way, leaves are added all at once.
    let isFree = leaves.indices(from: iova, to: iova &+ (length - 1)).isEmpty
    while mapped < length, skipped == nil {
      let start = iova &+ mapped
      guard let size = LeafChoice.best(sizes, iova: start, pa: pa &+ mapped, length: length - mapped) else {
        return MapOutcome(.einval, mapped: mapped)
      }
      let leaf = Leaf(
        start: start, size: size, pa: pa &+ mapped, protection: protection,
        isDirty: meaning(size: size, protection)?.isBornDirty ?? false)
      if isFree {
        added.append(leaf)
      } else if let errno = place(leaf) {
        // The drivers look at several words before they write the first, and report fewer bytes than are free.
        if mapped > 0, behaviour.refusesLeaves { skipped = .partialMap }
        return MapOutcome(errno, mapped: mapped)
      }
      mapped += size
    }
    leaves.insert(added)
    return MapOutcome(nil, mapped: mapped)
  }

  /// Puts a leaf where others may be.
  private mutating func place(_ leaf: Leaf) -> LinuxErrno? {
    let found = leaves.leaves(from: leaf.start, to: leaf.last)
    guard let first = found.first else {
      leaves.insert([leaf])
      return nil
    }
    let isCovered = first.size > leaf.size
    let isSameLevel = level(of: first.size) == level(of: leaf.size)
    switch behaviour {
    case .arm, .armv7s, .dart:
      if isCovered || isSameLevel {
        note(.busyIsExist)
        return .eexist
      }
      // A section of v7s has several words, some of which may hold leaves.
      if found.contains(where: { level(of: $0.size) == level(of: leaf.size) }) {
        skipped = .partialMap
        return nil
      }
      note(.blockOverTable)
    case .vtd:
      if isCovered {
        skipped = .smallInBlock
        return nil
      }
      if leaf.size == first.size, leaf.size == smallest {
        note(.keepsOld)
        return nil
      }
      note(first.size == leaf.size ? .replacesLeaf : .blockOverTable)
    case .amdv1, .amdv2:
      // A dirty page has unlike words, of which the driver only finds some again.
      if isCovered, isSameLevel || behaviour == .amdv1 && first.isDirty {
        skipped = .smallInBlock
        return nil
      }
      // Linux takes the data page of the old leaf for a table.
      if behaviour == .amdv2, isSameLevel, leaf.size > smallest, !isModel {
        skipped = .leafOverLeaf
        return nil
      }
      note(isCovered ? .losesBlock : isSameLevel ? .replacesLeaf : .blockOverTable)
    case .riscv:
      if isCovered {
        note(.smallInBlockNoMemory)
        return .enomem
      }
      note(isSameLevel ? .replacesLeaf : .blockOverTable)
    }
    leaves.remove(from: leaf.start, to: leaf.last)
    leaves.insert([leaf])
    return nil
  }
}

// MARK: - Dirty state

extension LegacyModel {
  private mutating func setDirty(_ iova: UInt64) -> OperationResult {
    guard behaviour.tracksDirty, isInside(iova, 1) else {
      skipped = .noDirtyTracking
      return .none
    }
    let index = leaves.firstIndex(endingFrom: iova)
    guard index < leaves.count, leaves.leaves[index].start <= iova else {
      note(.dirtyBeyondTop)
      return .failed(.enoent)
    }
    leaves.setDirty(true, at: index)
    return .ok
  }

  /// The driver goes on by the size of whatever it meets, so only ranges of whole leaves are compared.
  private mutating func dirty(_ iova: UInt64, _ length: UInt64, clear: Bool) -> OperationResult {
    guard behaviour.tracksDirty else {
      skipped = .noDirtyTracking
      return .none
    }
    guard length > 0, isInside(iova, length) else {
      skipped = .outOfRange
      return .none
    }
    // The driver's loop goes on at address 0.
    guard iova &+ length != 0 else {
      skipped = .dirtyOfParts
      return .none
    }
    let indices = leaves.indices(from: iova, to: iova &+ (length - 1))
    var next = iova
    for leaf in leaves.leaves[indices] where leaf.start == next { next = next &+ leaf.size }
    guard next == iova &+ length else {
      skipped = .dirtyOfParts
      return .none
    }
    var ranges: [DirtyRange] = []
    for index in indices where leaves.leaves[index].isDirty {
      ranges.append(DirtyRange(iova: leaves.leaves[index].start, length: leaves.leaves[index].size))
      if clear { leaves.setDirty(false, at: index) }
    }
    return .dirty(ranges)
  }
}
