// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Testing

@testable import Kernel

@Suite("Signals that end a run")
struct InterruptionTests {
  @Test("a signal is kept until it is asked for, and then ends every step")
  func kept() {
    let interruption = Interruption()
    #expect(throws: Never.self) { try interruption.check() }
    // To this thread, which blocks it: the process has others.
    pthread_kill(pthread_self(), SIGTERM)
    #expect(throws: KernelInterruption(signal: SIGTERM)) { try interruption.check() }
    #expect(throws: KernelInterruption(signal: SIGTERM)) { try interruption.check() }
    #expect(interruption.signal == SIGTERM)
    var set = sigset_t()
    sigemptyset(&set)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&set, signal) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }

  @Test("without a signal the end changes nothing")
  func quiet() {
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &before)
    let interruption = Interruption()
    #expect(interruption.isQuiet)
    interruption.end()
    var after = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &after)
    #expect(sigismember(&before, SIGTERM) == sigismember(&after, SIGTERM))
  }
}
