// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Synchronization

/// A lock for stretches of a few nanoseconds: one atomic exchange to take it, one store to release it.
@frozen
public struct SpinLock: ~Copyable, Sendable {
  @usableFromInline let taken = Atomic<Bool>(false)

  @inlinable
  public init() {}

  /// Takes the lock; gives the processor away where the holder may have been preempted.
  @inlinable @inline(__always)
  public borrowing func lock() {
    if !taken.exchange(true, ordering: .acquiring) { return }
    wait()
  }

  /// Gives the lock back.
  @inlinable @inline(__always)
  public borrowing func unlock() {
    taken.store(false, ordering: .releasing)
  }

  /// Runs `body` with the lock taken.
  @inlinable @inline(__always)
  public borrowing func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    lock()
    defer { unlock() }
    return try body()
  }

  @usableFromInline
  borrowing func wait() {
    repeat {
      var spins = 0
      while taken.load(ordering: .relaxed) {
        spins += 1
        if spins > 100 { sched_yield() }
      }
    } while taken.exchange(true, ordering: .acquiring)
  }
}
