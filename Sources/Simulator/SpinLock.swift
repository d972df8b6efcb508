// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Synchronization

/// A lock for stretches of a few nanoseconds: one atomic exchange to take it, one store to release it.
struct SpinLock: ~Copyable {
  private let taken = Atomic<Bool>(false)

  /// Takes the lock; gives the processor away where the holder may have been preempted.
  @inline(__always)
  borrowing func lock() {
    if !taken.exchange(true, ordering: .acquiring) { return }
    wait()
  }

  @inline(__always)
  borrowing func unlock() {
    taken.store(false, ordering: .releasing)
  }

  /// Runs `body` with the lock taken.
  @inline(__always)
  borrowing func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    lock()
    defer { unlock() }
    return try body()
  }

  @inline(never)
  private borrowing func wait() {
    repeat {
      var spins = 0
      while taken.load(ordering: .relaxed) {
        spins += 1
        if spins > 100 { sched_yield() }
      }
    } while taken.exchange(true, ordering: .acquiring)
  }
}
