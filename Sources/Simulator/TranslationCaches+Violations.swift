// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a device's caches show to be wrong with invalidations.
public enum CacheRule: String, Hashable, Sendable, CaseIterable {
  /// The IOTLB answers as a walk does.
  case staleLeaf
  /// A walk that starts behind a cached pointer ends as one from the root does.
  case staleTable
  /// A table is released only when no cached pointer leads to it.
  case lateInvalidation
}

/// A rule that an operation's invalidations break.
public struct CacheViolation: Hashable, Sendable, CustomStringConvertible {
  public let rule: CacheRule
  /// An address that shows it.
  public let iova: UInt64
  /// What the caches say, and what a walk says.
  public let message: String
  /// The operation's events concerned, oldest first: the write that the caches did not follow, if it is known, then
  /// the syncs that came too early or covered too little.
  public let events: [LoggedEvent]

  public var description: String {
    "\(rule.rawValue): \(message)"
      + (events.isEmpty ? "" : " [\(events.map(\.description).joined(separator: "; "))]")
  }
}

extension TranslationCaches {
  func staleLeaf(_ kept: KeptLeaf, _ iova: UInt64, _ walked: CachedLeaf?) -> CacheViolation {
    CacheViolation(
      rule: .staleLeaf, iova: iova,
      message: "the IOTLB translates \(Numbers.hex(iova)) to \(Self.text(kept.leaf, iova)), "
        + "the walk finds \(Self.text(walked, iova)); \(omission(kept.words, iova))",
      events: events(of: kept.words))
  }

  func stalePointer(
    _ kept: KeptPointer, _ iova: UInt64, answer: CachedLeaf?, _ walked: CachedLeaf?
  ) -> CacheViolation {
    CacheViolation(
      rule: .staleTable, iova: iova,
      message:
        "a cached pointer of level \(kept.pointer.level) to the table \(Numbers.hex(kept.pointer.table)) "
        + "translates \(Numbers.hex(iova)) to \(Self.text(answer, iova)), the walk finds "
        + "\(Self.text(walked, iova)); \(omission(kept.words, iova))",
      events: events(of: kept.words))
  }

  func lateRelease(_ kept: KeptPointer, _ logged: LoggedEvent) -> CacheViolation {
    CacheViolation(
      rule: .lateInvalidation, iova: kept.iova,
      message: "the table \(Numbers.hex(kept.pointer.table)) is released, and a cached pointer of level "
        + "\(kept.pointer.level) for \(Numbers.hex(kept.iova)) still leads to it; "
        + omission(kept.words, kept.iova),
      events: events(of: kept.words) + [logged])
  }

  private static func text(_ leaf: CachedLeaf?, _ iova: UInt64) -> String {
    leaf.map {
      "\(Numbers.hex($0.address(of: iova))) \($0.protection.text)\($0.isDirty ? " dirty" : "")"
    } ?? "nothing"
  }

  /// The last write of one of some words, the lowest first.
  private func write(of words: [(place: UInt64, word: UInt64)]) -> LoggedEvent? {
    for (place, _) in words.reversed() {
      if let write = progress.writes.last(where: { $0.event.writes(place) }) { return write }
    }
    return nil
  }

  /// That write and the operation's syncs, oldest first.
  private func events(of words: [(place: UInt64, word: UInt64)]) -> [LoggedEvent] {
    ([write(of: words)].compactMap { $0 } + progress.syncs).sorted { $0.position < $1.position }
  }

  /// What is missing.
  private func omission(_ words: [(place: UInt64, word: UInt64)], _ iova: UInt64) -> String {
    guard let write = write(of: words) else { return "no recorded write explains it" }
    let covering = progress.syncs.filter {
      guard case .sync(let request) = $0.event else { return false }
      return request.first <= iova && iova <= request.last
    }
    if progress.syncs.isEmpty { return "no sync followed" }
    if covering.isEmpty { return "no sync covers it" }
    return covering.contains { $0.position > write.position }
      ? "the sync's levels leave it out" : "the sync came before the write"
  }
}
