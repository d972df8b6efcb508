// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Checks a domain's memory events against `EventRule`s: flushed before it can be walked, synced before
/// it is released.
///
/// The log must start with the domain's first allocation; it may be handed over in parts. With operations
/// of several threads in flight, the order of events is that of the log, not quite that of memory, so
/// `flushBeforeInstall`, `flushBeforeSync` and `announcedReleases` then are not applied.
public struct EventChecker {
  /// Whether the walker sees only what was flushed.
  public let isIncoherent: Bool

  var tables: [UInt64: TrackedTable] = [:]
  /// The table that holds each 4 KiB page, by the page's physical address.
  var owners: [UInt64: UInt64] = [:]
  /// The tables with `unflushed` lines.
  var waiting: Set<UInt64> = []
  var top: UInt64?
  var isDetached = false
  var lastSync: LoggedEvent?
  /// Releases that the last sync announced and that have not happened; nil where that is not known.
  var announced: Int?
  var operations: [Int: OperationInFlight] = [:]
  private var position = 0
  private var found: [EventViolation] = []

  public init(incoherent: Bool) { isIncoherent = incoherent }

  /// The violations in a whole log.
  public static func check(_ events: [MemoryEvent], incoherent: Bool) -> [EventViolation] {
    var checker = EventChecker(incoherent: incoherent)
    return checker.check(events)
  }

  /// The violations that the next events of the log show.
  public mutating func check(_ events: [MemoryEvent]) -> [EventViolation] {
    for event in events {
      check(LoggedEvent(position, event))
      position += 1
    }
    defer { found = [] }
    return found
  }

  private mutating func check(_ logged: LoggedEvent) {
    switch logged.event {
    case .allocate(let physical, let sizeLog2): allocate(physical, sizeLog2, logged)
    case .allocationFailed: break
    case .entryWrites(let at, let count, let value, let step, let wordBytes):
      write(at, count: count, value: value, step: step, wordBytes: UInt64(clamping: wordBytes), logged)
    case .cacheFlush(let at, let byteCount): flush(at, byteCount, logged)
    case .tableInstall(let child, let entry, let value): install(child, at: entry, value: value, logged)
    case .sync(let request): synchronize(request, logged)
    case .release(let physical, _): release(physical, logged)
    case .topChange(let physical, _): changeTop(to: physical, logged)
    case .begin(let id, let operation): begin(id, operation, logged)
    case .end(let id, let result): end(id, result, logged)
    case .detach: isDetached = true
    case .misuse(let violation): report(.noMisuse, violation.description, [logged])
    case .lost(let count): report(.completeLog, "\(count) events are not in the log", [logged])
    }
  }

  mutating func report(_ rule: EventRule, _ message: String, _ events: [LoggedEvent]) {
    found.append(EventViolation(rule: rule, message: message, events: events))
  }
}
