// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import PageTable

/// Table memory as a walker sees it that does not snoop the processor's caches: a copy of each table that
/// only a cache flush brings up to date. A new table's copy holds `Poison.stale`.
final class ShadowMemory: PhysicalMemoryReader, @unchecked Sendable {
  /// Bytes of a cache line.
  static let lineBytes: UInt64 = 64

  private let machine: SimulatedMachine
  private let lock = SpinLock()
  /// The copy that holds each 4 KiB page, by the page's physical address. The copy of a released
  /// table stays until the address is allocated again, as the hardware's view does.
  private var copies: [UInt64: TableCopy] = [:]

  init(of machine: SimulatedMachine) { self.machine = machine }

  /// The table at `physical` is new: what the walker would read is left from earlier use.
  func makeStale(_ physical: UInt64, byteCount: Int) {
    let copy = TableCopy(physical: physical, byteCount: byteCount)
    let firstPage = physical & ~UInt64(SimulatedMachine.pageBytes - 1)
    lock.withLock {
      for page in 0..<max(1, byteCount / SimulatedMachine.pageBytes) {
        copies[firstPage &+ UInt64(page * SimulatedMachine.pageBytes)] = copy
      }
    }
  }

  /// Brings the cache lines that the range touches up to date.
  func flush(_ physical: UInt64, byteCount: Int) {
    guard byteCount > 0 else { return }
    var line = physical & ~(Self.lineBytes - 1)
    var remaining = physical &+ UInt64(byteCount) &- line
    lock.withLock {
      while remaining > 0 {
        guard let copy = copy(of: line) else { return }
        let offset = line &- copy.physical
        let most = min(
          (remaining &+ Self.lineBytes &- 1) & ~(Self.lineBytes - 1), UInt64(copy.bytes.count) &- offset)
        memcpy(
          copy.bytes.baseAddress! + Int(offset), machine.arena + Int(line &- machine.physicalBase), Int(most))
        line &+= most
        remaining = remaining > most ? remaining &- most : 0
      }
    }
  }

  /// The bytes of one allocated table; nil when any of them is not in it.
  func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? {
    guard machine.isTableMemory(physical, byteCount), let copy = lock.withLock({ copy(of: physical) }) else {
      return nil
    }
    let offset = Int(physical &- copy.physical)
    guard byteCount <= copy.bytes.count - offset else { return nil }
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(copy.bytes)[offset..<offset + byteCount])
  }

  /// The copy of the table that holds a byte. Called with the lock taken.
  private func copy(of physical: UInt64) -> TableCopy? {
    guard let copy = copies[physical & ~UInt64(SimulatedMachine.pageBytes - 1)],
      physical &- copy.physical < UInt64(copy.bytes.count)
    else { return nil }
    return copy
  }
}

/// The walker's copy of one table.
private final class TableCopy {
  let physical: UInt64
  let bytes: UnsafeMutableRawBufferPointer

  init(physical: UInt64, byteCount: Int) {
    self.physical = physical
    bytes = .allocate(byteCount: byteCount, alignment: 64)
    if let start = bytes.baseAddress { Poison.fill(start, byteCount, with: Poison.stale) }
  }

  deinit { bytes.deallocate() }
}
