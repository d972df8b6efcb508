// SPDX-License-Identifier: GPL-2.0-only

/// What the allocator knows of one 4 KiB page. A zero record is a page that was never used.
struct PageRecord {
  enum State: UInt8 {
    /// Never allocated; holds zeros.
    case fresh = 0
    /// In an allocated table.
    case live
    /// Being released: out of the accounts, not yet on a list.
    case leaving
    /// Released, filled with poison.
    case poisoned
    /// Released, with whatever the page table left in it.
    case dirty
  }

  /// Of a free block's first page: the next free block's first page plus one; 0 ends the list.
  var next: UInt32 = 0
  /// What the page is used for.
  var state: State = .fresh
  /// Of a table's first page: the table's size, log2 of bytes. 0 in its other pages.
  var sizeLog2: UInt8 = 0
  /// The node of the table.
  var node: UInt8 = 0
  /// Of a table smaller than a page: where it starts in its page, in units of 64 bytes.
  var offset: UInt8 = 0

  /// Where in its first page the table starts, in bytes.
  var byteOffset: Int { Int(offset) &<< 6 }

  /// Whether a range of byte offsets in the page is in the table.
  func holds(_ offsets: Range<Int>) -> Bool {
    guard state == .live else { return false }
    guard (1..<12).contains(sizeLog2) else { return true }
    return offsets.lowerBound >= byteOffset && offsets.upperBound <= byteOffset &+ 1 &<< Int(sizeLog2)
  }
}

/// Pages and counts of a simulated machine.
struct AllocatorState {
  /// How many blocks sizes there are: 4 KiB, 8 KiB … 1 MiB.
  static let orders = 9

  /// Pages that the reserve has.
  let pageCount: UInt32
  /// Pages that were ever handed out, or skipped for alignment: the first page never used.
  var usedPages: UInt32 = 0
  /// The first free block per order, plus one; 0 where there is none.
  var freeBlocks = InlineArray<9, UInt32>(repeating: 0)

  /// Per size of tables smaller than a page, log2 of bytes: how many more fit into pages that the budget has paid for.
  /// Linux takes such tables from a cache that cuts pages up (Armv7's tables of 1 KiB).
  var paidShares = InlineArray<12, Int>(repeating: 0)

  var livePages = 0
  var peakPages = 0
  var allocations = 0

  /// Whether any of the three faults below is set.
  var injectsFaults = false
  var faults = InjectedFaults()

  var violations: [MachineViolation] = []

  /// Pages below this one have been looked at by `giveBackEmptyPages`.
  var scannedPages: UInt32 = 0
  /// The page below `scannedPages` from which it looks at old pages next.
  var rescanFrom: UInt32 = 0

  init(pageCount: UInt32) { self.pageCount = pageCount }

  /// The pages of the budget that a table of 2^`sizeLog2` bytes takes.
  func price(sizeLog2: Int) -> Int {
    sizeLog2 < 12 ? (paidShares[sizeLog2] > 0 ? 0 : 1) : 1 &<< (sizeLog2 &- 12)
  }

  /// Notes that a table of 2^`sizeLog2` bytes, less than a page, was allocated at its price.
  mutating func takeShare(sizeLog2: Int) {
    if paidShares[sizeLog2] == 0 { paidShares[sizeLog2] = 1 &<< (12 &- sizeLog2) }
    paidShares[sizeLog2] &-= 1
  }
}

/// Failures that allocations meet, counted from when they were set.
struct InjectedFaults {
  /// The allocation that fails: 1 is the next one.
  var failingAllocation: Int?
  /// How many allocations succeed before all fail.
  var successesLeft: Int?
  /// How many 4 KiB pages may still be allocated.
  var budget: Int?

  var isEmpty: Bool { failingAllocation == nil && successesLeft == nil && budget == nil }

  /// Counts one allocation of `pages` pages and returns whether it fails.
  mutating func refuses(pages: Int) -> Bool {
    var fails = false
    if let number = failingAllocation {
      failingAllocation = number > 1 ? number - 1 : nil
      fails = number <= 1
    }
    if let left = successesLeft, left <= 0 { fails = true }
    if let budget, budget < pages { fails = true }
    guard !fails else { return true }
    successesLeft = successesLeft.map { $0 - 1 }
    budget = budget.map { $0 - pages }
    return false
  }
}
