// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import PageTable

extension SimulatedMachine {
  static let pageBytes = 4096

  /// The 4 KiB pages that a table of 2^`sizeLog2` bytes occupies; at least one.
  @inlinable
  public static func pages(sizeLog2: Int) -> Int { 1 &<< max(0, sizeLog2 &- 12) }

  /// Allocates a zeroed table of 2^`sizeLog2` bytes, aligned to its size, on a node. Tables smaller than a page lie by
  /// turns at all the places in their pages, so that the low bits of pointers differ.
  ///
  /// - Parameter account: the live pages of the table's owner, changed under the machine's lock.
  /// - Returns: its physical address, or nil when the reserve is used up, a failure is injected, or the
  ///   size is not in `tableSizes` (a violation). `violation` is what was found in the reused memory.
  func allocate(
    sizeLog2: Int, node: Int, account: UnsafeMutablePointer<Int>, violation: inout MachineViolation?
  ) -> UInt64? {
    guard Self.tableSizes.contains(sizeLog2), node >= 0, node < nodeCount else {
      let refusal = MachineViolation(
        kind: .invalidSize, physical: 0, value: UInt64(truncatingIfNeeded: sizeLog2))
      report(refusal)
      violation = refusal
      return nil
    }
    let order = max(0, sizeLog2 &- 12)
    let pages = 1 &<< order
    lock.lock()
    if state.pointee.injectsFaults,
      state.pointee.faults.refuses(pages: state.pointee.price(sizeLog2: sizeLog2))
    {
      lock.unlock()
      return nil
    }
    guard let page = takeBlock(order: order) else {
      lock.unlock()
      return nil
    }
    let previous = records[page].state
    for other in page..<page &+ pages {
      records[other] = PageRecord(state: .live, node: UInt8(truncatingIfNeeded: node))
    }
    records[page].sizeLog2 = UInt8(truncatingIfNeeded: sizeLog2)
    var offset = 0
    if sizeLog2 < 12 {
      state.pointee.takeShare(sizeLog2: sizeLog2)
      offset = (state.pointee.allocations &<< sizeLog2) & (Self.pageBytes &- 1)
      records[page].offset = UInt8(truncatingIfNeeded: offset &>> 6)
    }
    state.pointee.allocations &+= 1
    state.pointee.livePages &+= pages
    state.pointee.peakPages = max(state.pointee.peakPages, state.pointee.livePages)
    nodePages[node] &+= pages
    account.pointee &+= pages
    lock.unlock()

    if previous != .fresh { violation = clean(page: page, pages: pages, wasPoisoned: previous == .poisoned) }
    return physicalBase &+ UInt64(truncatingIfNeeded: page &* Self.pageBytes &+ offset)
  }

  /// Takes a free block of 2^`order` pages off its list, or from the pages never used.
  @inline(__always)
  private func takeBlock(order: Int) -> Int? {
    let head = state.pointee.freeBlocks[order]
    guard head == 0 else {
      let page = Int(head) &- 1
      state.pointee.freeBlocks[order] = records[page].next
      return page
    }
    return takeFreshBlock(order: order)
  }

  private func takeFreshBlock(order: Int) -> Int? {
    let pages = UInt32(1) << UInt32(order)
    var first = state.pointee.usedPages
    let aligned = (first &+ pages &- 1) & ~(pages &- 1)
    guard aligned <= state.pointee.pageCount, state.pointee.pageCount - aligned >= pages else { return nil }
    // What alignment skips goes to the lists of smaller blocks, still fresh.
    while first < aligned {
      let skipped = first.trailingZeroBitCount
      push(page: Int(first), order: skipped)
      first += 1 << UInt32(skipped)
    }
    state.pointee.usedPages = aligned + pages
    return Int(aligned)
  }

  @inline(__always)
  private func push(page: Int, order: Int) {
    records[page].next = state.pointee.freeBlocks[order]
    state.pointee.freeBlocks[order] = UInt32(truncatingIfNeeded: page &+ 1)
  }

  /// Zeroes reused pages; returns the change of the poison in them, if there is one.
  private func clean(page: Int, pages: Int, wasPoisoned: Bool) -> MachineViolation? {
    let start = arena + page &* Self.pageBytes
    let violation = wasPoisoned ? changedPoison(page: page, pages: pages) : nil
    memset(start, 0, pages &* Self.pageBytes)
    if let violation { report(violation) }
    return violation
  }

