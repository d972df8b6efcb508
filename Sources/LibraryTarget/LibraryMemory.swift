// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import PageTable
import Reference
import Simulator

/// Table memory as a library sees it: the callbacks of ptkit.h over the kit's memory.
final class LibraryMemory: @unchecked Sendable {
  // Unchecked: the memory is made for several threads; the watcher is there only where one thread at a time calls.

  let memory: any TableMemory
  let machine: SimulatedMachine
  /// Finds out what the library wrote, where that is recorded.
  var watcher: EntryWatcher?
  /// Whether the library announced a top.
  var hasTop = false
  /// What the library gets; valid as long as this object.
  let callbacks: UnsafeMutablePointer<ptkit_memory>

  init(_ memory: any TableMemory, machine: SimulatedMachine) {
    self.memory = memory
    self.machine = machine
    callbacks = .allocate(capacity: 1)
    callbacks.initialize(to: ptkit_memory())
    callbacks.pointee.size = MemoryLayout<ptkit_memory>.size
    callbacks.pointee.context = Unmanaged.passUnretained(self).toOpaque()
    callbacks.pointee.window = memory.arena
    callbacks.pointee.window_physical = memory.physicalBase
    callbacks.pointee.window_bytes = machine.reservedBytes
    callbacks.pointee.allocate = { context, sizeLog2, physical in
      LibraryMemory.from(context)?.allocate(sizeLog2, physical)
    }
    callbacks.pointee.release = { LibraryMemory.from($0)?.release($1, $2) }
    callbacks.pointee.phys_to_virt = { LibraryMemory.from($0)?.host($1) }
    callbacks.pointee.virt_to_phys = { LibraryMemory.from($0)?.physical($1) ?? 0 }
    callbacks.pointee.flush = { LibraryMemory.from($0)?.flush($1, $2) }
    callbacks.pointee.invalidate = { LibraryMemory.from($0)?.invalidate($1) }
    callbacks.pointee.change_top = { LibraryMemory.from($0)?.changeTop($1, $2) }
    callbacks.pointee.warn = { context, _ in LibraryMemory.from(context)?.memory.recordWarning() }
  }

  deinit { callbacks.deallocate() }

  private static func from(_ context: UnsafeMutableRawPointer?) -> LibraryMemory? {
    context.map { Unmanaged<LibraryMemory>.fromOpaque($0).takeUnretainedValue() }
  }

  private func allocate(_ sizeLog2: UInt32, _ physical: UnsafeMutablePointer<UInt64>?)
    -> UnsafeMutableRawPointer?
  {
    let sizeLog2 = Int(sizeLog2)
    guard let table = memory.allocateTable(sizeLog2: sizeLog2) else { return nil }
    physical?.pointee = table
    watcher?.allocated(table, sizeLog2: sizeLog2)
    return host(table)
  }

  private func release(_ physical: UInt64, _ sizeLog2: UInt32) {
    watcher?.release(physical)
    memory.releaseTable(at: physical, sizeLog2: Int(sizeLog2))
  }

  private func host(_ physical: UInt64) -> UnsafeMutableRawPointer? {
    let offset = physical &- memory.physicalBase
    return offset < machine.reservedBytes ? memory.arena + Int(offset) : nil
  }

  private func physical(_ address: UnsafeRawPointer?) -> UInt64 {
    guard let address else { return 0 }
    return memory.physicalBase &+ UInt64(UInt(bitPattern: address) &- UInt(bitPattern: memory.arena))
  }

  private func flush(_ physical: UInt64, _ bytes: Int) {
    guard bytes > 0 else { return }
    watcher?.scan(around: physical)
    memory.flushCache(at: physical, byteCount: bytes)
  }

  private func invalidate(_ request: UnsafePointer<ptkit_invalidation>?) {
    guard let request = request?.pointee else { return }
    watcher?.scanAll()
    // Drivers also synchronise gathers that nothing was added to: that covers no address.
    if request.first == UInt64.max, request.last == 0 { return }
    // Any number may follow PTKIT_RELEASED_UNKNOWN, which as a number is one that no library reaches.
    memory.synchronizeIOTLB(
      InvalidationRequest(
        first: request.first, last: request.last, leafLevels: request.leaf_levels,
        tableLevels: request.table_levels, released: Int(request.released)))
  }

  /// What follows the words of a root in its page is never walked, so that kernels before 7.x need not flush it.
  func ignoreRest(of roots: [TableRoot], _ reference: ReferenceFormat) {
    let page = 4096
    for root in roots where root.physical & UInt64(page - 1) == 0 {
      let words = max(1, reference.wordCount(level: root.level, isRoot: true)) * reference.wordBytes
      // From the next cache line on.
      let used = (words + 63) & ~63
      guard used < page else { continue }
      memory.flushCache(at: root.physical + UInt64(used), byteCount: page - used)
    }
  }

  func changeTop(_ physical: UInt64, _ level: UInt32) {
    watcher?.scanAll()
    // What a new top points to, the old one among it, is linked before walks begin there.
    if hasTop { watcher?.installRoot(physical, level: Int(level)) }
    memory.changeTop(to: physical, level: Int(level))
    watcher?.installRoot(physical, level: Int(level))
    hasTop = true
  }
}
