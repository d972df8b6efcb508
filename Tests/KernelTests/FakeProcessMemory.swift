// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// The memory of a fake machine's process: what is touched of it, and the physical addresses of its pages.
struct FakeProcessMemory {
  struct Piece {
    var address: UInt64
    var byteCount: UInt64
    var pageSize: UInt64
    var physical: UInt64
  }

  private(set) var pieces: [Piece] = []
  private var contents: [UInt64: [UInt8]] = [:]
  private var nextAddress: UInt64 = 0x7f00_0000_0000
  private var nextPhysical: UInt64 = 0x1_0000_0000

  mutating func allocate(byteCount: UInt64, pageSize: UInt64) -> UInt64 {
    let address = (nextAddress + pageSize - 1) & ~(pageSize - 1)
    let physical = (nextPhysical + pageSize - 1) & ~(pageSize - 1)
    nextAddress = address + byteCount + pageSize
    nextPhysical = physical + byteCount + max(pageSize, 1 << 16)
    pieces.append(Piece(address: address, byteCount: byteCount, pageSize: pageSize, physical: physical))
    return address
  }

  mutating func deallocate(_ address: UInt64) {
    guard let index = pieces.firstIndex(where: { $0.address == address }) else { return }
    let piece = pieces.remove(at: index)
    contents = contents.filter { $0.key < piece.address || $0.key >= piece.address + piece.byteCount }
  }

  /// The piece in which an address lies.
  func piece(of address: UInt64) -> Piece? {
    pieces.last { $0.address <= address && address < $0.address + $0.byteCount }
  }

  /// The physical address of a page: contiguous in large pages and in groups of four small ones, which come in reverse order.
  func physical(_ address: UInt64) -> UInt64? {
    guard let piece = piece(of: address) else { return nil }
    let offset = address - piece.address
    guard piece.pageSize == 4096 else { return piece.physical + offset }
    let group = offset >> 14
    let groups = (piece.byteCount + 0x3fff) >> 14
    return piece.physical + (groups - 1 - group) << 14 + offset & 0x3fff
  }

  func load(_ address: UInt64, _ count: Int) -> [UInt8] {
    (0..<UInt64(count)).map { contents[(address + $0) & ~4095]?[Int((address + $0) & 4095)] ?? 0 }
  }

  mutating func store(_ bytes: [UInt8], at address: UInt64) {
    for (position, byte) in bytes.enumerated() {
      let place = address + UInt64(position)
      contents[place & ~4095, default: [UInt8](repeating: 0, count: 4096)][Int(place & 4095)] = byte
    }
  }
}
