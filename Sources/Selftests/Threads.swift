// SPDX-License-Identifier: GPL-2.0-only

import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Threads of the host that start together.
enum Threads {
  /// Runs `body` on `count` threads, numbered from 0, and waits for all of them. They begin when all are there.
  ///
  /// - Throws: `SelftestFailure` when the host refuses a thread.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    let gate = Gate(count)
    var threads: [pthread_t] = []
    for index in 0..<count {
      let start = Start {
        gate.wait()
        body(index)
      }
      guard let thread = start.launch() else {
        gate.open()
        for thread in threads { pthread_join(thread, nil) }
        throw SelftestFailure("the host refuses a thread")
      }
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
  }
}

/// Where threads wait for each other.
private final class Gate: Sendable {
  private let missing: Atomic<Int>

  init(_ count: Int) { missing = Atomic(count) }

  func wait() {
    missing.subtract(1, ordering: .acquiringAndReleasing)
    // There may be more threads than processors.
    while missing.load(ordering: .acquiring) > 0 { sched_yield() }
  }

  func open() { missing.store(0, ordering: .releasing) }
}

/// Where threads wait for each other time and again. One that will not come any more leaves.
///
/// One atomic word and no Mutex, whose operations ThreadSanitizer does not see.
final class MeetingPoint: Sendable {
  /// The members in the lowest 16 bits, those waiting in the next 16, and the meetings so far above.
  private let state: Atomic<UInt64>

  private static let oneWaiting: UInt64 = 1 << 16
  private static let oneMeeting: UInt64 = 1 << 32

  init(_ members: Int) { state = Atomic(UInt64(members)) }

  /// Waits until every member is here.
  func meet() {
    let meeting = change { $0 + Self.oneWaiting } >> 32
    // There may be more threads than processors.
    while state.load(ordering: .acquiring) >> 32 == meeting { sched_yield() }
  }

  func leave() { _ = change { $0 - 1 } }

  /// Changes the state, and ends the meeting when all are there; returns the state before.
  private func change(_ body: (UInt64) -> UInt64) -> UInt64 {
    var old = state.load(ordering: .relaxed)
    while true {
      var new = body(old)
      let members = new & 0xffff
      let waiting = new >> 16 & 0xffff
      if waiting >= members { new = new - waiting * Self.oneWaiting + Self.oneMeeting }
      let (exchanged, current) = state.compareExchange(
        expected: old, desired: new, ordering: .acquiringAndReleasing)
      if exchanged { return old }
      old = current
    }
  }
}

/// What a thread is started with.
private final class Start: Sendable {
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  /// Starts the thread; nil when the host refuses it.
  func launch() -> pthread_t? {
    let context = Unmanaged.passRetained(self)
    #if canImport(Glibc)
      var thread: pthread_t = 0
    #else
      var thread: pthread_t?
    #endif
    let status = pthread_create(
      &thread, nil,
      { context in
        // Never null: it is the pointer that was passed in.
        if let context { Unmanaged<Start>.fromOpaque(context).takeRetainedValue().body() }
        return nil
      }, context.toOpaque())
    guard status == 0 else {
      context.release()
      return nil
    }
    return thread
  }
}
