// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// A child process that does not outlive this one: a program that runs a virtual machine.
final class GuestProcess {
  let identifier: pid_t
  private var status: Int32?

  /// Starts a program with its output in a file.
  init(_ command: [String], log: String) throws(LabError) {
    // The kernel ends it with the thread that started it, however that ends.
    let keeper = "/usr/bin/setpriv"
    let words = (access(keeper, X_OK) == 0 ? [keeper, "--pdeathsig", "KILL", "--"] : []) + command
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // A group of its own: a terminal's interrupt is for this process, which ends the machine in good order.
    GuestProcesses.setSignals(&attributes)
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let error = posix_spawnp(&child, words[0], &actions, &attributes, &arguments, environ)
    guard error == 0 else { throw LabError("\(words[0]): \(String(cString: strerror(error)))") }
    identifier = child
    GuestProcesses.shared.add(child)
  }

  /// Whether it ended by itself, with success.
  var isDone: Bool { end != nil && status == 0 }

  /// How it ended; nil while it runs.
  var end: String? {
    if status == nil {
      var value: Int32 = 0
      if waitpid(identifier, &value, WNOHANG) == identifier {
        status = value
        GuestProcesses.shared.remove(identifier)
      }
    }
    guard let status else { return nil }
    let signal = status & 0x7f
    return signal == 0 ? "ended with status \((status >> 8) & 0xff)" : "was ended by signal \(signal)"
  }

  /// Waits for its end; false where it still runs then.
  func wait(seconds: Double) -> Bool {
    let deadline = Deadline(seconds: seconds)
    while end == nil {
      if deadline.isOver { return false }
      usleep(20_000)
    }
    return true
  }

  /// Ends it at once.
  func kill() {
    guard end == nil else { return }
    Glibc.kill(identifier, SIGKILL)
    _ = wait(seconds: 10)
  }

  deinit { kill() }
}
