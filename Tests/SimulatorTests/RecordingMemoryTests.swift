// SPDX-License-Identifier: GPL-2.0-only

import Dispatch
import Foundation
import PageTable
import Simulator
import Testing

@Suite struct RecordingMemoryTests {
  @Test func theLogHoldsEverythingInOrder() throws {
    let memory = RecordingMemory(machine: try smallMachine())
    let map = PageTable.Operation.map(iova: 0, pa: 0, length: 4096, protection: [.read])
    let request = InvalidationRequest(first: 0, last: 4095, released: 1)
    memory.beginOperation(map)
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    let child = try #require(memory.allocateTable(sizeLog2: 12))
    memory.words(table)[1] = child | 1
    memory.recordEntryWrites(at: table + 8, count: 1)
    memory.recordTableInstall(child, at: table + 8)
    memory.flushCache(at: table + 8, byteCount: 8)
    memory.changeTop(to: table, level: 3)
    memory.synchronizeIOTLB(request)
    memory.releaseTable(at: child, sizeLog2: 12)
    memory.endOperation(.ok)
    memory.recordDetach()
    #expect(
      memory.takeEvents() == [
        .begin(id: 1, map), .allocate(table, sizeLog2: 12), .allocate(child, sizeLog2: 12),
        .entryWrites(at: table + 8, count: 1, value: child | 1, step: 0),
        .tableInstall(child: child, entry: table + 8, value: child | 1),
        .cacheFlush(at: table + 8, byteCount: 8), .topChange(table, level: 3), .sync(request),
        .release(child, sizeLog2: 12), .end(id: 1, .ok), .detach,
      ])
    #expect(memory.events.isEmpty)
    #expect(memory.takeNotes() == [.top(level: 3), .sync(first: 0, last: 4095, released: 1)])
    #expect(memory.takeNotes().isEmpty && memory.syncCount == 1)
  }

  @Test func runsOfWritesAreSplitByStep() throws {
    let memory = RecordingMemory(machine: try smallMachine())
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    let words: [UInt64] = [0x1001, 0x2001, 0x3001, 7, 7, 7, 0, 9]
    for (index, word) in words.enumerated() { memory.words(table)[index] = word }
    _ = memory.takeEvents()
    memory.recordEntryWrites(at: table, count: words.count)
    memory.recordEntryWrites(at: table, count: 0)
    var seen: [UInt64] = []
    for case .entryWrites(let at, let count, let value, let step, 8) in memory.events {
      #expect(at == table + UInt64(seen.count) * 8)
      seen += (0..<count).map { value &+ UInt64($0) &* step }
    }
    #expect(seen == words)
    #expect(memory.events.count == 3)
  }

  @Test func failuresAndMisuseAreInTheLog() throws {
    let memory = RecordingMemory(machine: try smallMachine())
    memory.machine.failAllocation(number: 1)
    #expect(memory.allocateTable(sizeLog2: 12) == nil)
    memory.releaseTable(at: 0, sizeLog2: 12)
    let misuse = MachineViolation(kind: .unknownFree, physical: 0, value: 12)
    #expect(
      memory.events == [.allocationFailed(sizeLog2: 12), .release(0, sizeLog2: 12), .misuse(misuse)])
    // Events with addresses of nothing are logged too, and read nothing.
    memory.recordEntryWrites(at: 3, count: 2)
    memory.recordTableInstall(0, at: .max)
    memory.flushCache(at: .max, byteCount: 64)
  }

  @Test func theLogIsBounded() throws {
    let memory = RecordingMemory(machine: try smallMachine(), logLimit: 2)
    for _ in 0..<5 { memory.recordDetach() }
    #expect(memory.takeEvents() == [.detach, .detach, .lost(3)])
    memory.recordDetach()
    #expect(memory.events == [.detach])
  }

  @Test func aWalkerThatSnoopsSeesEveryWrite() throws {
    let memory = RecordingMemory(machine: try smallMachine())
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    memory.words(table)[3] = 9
    let seen = try #require(memory.walkerView.bytes(at: table, count: 4096))
    #expect(seen.load(fromByteOffset: 24, as: UInt64.self) == 9)
  }

  @Test func aWalkerThatDoesNotSnoopSeesWhatWasFlushed() throws {
    let memory = RecordingMemory(machine: try smallMachine(), incoherent: true)
    _ = memory.allocateTable(sizeLog2: 12)
    let table = try #require(memory.allocateTable(sizeLog2: 13))
    func seen(_ index: Int) throws -> UInt64 {
      try #require(memory.walkerView.bytes(at: table, count: 8192)).load(
        fromByteOffset: index * 8, as: UInt64.self)
    }
    #expect(try seen(0) == Poison.stale)
    memory.flushCache(at: table, byteCount: 8192)
    #expect(try seen(0) == 0 && seen(1023) == 0)
    for index in [0, 7, 8, 15, 16, 512] { memory.words(table)[index] = 5 }
    #expect(try seen(8) == 0)
    // One byte brings its whole cache line of eight words.
    memory.flushCache(at: table + 15 * 8, byteCount: 1)
    #expect(try [seen(7), seen(8), seen(15), seen(16), seen(512)] == [0, 5, 5, 0, 0])
    memory.flushCache(at: table + 4090, byteCount: 8)
    #expect(try seen(512) == 5)
    #expect(memory.walkerView.bytes(at: table, count: 8193) == nil)
    #expect(memory.walkerView.bytes(at: table - 8, count: 16) == nil)
    memory.releaseTable(at: table, sizeLog2: 13)
    #expect(memory.walkerView.bytes(at: table, count: 8) == nil)
    #expect(memory.allocateTable(sizeLog2: 13) == table)
    #expect(try seen(8) == Poison.stale)
  }

  @Test func whatADeviceWritesIsInMemory() throws {
    let memory = RecordingMemory(machine: try smallMachine(), incoherent: true)
    let table = try #require(memory.allocateTable(sizeLog2: 12))
    for operation in [PageTable.Operation.phys(iova: 0), .setDirty(iova: 0)] {
      memory.beginOperation(operation)
      memory.words(table)[0] = 9
      memory.recordEntryWrites(at: table, count: 1)
      memory.endOperation(.ok)
      let seen = try #require(memory.walkerView.bytes(at: table, count: 8)).load(as: UInt64.self)
      #expect(seen == (operation == .setDirty(iova: 0) ? 9 : Poison.stale))
    }
  }

  @Test func operationsOfThreadsKeepTheirIdentity() throws {
    let memory = RecordingMemory(machine: try smallMachine())
    let done = DispatchSemaphore(value: 0)
    memory.beginOperation(.phys(iova: 1))
    Thread.detachNewThread {
      memory.beginOperation(.phys(iova: 2))
      memory.endOperation(.physical(2))
      done.signal()
    }
    done.wait()
    memory.endOperation(.physical(1))
    #expect(
      memory.events == [
        .begin(id: 1, .phys(iova: 1)), .begin(id: 2, .phys(iova: 2)), .end(id: 2, .physical(2)),
        .end(id: 1, .physical(1)),
      ])
  }
}
