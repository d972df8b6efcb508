// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a page table must hold and return: a plain list of leaves, and the rules of Linux 7.3's
/// generic page table over it, without any table.
package struct MappingModel {
  package typealias Leaf = LeafList.Leaf

  package let subject: Subject
  package private(set) var leaves = LeafList()
  /// The level of the top table, which grows on demand in some formats.
  package private(set) var topLevel: Int

  package init(_ subject: Subject) {
    self.subject = subject
    topLevel = subject.shape.geometry.topLevel
  }

  /// The leaf that maps an IOVA, and its first IOVA.
  package func leaf(at iova: UInt64) -> Leaf? { leaves.leaf(at: iova) }

  /// Runs an operation and returns what it must return; memory is never short in the model.
  package mutating func perform(_ operation: Operation) -> OperationResult {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      let outcome = map(iova, pa, length, protection, sizes: subject.sizeMap)
      guard let errno = outcome.errno else { return .ok }
      // The top stays grown.
      _ = unmap(iova, outcome.mapped)
      return .failed(errno)
    case .mapRange(let iova, let pa, let length, let protection):
      return Self.result(map(iova, pa, length, protection, sizes: subject.sizeMap))
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      if overflow { return .failedMapped(.eoverflow, 0) }
      let allowed = pageSize == 0 ? 0 : Bits.lowMask(64 - pageSize.leadingZeroBitCount)
      return Self.result(map(iova, pa, length, protection, sizes: subject.sizeMap & allowed))
    case .unmap(let iova, let length): return .unmapped(unmap(iova, length))
    case .unmapPages(let iova, let pageSize, let count):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      return .unmapped(overflow ? 0 : unmap(iova, length))
    case .phys(let iova): return .physical(phys(iova))
    case .setDirty(let iova): return setDirty(iova).map { .failed($0) } ?? .ok
    case .dirty(let iova, let length, let clear): return dirty(iova, length, clear: clear)
    case .allocationBudget: return .none
    }
  }

  package func phys(_ iova: UInt64) -> UInt64? {
    leaf(at: iova).map { $0.pa + (iova - $0.start) }
  }

  /// Forgets the leaves that a range touches, both ends inclusive.
  package mutating func remove(from first: UInt64, to last: UInt64) { leaves.remove(from: first, to: last) }

  private static func result(_ outcome: MapOutcome) -> OperationResult {
    outcome.errno.map { .failedMapped($0, outcome.mapped) } ?? .okMapped(outcome.mapped)
  }
}

/// The choice of leaf sizes, as iommu_map() makes it.
package enum LeafChoice {
  /// The largest of some sizes, a bitmap of bytes, that fits both addresses and `length`; nil when none does.
  package static func best(_ sizes: UInt64, iova: UInt64, pa: UInt64, length: UInt64) -> UInt64? {
    guard length > 0 else { return nil }
    let merged = iova | pa
    var fitting = sizes & Bits.lowMask(64 - length.leadingZeroBitCount)
    if merged != 0 { fitting &= Bits.lowMask(merged.trailingZeroBitCount + 1) }
    return fitting == 0 ? nil : Bits.bit(63 - fitting.leadingZeroBitCount)
  }

  /// How many leaves a range needs, counted up to `limit`.
  package static func count(_ sizes: UInt64, iova: UInt64, pa: UInt64, length: UInt64, limit: Int) -> Int {
    var offset: UInt64 = 0
    var count = 0
    while offset < length, count < limit,
      let size = best(sizes, iova: iova &+ offset, pa: pa &+ offset, length: length - offset)
    {
      offset += size
      count += 1
    }
    return count
  }
}

// MARK: - Map

extension MappingModel {
  /// The leaves that a range needs, counted up to `limit`.
  package func leafCount(_ iova: UInt64, _ pa: UInt64, _ length: UInt64, limit: Int) -> Int {
    LeafChoice.count(subject.sizeMap, iova: iova, pa: pa, length: length, limit: limit)
  }

