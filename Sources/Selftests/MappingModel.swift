// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a page table must hold and return: a plain dictionary of leaves, and the rules of Linux 7.3's
/// generic page table over it, without any table.
struct MappingModel {
  /// One leaf, by its first IOVA.
  struct Leaf: Hashable {
    var size: UInt64
    var pa: UInt64
    var protection: Protection
    var isDirty: Bool
  }

  let subject: Subject
  private(set) var leaves: [UInt64: Leaf] = [:]
  /// The level of the top table, which grows on demand in some formats.
  private(set) var topLevel: Int

  init(_ subject: Subject) {
    self.subject = subject
    topLevel = subject.shape.geometry.topLevel
  }

  /// The leaf that maps an IOVA, and its first IOVA.
  func leaf(at iova: UInt64) -> (start: UInt64, leaf: Leaf)? {
    for size in subject.sizes {
      let start = iova & ~(size - 1)
      if let leaf = leaves[start], leaf.size == size { return (start, leaf) }
    }
    return nil
  }

  /// The leaves in ascending order.
  var sorted: [(start: UInt64, leaf: Leaf)] {
    leaves.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Runs an operation and returns what it must return; memory is never short in the model.
  mutating func perform(_ operation: Operation) -> OperationResult {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      let outcome = map(MapRange(iova, pa, length, protection, sizes: subject.sizes))
      guard let errno = outcome.errno else { return .ok }
      // The top stays grown.
      _ = unmap(iova, outcome.mapped)
      return .failed(errno)
    case .mapRange(let iova, let pa, let length, let protection):
      return map(MapRange(iova, pa, length, protection, sizes: subject.sizes)).result
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      if overflow { return .failedMapped(.eoverflow, 0) }
      let sizes = subject.sizes.filter { $0.leadingZeroBitCount >= pageSize.leadingZeroBitCount }
      return map(MapRange(iova, pa, length, protection, sizes: sizes)).result
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

  func phys(_ iova: UInt64) -> UInt64? {
    leaf(at: iova).map { $0.leaf.pa + (iova - $0.start) }
  }
}

// MARK: - Map

/// A range to be mapped with leaves of some sizes, ascending.
private struct MapRange {
  var iova: UInt64
  var pa: UInt64
  var length: UInt64
  var protection: Protection
  var sizes: [UInt64]

  init(_ iova: UInt64, _ pa: UInt64, _ length: UInt64, _ protection: Protection, sizes: [UInt64]) {
    self.iova = iova
    self.pa = pa
    self.length = length
    self.protection = protection
    self.sizes = sizes
  }

  /// The largest leaf that can start `offset` bytes into the range.
  func best(at offset: UInt64) -> UInt64? {
    let alignment = (iova &+ offset) | (pa &+ offset)
    return sizes.last { alignment & ($0 - 1) == 0 && $0 <= length - offset }
  }
}

private struct ModelOutcome {
  var errno: LinuxErrno?
  var mapped: UInt64

  var result: OperationResult { errno.map { .failedMapped($0, mapped) } ?? .okMapped(mapped) }
}

extension MappingModel {
  /// The leaves that a range needs, counted up to `limit`.
  func leafCount(_ iova: UInt64, _ pa: UInt64, _ length: UInt64, limit: Int) -> Int {
    let range = MapRange(iova, pa, length, [], sizes: subject.sizes)
    var offset: UInt64 = 0
    var count = 0
    while offset < length, count < limit, let size = range.best(at: offset) {
      offset += size
      count += 1
    }
    return count
  }

  /// The precedence of errors is Linux's: permission, output address, protection, length, wrap, alignment,
  /// range, what is in the way.
  private mutating func map(_ range: MapRange) -> ModelOutcome {
    func fails(_ errno: LinuxErrno) -> ModelOutcome { ModelOutcome(errno: errno, mapped: 0) }
    if range.protection.isDisjoint(with: [.read, .write]) { return fails(.einval) }
    if range.pa & ~Bits.lowMask(subject.shape.geometry.outputBits) != 0 { return fails(.erange) }
    if subject.meaning(size: subject.granule, range.protection) == nil { return fails(.einval) }
    if range.length == 0 { return fails(.einval) }
    let (last, wraps) = range.iova.addingReportingOverflow(range.length - 1)
    if wraps { return fails(.eoverflow) }
    guard let first = range.best(at: 0), range.length & (subject.granule - 1) == 0 else {
      return fails(.enxio)
    }
    guard growTop(range.iova, last, leafSize: first) else { return fails(.erange) }
    var mapped: UInt64 = 0
    while mapped < range.length {
      guard let size = range.best(at: mapped) else { return ModelOutcome(errno: .enxio, mapped: mapped) }
      let start = range.iova + mapped
      guard isFree(start, size) else { return ModelOutcome(errno: .eaddrinuse, mapped: mapped) }
      leaves[start] = Leaf(
        size: size, pa: range.pa + mapped, protection: range.protection,
        isDirty: subject.meaning(size: size, range.protection)?.isBornDirty ?? false)
      mapped += size
    }
    return ModelOutcome(errno: nil, mapped: mapped)
  }

  private func isFree(_ start: UInt64, _ size: UInt64) -> Bool {
    guard leaf(at: start) == nil else { return false }
    if size == subject.granule { return true }
    if size / subject.granule < UInt64(leaves.count) {
      return !stride(from: start, through: start + (size - 1), by: UInt64.Stride(subject.granule)).contains {
        leaves[$0] != nil
      }
    }
    return !leaves.keys.contains { $0 > start && $0 - start < size }
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
    while unmapped < length, let found = leaf(at: iova + unmapped), found.start == iova + unmapped {
      leaves[found.start] = nil
      unmapped += found.leaf.size
      // The last leaf may end at the end of the address space.
      if iova &+ unmapped == 0 { break }
    }
    return unmapped
  }

  private mutating func setDirty(_ iova: UInt64) -> LinuxErrno? {
    guard subject.tracksDirty else { return .eopnotsupp }
    guard subject.holds(iova, iova, rootLevel: topLevel) else { return .erange }
    guard let found = leaf(at: iova) else { return .enoent }
    let meaning = subject.meaning(size: found.leaf.size, found.leaf.protection)
    if meaning?.becomesDirty == true { leaves[found.start]?.isDirty = true }
    return nil
  }

  private mutating func dirty(_ iova: UInt64, _ length: UInt64, clear: Bool) -> OperationResult {
    guard subject.tracksDirty else { return .failed(.eopnotsupp) }
    guard length != 0 else { return .failed(.einval) }
    let (last, wraps) = iova.addingReportingOverflow(length - 1)
    if wraps { return .failed(.eoverflow) }
    guard subject.holds(iova, last, rootLevel: topLevel) else { return .failed(.erange) }
    let found = leaves.filter { start, leaf in
      leaf.isDirty && start <= last && start + (leaf.size - 1) >= iova
    }
    if clear { for start in found.keys { leaves[start]?.isDirty = false } }
    return .dirty(found.sorted { $0.key < $1.key }.map { DirtyRange(iova: $0.key, length: $0.value.size) })
  }
}
