// SPDX-License-Identifier: GPL-2.0-only

/// QEMU's `edu` device on a fake machine, with a cache of translations before the page table.
final class FakeEdu {
  private unowned let machine: FakeMappingMachine
  /// The command register of its configuration space.
  var command: UInt64 = 0
  /// The IOVAs that it can make.
  var mask: UInt64 = UInt64.max
  /// Whether it copies at all.
  var isAlive = true
  private var source: UInt64 = 0
  private var destination: UInt64 = 0
  private var count: UInt64 = 0
  private var buffer = [UInt8](repeating: 0, count: 4096)
  private var cache: [UInt64: (address: UInt64, write: Bool)] = [:]

  init(_ machine: FakeMappingMachine) { self.machine = machine }

  func load(_ offset: UInt64) -> UInt64 { offset == 0 ? 0x0100_00ed : 0 }

  func store(_ value: UInt64, at offset: UInt64, width: Int) {
    // An address that comes in two halves loses its upper one.
    guard width == 8 else { return }
    switch offset {
    case 0x80: source = value
    case 0x88: destination = value
    case 0x90: count = value
    case 0x98 where value & 1 != 0: copy(toMemory: value & 2 != 0)
    default: break
    }
  }

  private func copy(toMemory: Bool) {
    let inside = toMemory ? source : destination
    // Without memory access and bus master nothing happens.
    guard command & 6 == 6, isAlive, inside == 0x40000, count < 4096 else { return }
    let iova = (toMemory ? destination : source) & mask
    for position in 0..<count {
      guard let address = translate(iova + position, start: iova, write: toMemory) else { continue }
      if toMemory {
        machine.memory.store([buffer[Int(position)]], at: address)
      } else {
        buffer[Int(position)] = machine.memory.load(address, 1)[0]
      }
    }
  }

  private func translate(_ iova: UInt64, start: UInt64, write: Bool) -> UInt64? {
    let faults = machine.faults
    if faults.contains(.secondPageForgotten), iova >> 12 != start >> 12 { return nil }
    let page = iova & ~4095
    var found = machine.tables.last?.translate(page)
    if faults.contains(.staleTranslation) { found = cache[page] ?? found }
    if faults.contains(.unmappedReached) { found = found ?? cache[page] }
    if let found { cache[page] = found }
    guard var found, !write || found.write || faults.contains(.readOnlyWritten) else { return nil }
    if faults.contains(.dataMisplaced), write { found.address ^= 0x800 }
    return found.address + (iova & 4095)
  }
}
