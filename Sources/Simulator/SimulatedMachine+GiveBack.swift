// SPDX-License-Identifier: GPL-2.0-only

import Glibc

extension SimulatedMachine {
  /// How many pages that were looked at before are looked at again by one `giveBackEmptyPages`.
  static let rescannedPages = 4096

  /// 4 KiB pages first handed out since the last `giveBackEmptyPages`: what it would look at anew.
  public var pagesSinceGiveBack: Int {
    lock.withLock { Int(state.pointee.usedPages &- state.pointee.scannedPages) }
  }

  /// Gives pages of live tables that hold zeros only back to the host; they go on reading as zeros.
  ///
  /// Looks at the pages first handed out since the last call and at a bounded number of older ones.
  /// To be called while no other thread uses the machine.
  ///
  /// - Returns: how many pages that occupied host memory were given back.
  @discardableResult
  public func giveBackEmptyPages() -> Int {
    let (scanned, used, rescanFrom) = lock.withLock {
      (Int(state.pointee.scannedPages), Int(state.pointee.usedPages), Int(state.pointee.rescanFrom))
    }
    let start = rescanFrom < scanned ? rescanFrom : 0
    let end = min(start + Self.rescannedPages, scanned)
    let given = giveBack(pages: start..<end) + giveBack(pages: scanned..<used)
    lock.withLock {
      state.pointee.scannedPages = UInt32(used)
      state.pointee.rescanFrom = UInt32(end)
    }
    return given
  }

  private func giveBack(pages: Range<Int>) -> Int {
    let chunk = 4096
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: chunk) { resident in
      stride(from: pages.lowerBound, to: pages.upperBound, by: chunk).reduce(0) { given, first in
        let range = first..<min(first + chunk, pages.upperBound)
        let known = mincore(
          arena + first * Self.pageBytes, range.count * Self.pageBytes, resident.baseAddress)
        // A host without mincore has all pages looked at.
        if known != 0 { resident.initialize(repeating: 1) }
        return given + giveBack(range, resident: resident)
      }
    }
  }

  /// Gives the runs of empty pages of `range` back, each in one call.
  ///
  /// A page that is not resident ends a run: it may be swapped out, and hold anything.
  private func giveBack(_ range: Range<Int>, resident: UnsafeMutableBufferPointer<UInt8>) -> Int {
    var given = 0
    var runStart = range.lowerBound
    func endRun(before page: Int) {
      let count = page - runStart
      if count > 0, madvise(arena + runStart * Self.pageBytes, count * Self.pageBytes, MADV_DONTNEED) == 0 {
        given += count
      }
      runStart = page + 1
    }
    for page in range {
      let isEmpty =
        resident[page - range.lowerBound] & 1 != 0 && records[page].state == .live
        && Poison.firstChange(arena + page * Self.pageBytes, Self.pageBytes, from: 0) == nil
      if !isEmpty { endRun(before: page) }
    }
    endRun(before: range.upperBound)
    return given
  }
}
