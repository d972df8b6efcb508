// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ARMLPAETable {
  @inlinable
  public func mapPages(
    iova: UInt64, pa: UInt64, pageSize: UInt64, count: UInt64, protection: Protection
  ) -> MapOutcome {
    guard pageSize != 0, pageSize & ~pageSizes == 0 else { return refuse(.einval) }
    guard spans(iova), pa &>> outputBits == 0 else { return refuse(.erange) }
    guard !protection.isDisjoint(with: [.read, .write]) else { return MapOutcome(.einval, mapped: 0) }
    var table = root
    var level = topLevel
    var shift = topShift
    while true {
      let index = index(iova, level: level, shift: shift)
      let word = table + index
      if pageSize == 1 &<< shift {
        let fitting = fitting(count, index: index, level: level)
        return mapLeaves(
          word, level: level, iova: iova, pa: pa, size: pageSize, count: fitting,
          attributes: encoding.attributes(protection))
      }
      guard level > 0 else { return refuse(.einval) }
      var entry = word.pointee
      if entry == 0 {
        guard let added = addTable(at: word) else { return MapOutcome(.enomem, mapped: 0) }
        entry = added
      } else if !coherent, entry & Self.flushed == 0 {
        // Another thread may have installed the table and not yet flushed the entry.
        flush(word, count: 1)
      }
      if isLeaf(entry, level: level) { return refuseMapped() }
      table = words(of: address(entry))
      level &-= 1
      shift &-= indexBits
    }
  }

  /// Fills `count` entries of one table, if none of them is a leaf; tables in their place go.
  @inlinable @inline(__always)
  func mapLeaves(
    _ word: Words, level: Int, iova: UInt64, pa: UInt64, size: UInt64, count: Int, attributes: UInt64
  ) -> MapOutcome {
    for index in 0..<count where word[index] & Self.typeMask != 0 {
      if isLeaf(word[index], level: level) { return refuseMapped() }
      dropTable(
        at: word + index, level: level, iova: iova &+ UInt64(truncatingIfNeeded: index) &* size, size: size)
    }
    fill(word, level: level, pa: pa, size: size, count: count, attributes: attributes)
    return MapOutcome(nil, mapped: UInt64(truncatingIfNeeded: count) &* size)
  }

  /// Writes leaves that follow each other in the output address space.
  @inlinable @inline(__always)
  func fill(_ word: Words, level: Int, pa: UInt64, size: UInt64, count: Int, attributes: UInt64) {
    let bits = attributes | (level == 0 ? pageType : 1)
    var address = pa
    for index in 0..<count {
      word[index] = bits | Self.addressField(address)
      address &+= size
    }
    publish(word, count: count)
  }

  /// A call that no driver should make.
  @usableFromInline @inline(never)
  func refuse(_ errno: LinuxErrno) -> MapOutcome {
    memory.recordWarning()
    return MapOutcome(errno, mapped: 0)
  }

  /// Something is mapped there already, which has to be unmapped first.
  @usableFromInline @inline(never)
  func refuseMapped() -> MapOutcome {
    if warns { memory.recordWarning() }
    return MapOutcome(.eexist, mapped: 0)
  }
}
