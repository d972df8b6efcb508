// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// Operations chosen by hand: every page size at every place where something ends, and what meets what there.
struct SystematicLists {
  let subject: Subject
  /// Each list starts on an address space in which nothing is mapped.
  private(set) var lists: [[Operation]] = []

  init(_ subject: Subject) {
    self.subject = subject
    for size in subject.sizes {
      for place in places(size) {
        lists.append(alone(place, size))
        lists.append(meetings(place, size))
        lists.append(parts(place, size))
        lists.append(neighbours(place, size))
      }
      lists.append(protections(size))
      lists.append(dirtyState(size))
    }
    lists.append(mistakes())
    lists = lists.map { $0.filter(isSmall) }
  }

  /// Whether an operation makes few leaves: addresses that do not agree in their low bits can need very many.
  private func isSmall(_ operation: Operation) -> Bool {
    switch operation {
    // Output addresses with the encryption bit, and ranges over the middle of sign-extended addresses, are tests of
    // their own.
    case .map(let iova, let pa, let length, _) where length > 0 && isStrange(iova, pa, length): false
    case .unmap(let iova, let length) where length > 0 && isStrange(iova, 0, length): false
    case .map(let iova, let pa, let length, _), .mapRange(let iova, let pa, let length, _):
      LeafChoice.count(subject.sizeMap, iova: iova, pa: pa, length: length, limit: 1200) < 1200
    default: true
    }
  }

  private func isStrange(_ iova: UInt64, _ pa: UInt64, _ length: UInt64) -> Bool {
    let outputs = Bits.lowMask(subject.shape.geometry.outputBits)
    let hasHole = subject.outputMask != outputs
    let last = pa &+ (length - 1)
    if hasHole, (pa | last) & outputs & ~subject.outputMask != 0 || pa <= subject.outputMask && pa ^ last > pa
    {
      return true
    }
    return subject.shape.isSignExtended
      && !subject.spans.contains { span in
        span.contains(iova) == span.contains(iova &+ (length - 1)) && span.contains(iova)
      }
  }

  // MARK: Addresses

  /// Where leaves of a size are at the ends of spans and on both sides of the borders of tables.
  private func places(_ size: UInt64) -> [UInt64] {
    var places: [UInt64] = []
    for span in subject.spans {
      places += [span.lowerBound, span.upperBound &- (size - 1)]
      for level in 1..<max(2, subject.reference.levelCount) {
        guard let shift = subject.reference.shift(level: level), shift < 63 else { break }
        let border = span.lowerBound &+ Bits.bit(shift)
        guard Bits.bit(shift) >= size, span.contains(border) else { continue }
        places += [border &- size, border]
      }
    }
    var seen: Set<UInt64> = []
    return places.filter { place in
      seen.insert(place).inserted
        && subject.spans.contains { $0.contains(place) && $0.upperBound - place >= size - 1 }
    }
  }

  /// An output address that a leaf of `size` at any aligned IOVA can have.
  private func output(_ size: UInt64, _ number: UInt64) -> UInt64 {
    (number &* 0x1357_9bdf_2468_ace1) & subject.outputMask & ~(size &* 2 &- 1) & ~Bits.lowMask(12)
      & (subject.outputMask >> 1)
  }

  private func map(_ iova: UInt64, _ length: UInt64, pa: UInt64, _ protection: Protection = [.read, .write])
    -> Operation
  {
    .map(iova: iova, pa: pa, length: length, protection: protection)
  }

  /// Whether a range lies within the address space.
  private func holds(_ iova: UInt64, _ length: UInt64) -> Bool {
    subject.spans.contains { $0.contains(iova) && $0.upperBound - iova >= length - 1 }
  }

  // MARK: Lists

  private func alone(_ place: UInt64, _ size: UInt64) -> [Operation] {
    let last = place &+ (size - 1)
    return [
      map(place, size, pa: output(size, 1)), .phys(iova: last), .unmap(iova: place, length: size),
      map(place, size, pa: output(size, 2), .read), .phys(iova: place), .unmap(iova: place, length: size),
      map(place, size, pa: output(size, 3) | subject.granule & (size - 1)), .unmap(iova: place, length: size),
      .unmap(iova: place, length: size),
    ]
  }

  /// A leaf over a leaf, a small one inside, a large one over tables that are empty or not.
  private func meetings(_ place: UInt64, _ size: UInt64) -> [Operation] {
    let granule = subject.granule
    let inside = place &+ (size - granule)
    return [
      map(place, size, pa: output(size, 1)), map(place, size, pa: output(size, 2)),
      map(inside, granule, pa: output(granule, 3)), .phys(iova: place), .phys(iova: inside),
      .unmap(iova: place, length: size),
      map(inside, granule, pa: output(granule, 3)), map(place, size, pa: output(size, 4)),
      .unmap(iova: inside, length: granule), map(place, size, pa: output(size, 5)), .phys(iova: inside),
      .unmap(iova: place, length: size),
    ]
  }

