// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// Signals that end a run in good order.
///
/// They are blocked while it lasts, and asked for between tests and between the steps of long ones. No handler runs: what has to
/// be put back takes many calls that a handler may not make, and a blocked signal cannot end the undoing in its middle, either.
/// A call that takes long in the kernel cannot be left anyway. SIGPIPE is among them, so that `ptkit selftest | head` puts things
/// back; SIGKILL and SIGQUIT are not, after which the journal is left.
public final class Interruption {
  private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGPIPE]
  private var previous = sigset_t()
  private var set = sigset_t()
  /// The signal that came.
  public private(set) var signal: Int32?

  /// Blocks the signals. Threads that were started before still take them, so this comes first.
  public init() {
    sigemptyset(&set)
    for signal in Self.signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, &previous)
  }

  /// Throws once a signal has come.
  public func check() throws(KernelInterruption) {
    look()
    if let signal { throw KernelInterruption(signal: signal) }
  }

  /// Whether no signal has come.
  public var isQuiet: Bool {
    look()
    return signal == nil
  }

  private func look() {
    guard signal == nil else { return }
    var time = timespec()
    let found = sigtimedwait(&set, nil, &time)
    if found > 0 { signal = found }
  }

  /// Ends the process by the signal that came, as it would have ended without this, so that who started it can tell. Nothing
  /// happens where none came.
  public func end() {
    look()
    guard let signal else {
      pthread_sigmask(SIG_SETMASK, &previous, nil)
      return
    }
    Glibc.signal(signal, SIG_DFL)
    raise(signal)
    // Whoever started this process may have blocked it, too, as threads of libdispatch do.
    sigdelset(&previous, signal)
    pthread_sigmask(SIG_SETMASK, &previous, nil)
  }

  /// The name of a signal, for a reader.
  public static func name(_ signal: Int32) -> String {
    switch signal {
    case SIGINT: "SIGINT"
    case SIGTERM: "SIGTERM"
    case SIGHUP: "SIGHUP"
    case SIGPIPE: "SIGPIPE"
    default: "signal \(signal)"
    }
  }
}
