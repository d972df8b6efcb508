// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Simulator
import Testing

/// A page table over recorded memory.
private struct Recorded {
  let memory: RecordingMemory
  let table: GenericPageTable<X86, RecordingMemory>

  init(_ features: String, reclaim: Reclaim = .never) throws {
    let machine = try SimulatedMachine(reserve: 16 << 20)
    let configuration = try X86.schema.configuration(["va=47", "features=\(features)"])
    memory = RecordingMemory(machine: machine, incoherent: features.contains("dma_incoherent"))
    table = try GenericPageTable(try X86(configuration), memory: memory, reclaim: reclaim)
    _ = memory.takeEvents()
  }

  func map(_ iova: UInt64) -> LinuxErrno? {
    table.map(iova: iova, pa: 0x10_0000, length: 0x1000, protection: [.read, .write])
  }

  /// The ranges that were synced since the last call, and how many tables each released.
  func syncs() -> [[UInt64]] {
    memory.takeEvents().compactMap { event in
      guard case .sync(let request) = event else { return nil }
      return [request.first, request.last, UInt64(request.released)]
    }
  }
}

@Suite("what is gathered before a sync") struct GatherTests {
  /// Unmaps pages one by one into one gather; returns the syncs on the way and the last one.
  private func syncs(_ features: String, _ pages: [UInt64]) throws -> (early: [[UInt64]], last: [[UInt64]]) {
    let recorded = try Recorded(features)
    for page in pages { #expect(recorded.map(page << 12) == nil) }
    _ = recorded.syncs()
    var gather = Gather()
    for page in pages {
      #expect(recorded.table.unmap(iova: page << 12, length: 0x1000, gather: &gather) == 0x1000)
    }
    let early = recorded.syncs()
    recorded.table.synchronize(&gather)
    return (early, recorded.syncs())
  }

  @Test("without gaps, what touches is one range in any order, and one page between is not covered")
  func gaps() throws {
    for pages in [[1, 2, 3], [3, 2, 1], [2, 1, 3]] as [[UInt64]] {
      let (early, last) = try syncs("flush_range_no_gaps", pages)
      #expect(early == [] && last == [[0x1000, 0x3fff, 0]], "\(pages)")
    }
    let upward = try syncs("flush_range_no_gaps", [1, 2, 4])
    #expect(upward.early == [[0x1000, 0x2fff, 0]] && upward.last == [[0x4000, 0x4fff, 0]])
    let downward = try syncs("flush_range_no_gaps", [4, 2, 1])
    #expect(downward.early == [[0x4000, 0x4fff, 0]] && downward.last == [[0x1000, 0x2fff, 0]])
  }

  @Test("with gaps, all is one range")
  func oneRange() throws {
    let (early, last) = try syncs("flush_range", [9, 1, 4])
    #expect(early == [] && last == [[0x1000, 0x9fff, 0]])
  }

  @Test("tables that go stay allocated until the sync, which releases them all")
  func tables() throws {
    let recorded = try Recorded("flush_range", reclaim: .eager)
    for iova in [0, 0x20_0000, 0x4000_0000] as [UInt64] { #expect(recorded.map(iova) == nil) }
    let pages = recorded.memory.livePages
    var gather = Gather()
    for iova in [0, 0x20_0000, 0x4000_0000] as [UInt64] {
      #expect(recorded.table.unmap(iova: iova, length: 0x1000, gather: &gather) == 0x1000)
    }
    #expect(recorded.memory.livePages == pages)
    #expect(recorded.syncs() == [])
    recorded.table.synchronize(&gather)
    // All but the top: one table of level 2, two of level 1 and three of level 0.
    #expect(recorded.syncs() == [[0, 0x4000_0fff, 6]])
    #expect(recorded.memory.livePages == 1)
    recorded.table.synchronize(&gather)
    #expect(recorded.syncs() == [])
  }
}

@Suite("tables that other threads installed") struct SharedInstallTests {
  /// The software mark that says that a table entry has been flushed.
  private let mark: UInt64 = 1 << 9

  private func flushes(ofTopWord isMarked: Bool) throws -> Int {
    let recorded = try Recorded("flush_range+dma_incoherent")
    #expect(recorded.map(0) == nil)
    let top = recorded.table.root.physical
    let offset = Int(top - recorded.memory.physicalBase)
    let word = (recorded.memory.arena + offset).assumingMemoryBound(to: UInt64.self)
    #expect(word.pointee & mark != 0)
    if !isMarked { word.pointee &= ~mark }
    _ = recorded.memory.takeEvents()
    #expect(recorded.map(0x1000) == nil)
    return recorded.memory.takeEvents().count { $0 == .cacheFlush(at: top, byteCount: 8) }
  }

  @Test("an entry that is not marked as flushed is flushed before what is mapped through it is reported")
  func unmarkedEntries() throws {
    #expect(try flushes(ofTopWord: true) == 0)
    #expect(try flushes(ofTopWord: false) == 1)
  }
}
