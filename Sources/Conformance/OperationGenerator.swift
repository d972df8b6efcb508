// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Random operations that meet each other: around the ends of the address space and the borders of tables,
/// with sizes of every kind, over and beside what is mapped already.
package struct OperationGenerator {
  package let subject: Subject
  private var random: RandomNumbers
  private let anchors: [UInt64]
  /// What was mapped at some time.
  private var history: [(iova: UInt64, length: UInt64)] = []

  /// Leaves that one operation may make.
  private static let leafLimit = 300
  /// Leaves that may be mapped at a time.
  private static let totalLimit = 1200

  package init(_ subject: Subject, _ random: RandomNumbers) {
    self.subject = subject
    self.random = random
    let shifts = (1..<subject.reference.levelCount).compactMap { subject.reference.shift(level: $0) }
    anchors = subject.spans.flatMap { span in
      [span.lowerBound, span.upperBound]
        + shifts.filter { $0 < 64 }.map { span.lowerBound &+ Bits.bit($0) }.filter(span.contains)
    }
  }

  /// The next `count` operations, on a page table that nobody else changes.
  package mutating func operations(_ count: Int) -> [Operation] {
    var model = MappingModel(subject)
    return (0..<count).map { _ in
      let operation = next(model.leaves)
      _ = model.perform(operation)
      return operation
    }
  }

  /// The next operation on a page table that holds some leaves.
  package mutating func next(_ leaves: LeafList) -> Operation {
    switch random.below(100) {
    case 0..<50 where leaves.count < Self.totalLimit: map()
    case 0..<80: unmap(leaves)
    case 80..<90: dirty()
    case 90..<95: .phys(iova: address())
    default: mistake()
    }
  }

  // MARK: Addresses

  /// A multiple of the granule near an anchor, within a span.
  private mutating func address() -> UInt64 {
    let anchor = random.pick(anchors)
    let span = subject.spans.first { $0.contains(anchor) } ?? subject.spans[0]
    let offset = random.below(5) &* random.pick(subject.sizes) &+ random.below(5) &* subject.granule
    let near = (random.chance(50) ? anchor &+ offset : anchor &- offset) & ~(subject.granule - 1)
    return span.contains(near)
      ? near : span.lowerBound &+ near % min(span.upperBound - span.lowerBound, 1 << 30)
  }

  /// An output address with `length` bytes behind it that agrees with `iova` in its low bits, more or less.
  private mutating func output(_ iova: UInt64, _ length: UInt64) -> UInt64 {
    let alike = Bits.lowMask(random.pick(subject.sizes).trailingZeroBitCount)
    let high: UInt64 =
      switch random.below(4) {
      case 0: 0
      case 1: subject.outputMask
      default: random.next()
      }
    let pa = (high & ~alike | iova & alike) & subject.outputMask & ~(subject.granule - 1)
    let (last, wraps) = pa.addingReportingOverflow(length - 1)
    // An address field that the range runs out of says nothing.
    if !wraps, (pa ^ last) & ~subject.outputMask == 0, last & ~subject.outputMask == 0 { return pa }
    return iova & Bits.lowMask(min(subject.outputMask.trailingOnes, 30)) & ~(subject.granule - 1)
  }

  private mutating func length() -> UInt64 {
    if random.chance(50) { return subject.granule &* (1 &+ random.below(9)) }
    let size = random.pick(subject.sizes)
    let length = size &* (1 &+ random.below(3))
    let more = subject.granule &* random.below(4)
    return random.chance(50) ? length &+ more : length > more ? length - more : subject.granule
  }

  // MARK: Operations

  private mutating func map() -> Operation {
    let iova = address()
    let span = subject.spans.first { $0.contains(iova) } ?? subject.spans[0]
    let room = span.upperBound - iova
    var length = min(length() - 1, room) &+ 1
    if length == 0 || length > Bits.lowMask(subject.outputMask.trailingOnes) / 4 { length = subject.granule }
    var pa = output(iova, length)
    let leafCount = LeafChoice.count(
      subject.sizeMap, iova: iova, pa: pa, length: length, limit: Self.leafLimit)
    if leafCount >= Self.leafLimit {
      length = min(subject.granule * (1 + random.below(9)) - 1, room) + 1
      pa = output(iova, length)
    }
    history.append((iova, length))
    let protection = protection()
    switch random.below(10) {
    case 0, 1: return .mapRange(iova: iova, pa: pa, length: length, protection: protection)
    case 2 where length / subject.granule < UInt64(Self.leafLimit):
      return .mapPages(
        iova: iova, pa: pa, pageSize: subject.granule, count: length / subject.granule, protection: protection
      )
    default: return .map(iova: iova, pa: pa, length: length, protection: protection)
    }
  }

  private mutating func protection() -> Protection {
    var protection: Protection = random.pick([.read, .write, [.read, .write], [.read, .write]])
    for (_, flag) in Protection.namedFlags where random.chance(25) { protection.insert(flag) }
    return protection
  }

  private mutating func unmap(_ leaves: LeafList) -> Operation {
    guard !history.isEmpty else { return .unmap(iova: address(), length: length()) }
    var (iova, size) = random.pick(history)
    switch random.below(6) {
    case 0: size = subject.granule
    case 1: iova = iova &+ subject.granule
    case 2: size = size &+ length()
    case 3: size = max(1, size &- subject.granule / 2)
    case 4: iova = leaves.leaf(at: iova &+ size / 2)?.start ?? iova
    default: break
    }
    // What Linux does with a range that crosses the middle of sign-extended addresses is a test of its own.
    let room = subject.spans.first { $0.contains(iova) }.map { $0.upperBound - iova } ?? 0
    return .unmap(iova: iova, length: min(size &- 1, room) &+ 1)
  }

  private mutating func dirty() -> Operation {
    let (iova, length) = history.isEmpty ? (address(), subject.granule) : random.pick(history)
    if random.chance(60) { return .setDirty(iova: iova &+ random.below(length)) }
    return .dirty(iova: iova, length: length, clear: random.chance(50))
  }

  /// An operation that must be refused.
  private mutating func mistake() -> Operation {
    let iova = address()
    let granule = subject.granule
    switch random.below(6) {
    case 0: return .map(iova: iova, pa: 0, length: 0, protection: .read)
    case 1: return .map(iova: iova, pa: 0, length: granule, protection: random.chance(50) ? [] : .cache)
    case 2: return .map(iova: iova &+ granule / 2, pa: 0, length: granule, protection: [.read, .write])
    case 3: return .map(iova: iova, pa: 0, length: granule &+ 1, protection: [.read, .write])
    case 4: return .map(iova: 0 &- granule, pa: 0, length: granule &* 2, protection: [.read, .write])
    default: return .unmap(iova: iova, length: 0)
    }
  }
}

extension UInt64 {
  /// How many of the lowest bits are set before the first that is not.
  package var trailingOnes: Int { (~self).trailingZeroBitCount }
}
