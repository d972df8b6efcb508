// SPDX-License-Identifier: GPL-2.0-only

import Glibc

// The host's large pages make first touches of tables about ten times as fast. But a large page of which a
// part was given back stays whole until the host is short of memory. So what is left in it moves to small
// pages first: behind `giveBackEmptyPages` all table memory is in small pages, ahead of it in large ones.
extension SimulatedMachine {
  /// 4 KiB pages of a large page of the host.
  static let blockPages = 512
  /// The first page for which large pages are asked for: small machines should not pay for zeroing 2 MiB.
  static let firstLargePage = 2048
  /// How many pages that were looked at before are looked at again by one `giveBackEmptyPages`.
  static let rescannedPages = 4096

  /// How many `pagesSinceGiveBack` make a good occasion for `giveBackEmptyPages`.
  public static let giveBackInterval = 2048

  /// 4 KiB pages first handed out since the last `giveBackEmptyPages`: what it would look at anew.
  public var pagesSinceGiveBack: Int {
    lock.withLock { Int(state.pointee.usedPages &- state.pointee.scannedPages) }
  }

  /// Gives pages of live tables that hold zeros only back to the host; they go on reading as zeros.
  ///
  /// Looks at the pages first handed out since the last call, but for those in the large page that is being
  /// filled, and at a bounded number of older ones. To be called while no other thread uses the machine.
  ///
  /// - Returns: how many pages that occupied host memory were given back.
  @discardableResult
  public func giveBackEmptyPages() -> Int {
    let (scanned, used, rescanFrom) = lock.withLock {
      (Int(state.pointee.scannedPages), Int(state.pointee.usedPages), Int(state.pointee.rescanFrom))
    }
    let end = used < Self.firstLargePage ? used : used & ~(Self.blockPages - 1)
    useSmallPages(below: end)
    let oldStart = rescanFrom < scanned ? rescanFrom : 0
    let oldEnd = min(oldStart + Self.rescannedPages, scanned)
    let given = giveBack(pages: oldStart..<oldEnd) + giveBack(pages: min(scanned, end)..<end)
    lock.withLock {
      state.pointee.scannedPages = UInt32(end)
      state.pointee.rescanFrom = UInt32(oldEnd)
    }
    return given
  }

  /// Asks the host for large pages behind the first pages. A host that has none does without.
  static func askForLargePages(_ tables: borrowing ReservedMapping) {
    let skipped = firstLargePage * pageBytes
    if tables.byteCount > skipped {
      madvise(tables.start + skipped, tables.byteCount - skipped, MADV_HUGEPAGE)
    }
  }

  private func useSmallPages(below end: Int) {
    guard end > Self.firstLargePage else { return }
    let skipped = Self.firstLargePage * Self.pageBytes
    madvise(arena + skipped, end * Self.pageBytes - skipped, MADV_NOHUGEPAGE)
  }

  private func giveBack(pages: Range<Int>) -> Int {
    var given = 0
    var first = pages.lowerBound
    while first < pages.upperBound {
      let end = min((first | (Self.blockPages - 1)) + 1, pages.upperBound)
      given += giveBack(block: first..<end)
      first = end
    }
    return given
  }

  /// Gives back what is empty in a range within one large page.
  private func giveBack(block: Range<Int>) -> Int {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.blockPages) { resident in
      let start = arena + block.lowerBound * Self.pageBytes
      // A host without mincore has all pages looked at.
      if mincore(start, block.count * Self.pageBytes, resident.baseAddress) != 0 {
        resident.initialize(repeating: 1)
      }
      var empty: [Int] = []
      var isWhole = block.count == Self.blockPages
      for page in block {
        if resident[page - block.lowerBound] & 1 == 0 {
          isWhole = false
        } else if isEmpty(page) {
          empty.append(page)
        }
      }
      if isWhole, empty.count >= Self.blockPages / 2, empty.count < Self.blockPages {
        return moveRest(of: block, empty: empty)
      }
      return giveBack(runsOf: empty)
    }
  }

  private func isEmpty(_ page: Int) -> Bool {
    records[page].state == .live
      && Poison.firstChange(arena + page * Self.pageBytes, Self.pageBytes, from: 0) == nil
  }

  /// Gives back a large page, all of it in memory, and writes what was not empty into small ones.
  private func moveRest(of block: Range<Int>, empty: [Int]) -> Int {
    let left = Array(Set(block).subtracting(empty))
    let saved = UnsafeMutableRawPointer.allocate(byteCount: left.count * Self.pageBytes, alignment: 64)
    defer { saved.deallocate() }
    for (place, page) in left.enumerated() {
      memcpy(saved + place * Self.pageBytes, arena + page * Self.pageBytes, Self.pageBytes)
    }
    let start = arena + block.lowerBound * Self.pageBytes
    guard madvise(start, block.count * Self.pageBytes, MADV_DONTNEED) == 0 else { return 0 }
    for (place, page) in left.enumerated() {
      memcpy(arena + page * Self.pageBytes, saved + place * Self.pageBytes, Self.pageBytes)
    }
    return empty.count
  }

  /// Gives back pages, in ascending order, with one call for each run of them.
  private func giveBack(runsOf pages: [Int]) -> Int {
    var given = 0
    var start = 0
    for next in pages.indices.dropFirst() + [pages.count] where start < pages.count {
      if next < pages.count, pages[next] == pages[next - 1] + 1 { continue }
      let run = arena + pages[start] * Self.pageBytes
      if madvise(run, (next - start) * Self.pageBytes, MADV_DONTNEED) == 0 { given += next - start }
      start = next
    }
    return given
  }
}
