// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Simulator
import Testing

@testable import LegacyPT

/// What is flushed, synced and released, when, and what Linux warns of.
@Suite struct ARMLPAELifeCycleTests {
  static let block: UInt64 = 0x20_0000

  /// Tables installed, cleared, replaced by blocks and, in the old era, put in place of blocks.
  private func exercise(_ subject: LPAESubject) {
    let block = Self.block
    _ = subject.map(block - 0x1000, 0, 0x2000)
    _ = subject.unmap(block, 0x1000)
    _ = subject.map(block, 0, block)
    _ = subject.map(1 << 30, 0, block * 2)
    _ = subject.unmap(1 << 30 | 0x1000, 0x1000)
    _ = subject.unmap(0, block)
    _ = subject.unmap(1 << 30, 1 << 30)
  }

  @Test(arguments: [
    "armv8:coherent=0", "armv8:coherent=0,era=6.12", "armv8:stage=2,coherent=0", "arm_lpae32:coherent=0",
    "mali:coherent=0",
  ])
  func walkersThatDoNotSnoopSeeEverything(_ text: String) throws {
    let subject = try makeLPAE(text)
    exercise(subject)
    #expect(subject.broken().isEmpty)
    // The mark of flushed entries alone need not be.
    let images = try [
      subject.table.image(in: subject.memory.walkerView), subject.table.image(in: subject.machine),
    ]
    .map { image in
      image.words.map { word in
        var word = word
        word.value &= ~(1 << 55)
        return word
      }
    }
    #expect(images[0] == images[1] && !images[0].isEmpty)
    #expect(subject.destroyed().broken.isEmpty)
  }

  @Test func theChecksSeeAMissingFlushOrSync() throws {
    let subject = try makeLPAE("armv8:coherent=0")
    exercise(subject)
    let unflushed = Set(subject.broken { $0.isFlush })
    #expect(unflushed.isSuperset(of: [.flushBeforeInstall, .flushBeforeSync, .flushByEndOfOperation]))
    let unsynced = Set(subject.broken { $0.isSync })
    #expect(unsynced.isSuperset(of: [.syncBeforeRelease, .unmapIsSynced]))
  }

