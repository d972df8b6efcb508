// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// How far the events of one operation are.
struct InvalidationProgress: Sendable {
  /// The writes and the syncs of the operation so far, oldest first.
  var writes: [LoggedEvent] = []
  var syncs: [LoggedEvent] = []
  /// What a sync removed although the words that lead to it were still as they had been: the device can read it again
  /// until one of them is written.
  var pendingLeaves: [TranslationCaches.KeptLeaf] = []
  var pendingPointers: [TranslationCaches.KeptPointer] = []
}

extension MemoryEvent {
  /// The word that the event writes at a physical address; nil when it writes none there.
  func word(at place: UInt64) -> UInt64? {
    guard case .entryWrites(let at, let count, let value, let step, let wordBytes) = self,
      let bytes = UInt64(exactly: wordBytes), bytes == 4 || bytes == 8, (place &- at) % bytes == 0,
      (place &- at) / bytes < UInt64(clamping: count)
    else { return nil }
    return (value &+ (place &- at) / bytes &* step) & Bits.lowMask(Int(bytes) * 8)
  }

  /// Whether the event writes the word at a physical address.
  func writes(_ place: UInt64) -> Bool { word(at: place) != nil }

  /// Whether a word written by the event is another entry than `old` was: more than a bit of software or hardware
  /// differs.
  func changes(_ place: UInt64, from old: UInt64) -> Bool {
    word(at: place).map { ($0 ^ old).nonzeroBitCount > 1 } ?? false
  }
}

extension TranslationCaches.KeptLeaf {
  /// The words that lead to it and its own, by their physical addresses.
  var words: [(place: UInt64, word: UInt64)] {
    path.map { ($0.place, $0.word) } + [(leaf.place, leaf.word)]
  }
}

extension TranslationCaches.KeptPointer {
  /// The words that lead to it and its own, by their physical addresses.
  var words: [(place: UInt64, word: UInt64)] { path[...index].map { ($0.place, $0.word) } }
}

extension TranslationCaches {
  /// Does to the caches what the events of one operation say: syncs and changes of the top remove what they cover.
  ///
  /// A sync before the write that it is for does not help: the device can have read the old word again in
  /// between, so it counts as kept.
  ///
  /// - Returns: tables that were released while the caches still led to them.
  public mutating func apply(_ events: [MemoryEvent]) -> [CacheViolation] {
    progress = InvalidationProgress()
    var found: [CacheViolation] = []
    let lastWrite = events.lastIndex { if case .entryWrites = $0 { true } else { false } } ?? -1
    for (index, event) in events.enumerated() {
      let logged = LoggedEvent(position, event)
      position += 1
      switch event {
      case .entryWrites:
        progress.writes.append(logged)
        keepAgain(event)
      case .sync(let request):
        progress.syncs.append(logged)
        invalidate(request, isFinal: index > lastWrite)
      case .release(let table, _): found += release(table, logged)
      case .topChange, .detach: forgetAll()
      default: break
      }
    }
    return found
  }

  /// Removes what a request covers. Where it says what was removed at which levels, hardware may be told to keep
  /// the rest.
  private mutating func invalidate(_ request: InvalidationRequest, isFinal: Bool) {
    guard request.first <= request.last else { return }
    let isDetailed = request.leafLevels | request.tableLevels != 0
    func concerns(_ levels: UInt8, _ level: Int) -> Bool {
      !isDetailed || level < 8 && levels & (1 << UInt8(level)) != 0
    }
    var sizes = leafSizes
    while sizes != 0 {
      let found = leaves[sizes.trailingZeroBitCount].values(overlapping: request.first, request.last)
      for kept in found where concerns(request.leafLevels, kept.leaf.level) {
        forget(kept)
        if !isFinal, isIntact(kept.words) { progress.pendingLeaves.append(kept) }
      }
      sizes &= sizes - 1
    }
    for level in pointers.indices where concerns(request.tableLevels, level) {
      for kept in pointers[level].values(overlapping: request.first, request.last) {
        forget(kept)
        if !isFinal, isIntact(kept.words) { progress.pendingPointers.append(kept) }
      }
    }
  }

  /// Whether this operation has not yet changed any of some words.
  private func isIntact(_ words: [(place: UInt64, word: UInt64)]) -> Bool {
    words.allSatisfy { place, word in
      let last = progress.writes.last { $0.event.writes(place) }
      return last.map { !$0.event.changes(place, from: word) } ?? true
    }
  }

  /// Keeps again what was invalidated before the event wrote a word on its path.
  private mutating func keepAgain(_ event: MemoryEvent) {
    if progress.pendingLeaves.isEmpty, progress.pendingPointers.isEmpty { return }
    func isWritten(_ words: [(place: UInt64, word: UInt64)]) -> Bool {
      words.contains { event.changes($0.place, from: $0.word) }
    }
    for kept in progress.pendingLeaves where isWritten(kept.words) { keep(kept) }
    for kept in progress.pendingPointers where isWritten(kept.words) { keep(kept) }
    progress.pendingLeaves.removeAll { isWritten($0.words) }
    progress.pendingPointers.removeAll { isWritten($0.words) }
  }

  /// A table goes; nothing may lead to it.
  private mutating func release(_ table: UInt64, _ logged: LoggedEvent) -> [CacheViolation] {
    var found: [CacheViolation] = []
    if leading[table] != nil {
      for level in pointers.indices {
        for kept in pointers[level].values.values where kept.pointer.table == table {
          found.append(lateRelease(kept, logged))
          forget(kept)
        }
      }
    }
    for kept in progress.pendingPointers where kept.pointer.table == table {
      found.append(lateRelease(kept, logged))
    }
    progress.pendingPointers.removeAll { $0.pointer.table == table }
    return found.sorted { $0.iova < $1.iova }
  }
}
