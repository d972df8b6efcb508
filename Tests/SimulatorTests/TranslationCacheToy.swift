// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator

/// Page tables with two levels of 512 words: bit 0 valid, bit 1 a table, bit 2 writable, bit 3 dirty.
final class ToyTables: PhysicalMemoryReader {
  static let top: UInt64 = 0x1000
  let roots = [TableRoot(physical: ToyTables.top, level: 1)]
  var words: [UInt64: UInt64] = [:]

  func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? { nil }

  /// Writes a word and returns the event of it.
  func write(_ place: UInt64, _ word: UInt64) -> MemoryEvent {
    words[place] = word
    return .entryWrites(at: place, count: 1, value: word, step: 0)
  }

  static func place(_ table: UInt64, _ iova: UInt64, level: Int) -> UInt64 {
    table + (iova >> UInt64(12 + 9 * level) & 511) * 8
  }
}

struct ToyWalker: HardwareWalker {
  func shift(level: Int) -> Int? { level < 2 ? 12 + 9 * level : nil }

  func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> DeviceWalk {
    guard let tables = memory as? ToyTables else { return DeviceWalk() }
    return run(iova, roots[0].physical, 1, [.read, .write], tables)
  }

  func walk(_ iova: UInt64, from pointer: CachedPointer, memory: any PhysicalMemoryReader) -> DeviceWalk {
    guard let tables = memory as? ToyTables else { return DeviceWalk() }
    return run(iova, pointer.table, pointer.childLevel, pointer.rights, tables)
  }

  private func run(
    _ iova: UInt64, _ table: UInt64, _ level: Int, _ rights: Protection, _ tables: ToyTables
  ) -> DeviceWalk {
    var walk = DeviceWalk()
    let place = ToyTables.place(table, iova, level: level)
    let word = tables.words[place] ?? 0
    guard word & 1 != 0 else { return walk }
    let granted = word & 4 != 0 ? rights : rights.subtracting(.write)
    let shift = 12 + 9 * level
    if level > 0, word & 2 != 0 {
      let pointer = CachedPointer(
        level: level, place: place, word: word, table: word & ~0xfff, childLevel: level - 1, rights: granted)
      walk = run(iova, pointer.table, pointer.childLevel, granted, tables)
      walk.pointers.insert(pointer, at: 0)
    } else {
      walk.leaf = CachedLeaf(
        iova: iova & ~Bits.lowMask(shift), pa: word & ~0xfff, sizeLog2: shift, level: level,
        protection: granted, isDirty: word & 8 != 0, place: place, word: word)
    }
    return walk
  }
}

/// A device with caches in front of toy tables.
struct ToyDevice {
  let tables = ToyTables()
  var caches = TranslationCaches(walker: ToyWalker())

  /// With `table` for IOVA 0 to 2 MiB, and one page in it.
  init(page iova: UInt64, table: UInt64 = 0x2000) {
    _ = tables.write(ToyTables.place(ToyTables.top, iova, level: 1), table | 7)
    _ = tables.write(ToyTables.place(table, iova, level: 0), 0xabc_d000 | 5)
  }

  mutating func touch(_ addresses: UInt64...) {
    caches.touch(addresses, roots: tables.roots, memory: tables)
  }

  /// The rules that events break, and then accesses.
  mutating func broken(_ events: [MemoryEvent], at addresses: UInt64...) -> [CacheRule] {
    violations(events, at: addresses).map(\.rule)
  }

  mutating func violations(_ events: [MemoryEvent], at addresses: [UInt64]) -> [CacheViolation] {
    caches.apply(events)
      + caches.check(
        addresses, first: addresses.first ?? 1, last: addresses.last ?? 0, roots: tables.roots, memory: tables
      )
  }
}
