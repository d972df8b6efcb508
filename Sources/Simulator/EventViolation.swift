// SPDX-License-Identifier: GPL-2.0-only

/// What every sequence of memory events must keep to.
public enum EventRule: String, Hashable, Sendable, CaseIterable {
  /// A table is made reachable only once all of it is flushed (incoherent walkers).
  case flushBeforeInstall
  /// A table becomes the top only once all of it is flushed (incoherent walkers).
  case flushBeforeTopChange
  /// A cleared entry is flushed before the IOTLB sync that makes the clearing final, else the walker
  /// may read the old entry again (incoherent walkers).
  case flushBeforeSync
  /// When no operation is in flight, no written entry of a reachable table waits for its flush
  /// (incoherent walkers).
  case flushByEndOfOperation
  /// Between losing sight of a table and releasing it there is an IOTLB sync.
  case syncBeforeRelease
  /// Between losing sight of a table and installing it again there is an IOTLB sync.
  case syncBeforeReuse
  /// A table that the walker can reach is not released.
  case unlinkBeforeRelease
  /// The top table is not released.
  case keepTop
  /// A sync is followed by no more releases than it announced.
  case announcedReleases
  /// What an unmap reported as removed is covered by syncs before it returns.
  case unmapIsSynced
  /// The leaves whose dirty state was read and cleared are covered by syncs before that is reported, for
  /// the IOMMU does not mark a page again that it knows to be dirty.
  case clearedDirtyIsSynced
  /// A sync has first ≤ last.
  case syncRange
  /// Writes, flushes, installs and top changes concern allocated tables.
  case onlyAllocatedMemory
  /// The machine saw no misuse of table memory.
  case noMisuse
  /// The log holds all events, and a top is announced before the first install.
  case completeLog
}

/// An event with its place in the log; the first has position 0.
public struct LoggedEvent: Hashable, Sendable, CustomStringConvertible {
  public let position: Int
  public let event: MemoryEvent

  public init(_ position: Int, _ event: MemoryEvent) {
    self.position = position
    self.event = event
  }

  public var description: String { "#\(position) \(event)" }
}

/// A rule that a log breaks.
public struct EventViolation: Hashable, Sendable, CustomStringConvertible {
  /// The rule.
  public let rule: EventRule
  /// What happened instead.
  public let message: String
  /// The events concerned, oldest first; the last one is where it shows.
  public let events: [LoggedEvent]

  public init(rule: EventRule, message: String, events: [LoggedEvent]) {
    self.rule = rule
    self.message = message
    self.events = events
  }

  public var description: String {
    "\(rule.rawValue): \(message) [\(events.map(\.description).joined(separator: "; "))]"
  }
}
