// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// Lines written to a file descriptor at once, so that none is lost when the process is killed.
struct LineOutput {
  let descriptor: Int32

  /// Writes all of `text`; returns false when the descriptor takes no more.
  func write(_ text: String) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written > 0 {
        bytes = bytes.dropFirst(written)
      } else if written < 0, errno == EAGAIN {
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&ready, 1, -1)
      } else if written == 0 || errno != EINTR {
        return false
      }
    }
    return true
  }
}