  /// The precedence of errors is Linux's: permission, output address, protection, length, wrap, alignment,
  /// range, what is in the way.
  private mutating func map(
    _ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection, sizes: UInt64
  ) -> MapOutcome {
    func fails(_ errno: LinuxErrno) -> MapOutcome { MapOutcome(errno, mapped: 0) }
    if protection.isDisjoint(with: [.read, .write]) { return fails(.einval) }
    if pa & ~Bits.lowMask(subject.shape.geometry.outputBits) != 0 { return fails(.erange) }
    if subject.meaning(size: subject.granule, protection) == nil { return fails(.einval) }
    if length == 0 { return fails(.einval) }
    let (last, wraps) = iova.addingReportingOverflow(length - 1)
    if wraps { return fails(.eoverflow) }
    guard let first = LeafChoice.best(sizes, iova: iova, pa: pa, length: length),
      length & (subject.granule - 1) == 0
    else { return fails(.enxio) }
    guard growTop(iova, last, leafSize: first) else { return fails(.erange) }
    return add(iova, pa, length, protection, sizes: sizes)
  }

  /// Adds leaves up to the first that finds another in its way.
  private mutating func add(
    _ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection, sizes: UInt64
  ) -> MapOutcome {
    let place = leaves.firstIndex(endingFrom: iova)
    let busy = place < leaves.count ? leaves.leaves[place].start : nil
    var added: [Leaf] = []
    var lastSize: UInt64 = 0
    var isDirty = false
    var mapped: UInt64 = 0
    var errno: LinuxErrno?
    while mapped < length {
      let start = iova &+ mapped
      guard let size = LeafChoice.best(sizes, iova: start, pa: pa &+ mapped, length: length - mapped) else {
        errno = .enxio
        break
      }
      if let busy, busy <= start &+ (size - 1) {
        errno = .eaddrinuse
        break
      }
      if size != lastSize {
        isDirty = subject.meaning(size: size, protection)?.isBornDirty ?? false
        lastSize = size
      }
      added.append(
        Leaf(start: start, size: size, pa: pa &+ mapped, protection: protection, isDirty: isDirty))
      mapped += size
    }
    leaves.insert(added)
    return MapOutcome(errno, mapped: mapped)
  }

  /// Lets the top grow until it spans a range and holds its first leaf; false when it never does.
  private mutating func growTop(_ first: UInt64, _ last: UInt64, leafSize: UInt64) -> Bool {
    let leafLevel = subject.level(ofSize: leafSize) ?? 0
    var level = topLevel
    while !subject.holds(first, last, rootLevel: level) || subject.isDynamic && leafLevel > level {
      guard subject.isDynamic, level < subject.shape.maximumLevel,
        let shift = subject.reference.shift(level: level + 1), shift < subject.shape.geometry.iovaBits
      else { return false }
      level += 1
    }
    topLevel = level
    return true
  }
}

// MARK: - Unmap and dirty state

extension MappingModel {
  private mutating func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64 {
    let (last, wraps) = iova.addingReportingOverflow(length &- 1)
    guard length != 0, !wraps, subject.holds(iova, last, rootLevel: topLevel) else { return 0 }
    var unmapped: UInt64 = 0
    let first = leaves.firstIndex(endingFrom: iova)
    var end = first
    while unmapped < length, end < leaves.count, leaves.leaves[end].start == iova &+ unmapped {
      unmapped += leaves.leaves[end].size
      end += 1
      // The last leaf may end at the end of the address space.
      if iova &+ unmapped == 0 { break }
    }
    leaves.remove(first..<end)
    return unmapped
  }

  private mutating func setDirty(_ iova: UInt64) -> LinuxErrno? {
    guard subject.tracksDirty else { return .eopnotsupp }
    guard subject.holds(iova, iova, rootLevel: topLevel) else { return .erange }
    guard let found = leaf(at: iova) else { return .enoent }
    let meaning = subject.meaning(size: found.size, found.protection)
    if meaning?.becomesDirty == true { leaves.setDirty(true, at: leaves.firstIndex(endingFrom: iova)) }
    return nil
  }

  private mutating func dirty(_ iova: UInt64, _ length: UInt64, clear: Bool) -> OperationResult {
    guard subject.tracksDirty else { return .failed(.eopnotsupp) }
    guard length != 0 else { return .failed(.einval) }
    let (last, wraps) = iova.addingReportingOverflow(length - 1)
    if wraps { return .failed(.eoverflow) }
    guard subject.holds(iova, last, rootLevel: topLevel) else { return .failed(.erange) }
    var ranges: [DirtyRange] = []
    for index in leaves.indices(from: iova, to: last) where leaves.leaves[index].isDirty {
      ranges.append(DirtyRange(iova: leaves.leaves[index].start, length: leaves.leaves[index].size))
      if clear { leaves.setDirty(false, at: index) }
    }
    return .dirty(ranges)
  }
}
