// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// Memory of the machine's process that is mapped for devices; given back all at once.
final class MapperMemory {
  /// A piece of it.
  struct Piece: Hashable, Sendable {
    var address: UInt64
    var byteCount: UInt64
    var pageSize: UInt64

    /// Whether `length` bytes from `place` on lie in it.
    func holds(_ place: UInt64, _ length: UInt64) -> Bool {
      place >= address && length <= byteCount && place &- address <= byteCount &- length
    }
  }

  let machine: any Machine
  private(set) var pieces: [Piece] = []

  init(_ machine: any Machine) { self.machine = machine }

  deinit { release() }

  /// Memory of base pages.
  func pages(_ count: UInt64) throws(MachineError) -> UInt64 {
    try allocate(count * PhysicalAddresses.pageSize, pageSize: PhysicalAddresses.pageSize)
  }

  /// A page of hugetlbfs; nil where there is none to be had.
  func large(_ pageSize: UInt64) throws(MachineError) -> UInt64? {
    do {
      return try allocate(pageSize, pageSize: pageSize)
    } catch {
      if error.number == nil { throw error }
      return nil
    }
  }

  private func allocate(_ byteCount: UInt64, pageSize: UInt64) throws(MachineError) -> UInt64 {
    let address = try machine.allocate(byteCount: byteCount, pageSize: pageSize)
    pieces.append(Piece(address: address, byteCount: byteCount, pageSize: pageSize))
    return address
  }

  /// Gives all of it back. Nothing of it may be mapped any more.
  func release() {
    for piece in pieces { machine.deallocate(piece.address, byteCount: piece.byteCount) }
    pieces = []
  }
}