  @Test func aTableGoesAtOnceBehindAWalkFlush() throws {
    let subject = try makeLPAE("armv8")
    #expect(subject.map(0, 0, 0x1000) == .ok && subject.map(Self.block * 3, 0, 0x1000) == .ok)
    #expect(subject.memory.livePages == 5)
    // Both tables of level 0 and the one above go with 1G.
    #expect(subject.unmap(0, 1 << 30) == .unmapped(1 << 30))
    #expect(
      subject.notes == [
        .sync(first: 0, last: 0x3fff_ffff, released: 3), .sync(first: 0, last: 0x3fff_ffff, released: 0),
      ])
    #expect(subject.memory.livePages == 2)
    let requests = subject.events.compactMap { event -> InvalidationRequest? in
      if case .sync(let request) = event { request } else { nil }
    }
    // Only the first concerns table pointers.
    #expect(requests.map(\.tableLevels) == [0xf, 0])
    #expect(subject.broken().isEmpty)
  }

  @Test func aBlockTakesTheTablesPlace() throws {
    let subject = try makeLPAE("armv8")
    #expect(subject.map(Self.block, 0x5000, 0x1000) == .ok)
    #expect(subject.map(Self.block, 0, Self.block) == .ok)
    #expect(
      subject.notes == [.sync(first: Self.block, last: 2 * Self.block - 1, released: 1)])
    #expect(subject.run(.phys(iova: Self.block + 0x5123)) == .physical(0x5123))
    #expect(subject.memory.livePages == 3 && subject.broken().isEmpty)
  }

  @Test func eachSizeIsSyncedApart() throws {
    let subject = try makeLPAE("armv8")
    let start = Self.block - 0x2000
    #expect(subject.map(start, start, Self.block + 0x2000) == .ok)
    #expect(subject.unmap(start, Self.block + 0x2000) == .unmapped(Self.block + 0x2000))
    #expect(
      subject.notes == [
        .sync(first: start, last: Self.block - 1, released: 0),
        .sync(first: Self.block, last: 2 * Self.block - 1, released: 0),
      ])
  }

  @Test func partOfABlockInBothEras() throws {
    let new = try makeLPAE("armv8:quirks=no_warn")
    #expect(new.map(0, 1 << 32, Self.block, .read) == .ok)
    #expect(new.unmap(0x3000, 0x1000) == .unmapped(0) && new.notes == [.warn])
    #expect(new.run(.phys(iova: 0x3000)) == .physical(1 << 32 | 0x3000))

    let old = try makeLPAE("armv8:era=6.12")
    #expect(old.map(0, 0x1_8000_0000, 1 << 30, [.read, .noexec, .cache]) == .ok)
    #expect(old.unmap(0x40_3000, 0x2000) == .unmapped(0x2000))
    #expect(old.notes == [.sync(first: 0x40_3000, last: 0x40_4fff, released: 0)])
    #expect(old.run(.phys(iova: 0x40_4fff)) == .physical(nil))
    for iova: UInt64 in [0, 0x40_2fff, 0x40_5000, 0x3fff_ffff] {
      #expect(old.run(.phys(iova: iova)) == .physical(0x1_8000_0000 + iova))
    }
    let words = try old.table.image(in: old.machine).words
    let attributes = Set(words.filter { $0.child == nil }.map { $0.value & 0xfff0_0000_0000_0ffc })
    #expect(attributes.count == 1 && words.count == 1 + 512 + 510 + 1)
    #expect(old.broken().isEmpty)
  }

  @Test func aSplitWithoutMemoryLeavesTheBlock() throws {
    let subject = try makeLPAE("armv8:era=6.12")
    #expect(subject.map(0, 0, 1 << 30) == .ok)
    subject.run(.allocationBudget(pages: 0))
    #expect(subject.unmap(0, 0x1000) == .unmapped(0))
    #expect(subject.run(.phys(iova: 0)) == .physical(0) && subject.memory.livePages == 2)
    // One table is not enough for a page of a block of 1G: what is left maps the same.
    subject.run(.allocationBudget(pages: 1))
    #expect(subject.unmap(0, 0x1000) == .unmapped(0))
    #expect(subject.run(.phys(iova: 0x1234)) == .physical(0x1234))
    #expect(subject.destroyed().pages == 0)
  }

  @Test func warningsAndTheirQuirk() throws {
    for (quirks, hole) in [("none", [OperationNote.warn]), ("no_warn", [])] {
      let subject = try makeLPAE("armv8:quirks=\(quirks)")
      #expect(subject.map(0, 0, 0x1000) == .ok)
      #expect(subject.map(0, 0x1000, 0x1000) == .failed(.eexist) && subject.notes == hole)
      #expect(subject.unmap(0x1000, 0x1000) == .unmapped(0) && subject.notes == hole)
      // Nonsense is warned of with the quirk too.
      #expect(subject.map(1 << 48, 0, 0x1000) == .failed(.erange) && subject.notes == [.warn])
      #expect(
        subject.run(.unmapPages(iova: 0, pageSize: 0x1000, count: 0)) == .unmapped(0)
          && subject.notes == [.warn])
      #expect(subject.map(0, 0, 0x1000, .cache) == .failed(.einval) && subject.notes.isEmpty)
    }
  }

  // MARK: Dirty state

  @Test func dirtyStateIsReadAndCleared() throws {
    let subject = try makeLPAE("armv8:quirks=hd")
    #expect(subject.map(0, 0, 0x3000) == .ok)
    #expect(subject.map(0x3000, 0x3000, 0x1000, .read) == .ok)
    #expect(subject.map(Self.block, 0, Self.block, .write) == .ok)
    let pages = (0..<3).map { DirtyRange(iova: $0 * 0x1000, length: 0x1000) }
    _ = subject.notes
    for clear in [false, true] {
      #expect(subject.run(.dirty(iova: 0, length: 0x4000, clear: clear)) == .dirty(pages))
    }
    #expect(subject.notes == [.sync(first: 0, last: 0x2fff, released: 0)])
    #expect(subject.run(.dirty(iova: 0, length: 0x4000, clear: false)) == .dirty([]))
    #expect(subject.run(.setDirty(iova: 0x1fff)) == .ok && subject.run(.setDirty(iova: 0x3000)) == .ok)
    #expect(subject.run(.dirty(iova: 0, length: 0x4000, clear: true)) == .dirty([pages[1]]))
    // A range that starts inside of a block reports the block from there on.
    let inside = DirtyRange(iova: Self.block + 0x1000, length: Self.block)
    #expect(subject.run(.dirty(iova: inside.iova, length: 0x1000, clear: true)) == .dirty([inside]))
    #expect(subject.broken().isEmpty)
  }

  @Test func dirtyStateThatCannotBeRead() throws {
    let subject = try makeLPAE("armv8:quirks=hd")
    #expect(subject.map(0, 0, 0x1000) == .ok)
    _ = subject.notes
    // What was made clean before the hole is synced.
    #expect(subject.run(.dirty(iova: 0, length: 0x2000, clear: true)) == .failed(.einval))
    #expect(subject.notes == [.sync(first: 0, last: 0xfff, released: 0)])
    #expect(subject.run(.dirty(iova: 0, length: 0, clear: true)) == .failed(.einval))
    #expect(subject.notes == [.warn])
    #expect(subject.run(.setDirty(iova: 0x1000)) == .failed(.enoent))
    #expect(subject.run(.setDirty(iova: 1 << 48)) == .failed(.erange))
    let old = try makeLPAE("armv8:quirks=hd,era=6.12")
    #expect(old.run(.dirty(iova: 0, length: 0x2000, clear: true)) == .failed(.einval) && old.notes == [.warn])
    for (text, errno) in [
      ("armv8", LinuxErrno.eopnotsupp), ("armv8:stage=2", .eopnotsupp), ("mali", .eopnotsupp),
      ("arm_lpae32:quirks=hd", .einval),
    ] {
      let other = try makeLPAE(text)
      #expect(other.run(.dirty(iova: 0, length: 0x1000, clear: false)) == .failed(errno))
    }
  }
}