  /// Parts of a leaf, and a range that ends within one.
  private func parts(_ place: UInt64, _ size: UInt64) -> [Operation] {
    let granule = subject.granule
    guard size > granule else { return [] }
    let half = max(granule, size / 2)
    return [
      map(place, size, pa: output(size, 1)), .unmap(iova: place &+ half, length: granule), .phys(iova: place),
      .unmap(iova: place, length: size), map(place, size, pa: output(size, 2)),
      .unmap(iova: place, length: granule), .phys(iova: place &+ half), .unmap(iova: place, length: size),
      map(place, half, pa: output(size, 3)), map(place &+ half, granule, pa: output(size, 4)),
      .unmap(iova: place, length: size), map(place, granule, pa: output(size, 5)),
      .unmap(iova: place, length: size),
    ]
  }

  /// Leaves on both sides, with and without a hole between them.
  private func neighbours(_ place: UInt64, _ size: UInt64) -> [Operation] {
    let granule = subject.granule
    var operations: [Operation] = []
    if holds(place, size &* 3), size &* 3 > size,
      size &* 3 <= Bits.lowMask(subject.outputMask.trailingOnes) / 4
    {
      operations += [
        map(place, size, pa: output(size, 1)), map(place &+ size &* 2, size, pa: output(size, 2)),
        .unmap(iova: place, length: size &* 3), .unmap(iova: place &+ size &* 2, length: size),
        .mapRange(
          iova: place, pa: output(size, 3), length: size &* 2, protection: [.read, .write]),
        .mapRange(
          iova: place &+ size, pa: output(size, 4), length: size &* 2, protection: [.read, .write]),
        .unmap(iova: place, length: size &* 2), map(place, size &* 3, pa: output(size, 5)),
        .unmap(iova: place &+ size, length: size), .unmap(iova: place &+ size, length: size &* 2),
      ]
    }
    if holds(place &- granule, size &+ granule), place >= granule {
      operations += [
        map(place &- granule, granule, pa: output(granule, 6)), map(place, size, pa: output(size, 7)),
        .unmap(iova: place &- granule, length: size &+ granule),
        map(place &- granule, size, pa: (output(size, 8) &+ size) &- granule),
        .unmap(iova: place &- granule, length: size),
      ]
    }
    return operations
  }

  private func protections(_ size: UInt64) -> [Operation] {
    let place = subject.place(size)
    return (0..<64).flatMap { bits -> [Operation] in
      [
        map(place, size, pa: output(size, 1), Protection(rawValue: UInt32(bits))),
        .unmap(iova: place, length: size),
      ]
    }
  }

  private func dirtyState(_ size: UInt64) -> [Operation] {
    let place = subject.place(size)
    func dirty(_ clear: Bool) -> Operation { .dirty(iova: place, length: size, clear: clear) }
    return [
      dirty(false), .setDirty(iova: place), map(place, size, pa: output(size, 1)), dirty(false), dirty(true),
      .setDirty(iova: place &+ (size - 1)), dirty(false), dirty(true), dirty(false),
      .unmap(iova: place, length: size),
    ]
  }

  /// A range that runs over the end of what a growing top spans, for page tables whose top is as it starts; empty where
  /// it does not grow.
  func overTop() -> [Operation] {
    let width = subject.reference.inputWidth(rootLevel: subject.shape.geometry.topLevel)
    guard subject.shape.geometry.features.contains(.dynamicTop), width < subject.shape.geometry.iovaBits
    else { return [] }
    let place = Bits.bit(width) - 2 * subject.granule
    return [
      map(place, 2 * subject.granule, pa: 0), .setDirty(iova: Bits.bit(width)),
      .unmap(iova: place, length: 3 * subject.granule),
      .unmap(iova: place, length: 2 * subject.granule),
    ]
  }

  private func mistakes() -> [Operation] {
    let granule = subject.granule
    let place = subject.place(granule)
    let end = subject.spans[0].upperBound
    return [
      map(place, 0, pa: 0), map(place, granule, pa: 0, []), map(place, granule, pa: 0, .cache),
      map(place &+ granule / 2, granule, pa: 0), map(place, granule / 2, pa: 0),
      map(place, granule, pa: granule / 2), map(place, granule, pa: 0 &- granule),
      map(end &- (granule - 1), granule &* 2, pa: 0), map(0 &- granule, granule &* 2, pa: 0),
      .unmap(iova: place, length: 0), .unmap(iova: place &+ granule / 2, length: granule),
      .unmap(iova: 0 &- granule, length: granule &* 2), .phys(iova: place),
    ]
  }
}
