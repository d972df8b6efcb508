// SPDX-License-Identifier: GPL-2.0-only

/// The cache lines of a table, as a set.
struct LineSet {
  private var words: [UInt64]
  private let lineCount: Int

  init(tableBytes: UInt64) {
    lineCount = Int(tableBytes / ShadowMemory.lineBytes)
    words = Array(repeating: 0, count: (lineCount + 63) / 64)
  }

  var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  /// The byte offset of the first line in the set.
  var firstOffset: UInt64? {
    guard let word = words.firstIndex(where: { $0 != 0 }) else { return nil }
    return UInt64(word * 64 + words[word].trailingZeroBitCount) * ShadowMemory.lineBytes
  }

  /// Adds the lines that a range of byte offsets touches.
  mutating func insert(_ offsets: Range<UInt64>) {
    forLines(of: offsets) { $0 | $1 }
  }

  /// Removes the lines that a range of byte offsets touches.
  mutating func remove(_ offsets: Range<UInt64>) {
    forLines(of: offsets) { $0 & ~$1 }
  }

  private mutating func forLines(of offsets: Range<UInt64>, _ change: (UInt64, UInt64) -> UInt64) {
    guard !offsets.isEmpty else { return }
    let first = Int(offsets.lowerBound / ShadowMemory.lineBytes)
    let last = min(Int((offsets.upperBound - 1) / ShadowMemory.lineBytes), lineCount - 1)
    guard first <= last else { return }
    for line in first...last {
      words[line / 64] = change(words[line / 64], 1 << UInt64(line % 64))
    }
  }
}

/// What `EventChecker` knows of an allocated table.
struct TrackedTable {
  /// A pointer in a table.
  struct Link {
    var child: UInt64
    /// The word that points to the child.
    var value: UInt64

    /// Whether the entry still points to the child when it holds `value`. Software bits may come and go,
    /// one with each write; whatever else differs is another entry.
    func survives(_ value: UInt64) -> Bool {
      value != 0 && (value ^ self.value).nonzeroBitCount <= 1
    }
  }

  let physical: UInt64
  let bytes: UInt64
  let allocation: LoggedEvent

  /// The pointers in the table, by the entry's physical address.
  var links: [UInt64: Link] = [:]
  /// The entries of other tables that point to this one.
  var parents: Set<UInt64> = []

  /// Whether a walk can lead here.
  var isReachable = false
  /// Whether a walk could lead here once, and since when it cannot any more.
  var lostSight: LoggedEvent?

  /// Lines written, or never flushed since the allocation.
  var unflushed: LineSet
  /// The lines of `unflushed` in which entries were cleared.
  var unflushedClears: LineSet
  /// The last write that made a line of the table unflushed.
  var lastWrite: LoggedEvent

  init(physical: UInt64, bytes: UInt64, allocation: LoggedEvent, isIncoherent: Bool) {
    self.physical = physical
    self.bytes = bytes
    self.allocation = allocation
    lastWrite = allocation
    unflushed = LineSet(tableBytes: bytes)
    unflushedClears = LineSet(tableBytes: bytes)
    if isIncoherent { unflushed.insert(0..<bytes) }
  }

  /// Whether all of `physical ..< physical + count` is in the table.
  func contains(_ physical: UInt64, _ count: UInt64) -> Bool {
    let offset = physical &- self.physical
    return offset < bytes && count <= bytes - offset
  }
}