  private func changedPoison(page: Int, pages: Int) -> MachineViolation? {
    let start = arena + page &* Self.pageBytes
    guard let change = Poison.firstChange(start, pages &* Self.pageBytes, from: Poison.released) else {
      return nil
    }
    return MachineViolation(
      kind: .useAfterFree, physical: physicalBase &+ UInt64(page &* Self.pageBytes &+ change),
      value: (start + change).load(as: UInt64.self))
  }

  /// Gives back the table of 2^`sizeLog2` bytes at `physical`.
  ///
  /// - Returns: what is wrong with the release, which also is recorded; nothing else happens then.
  func release(
    _ physical: UInt64, sizeLog2: Int, account: UnsafeMutablePointer<Int>
  ) -> MachineViolation? {
    let offset = physical &- physicalBase
    let page = Int(truncatingIfNeeded: offset / UInt64(Self.pageBytes))
    let pages = Self.tableSizes.contains(sizeLog2) ? Self.pages(sizeLog2: sizeLog2) : 1
    lock.lock()
    if let kind = refusal(of: offset, page: page, sizeLog2: sizeLog2) {
      lock.unlock()
      let violation = MachineViolation(
        kind: kind, physical: physical, value: UInt64(truncatingIfNeeded: sizeLog2))
      report(violation)
      return violation
    }
    state.pointee.livePages &-= pages
    nodePages[Int(records[page].node)] &-= pages
    account.pointee &-= pages
    if !poisonsReleasedTables {
      retire(page: page, pages: pages, .dirty)
      lock.unlock()
      return nil
    }
    // Nobody else can take the pages while they are poisoned, outside of the lock.
    let start = records[page].byteOffset
    for other in page..<page &+ pages { records[other].state = .leaving }
    lock.unlock()

    let violation = sizeLog2 < 12 ? overrun(page: page, table: start..<start &+ 1 &<< sizeLog2) : nil
    Poison.fill(arena + page &* Self.pageBytes, pages &* Self.pageBytes, with: Poison.released)
    lock.withLock { retire(page: page, pages: pages, .poisoned) }
    if let violation { report(violation) }
    return violation
  }

  @inline(__always)
  private func retire(page: Int, pages: Int, _ newState: PageRecord.State) {
    for other in page..<page &+ pages { records[other] = PageRecord(state: newState) }
    push(page: page, order: pages.trailingZeroBitCount)
  }

  /// Why a release is refused; nil when it is in order.
  @inline(__always)
  private func refusal(of offset: UInt64, page: Int, sizeLog2: Int) -> MachineViolation.Kind? {
    guard offset < reservedBytes, offset % 64 == 0 else { return .unknownFree }
    let record = records[page]
    guard record.state == .live else { return record.state == .fresh ? .unknownFree : .doubleFree }
    guard record.sizeLog2 != 0, Int(offset % UInt64(Self.pageBytes)) == record.byteOffset else {
      return .unknownFree
    }
    return Int(record.sizeLog2) == sizeLog2 ? nil : .sizeMismatch
  }

  /// The first word written in a page before or behind the table in it.
  private func overrun(page: Int, table: Range<Int>) -> MachineViolation? {
    let start = arena + page &* Self.pageBytes
    for part in [0..<table.lowerBound, table.upperBound..<Self.pageBytes] {
      guard let change = Poison.firstChange(start + part.lowerBound, part.count, from: 0) else { continue }
      let offset = part.lowerBound &+ change
      return MachineViolation(
        kind: .overrun, physical: physicalBase &+ UInt64(page &* Self.pageBytes &+ offset),
        value: (start + offset).load(as: UInt64.self))
    }
    return nil
  }

  /// Checks the poison of all released tables and returns the changes found, which also are recorded.
  ///
  /// To be called while no other thread uses the machine.
  public func verifyReleasedTables() -> [MachineViolation] {
    let used = Int(lock.withLock { state.pointee.usedPages })
    let found = (0..<used).compactMap { page in
      records[page].state == .poisoned ? changedPoison(page: page, pages: 1) : nil
    }
    found.forEach(report)
    return found
  }
}
