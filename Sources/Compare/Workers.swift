// SPDX-License-Identifier: GPL-2.0-only

import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Threads of the host that run one function each.
public struct Workers {
  private var threads: [pthread_t] = []

  /// Starts threads, numbered from 0. One that the host refuses runs here and now.
  public init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    for index in 0..<count {
      let start = Unmanaged.passRetained(Start { body(index) })
      var thread = pthread_t()
      let refused = pthread_create(&thread, nil, { run($0) }, start.toOpaque())
      if refused == 0 {
        threads.append(thread)
      } else {
        start.takeRetainedValue().body()
      }
    }
  }

  /// Waits for all of them.
  public func join() {
    for thread in threads { pthread_join(thread, nil) }
  }
}

private final class Start: Sendable {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private func run(_ start: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  if let start { Unmanaged<Start>.fromOpaque(start).takeRetainedValue().body() }
  return nil
}

/// Work that threads take, and what came of it.
public final class Board<Report: Sendable>: Sendable {
  private let reports: Mutex<[Report?]>
  private let next = Atomic<Int>(0)
  private let count: Int

  /// A board of so many pieces of work.
  public init(_ count: Int) {
    self.count = count
    reports = Mutex(Array(repeating: nil, count: count))
  }

  /// The number of the next piece, or nil when all are taken.
  public func take() -> Int? {
    let taken = next.add(1, ordering: .relaxed).oldValue
    return taken < count ? taken : nil
  }

  /// Leaves the report of a piece.
  public func put(_ report: Report, at index: Int) { reports.withLock { $0[index] = report } }

  /// The report of a piece, once it is there.
  public func wait(for index: Int) -> Report {
    while true {
      if let report = reports.withLock({ $0[index] }) { return report }
      usleep(1000)
    }
  }
}
