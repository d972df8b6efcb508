// SPDX-License-Identifier: GPL-2.0-only

import LegacyPT
import PageTable
import Simulator

/// Table memory in which, once, another thread is faster: it runs while a table is being allocated.
final class RivalMemory: TableMemory, @unchecked Sendable {
  static var recordsEvents: Bool { false }

  let plain: PlainMemory
  /// What the other thread does.
  var rival: (() -> Void)?

  init() throws { plain = PlainMemory(machine: try SimulatedMachine(reserve: 16 << 20)) }

  var physicalBase: UInt64 { plain.physicalBase }
  var arena: UnsafeMutableRawPointer { plain.arena }
  var pageMetadata: UnsafeMutablePointer<TablePageMetadata> { plain.pageMetadata }

  func allocateTable(sizeLog2: Int) -> UInt64? {
    let rival = self.rival
    self.rival = nil
    rival?()
    return plain.allocateTable(sizeLog2: sizeLog2)
  }

  func releaseTable(at physical: UInt64, sizeLog2: Int) {
    plain.releaseTable(at: physical, sizeLog2: sizeLog2)
  }
  func flushCache(at physical: UInt64, byteCount: Int) {}
  func recordEntryWrites(at physical: UInt64, count: Int, wordBytes: Int) {}
  func recordTableInstall(_ child: UInt64, at entry: UInt64) {}
  func synchronizeIOTLB(_ request: InvalidationRequest) {}
  func changeTop(to physical: UInt64, level: Int) {}
}

extension LegacyPageTable where Memory == RivalMemory {
  /// Maps a page while another thread maps its neighbour through the same, missing tables. Returns what the two
  /// translate to, and the pages of tables then and after the end.
  func mapAgainstRival() -> [UInt64?] {
    let map: (UInt64) -> LinuxErrno? = { [self] iova in
      self.map(iova: iova, pa: iova, length: 0x1000, protection: .read)
    }
    memory.rival = { _ = map(0x20_1000) }
    let errno = map(0x20_2000)
    let found = [errno.map { UInt64($0.rawValue) }, translate(0x20_1000), translate(0x20_2000)]
    let pages = memory.plain.livePages
    destroy()
    return found + [UInt64(pages), UInt64(memory.plain.livePages)]
  }
}
