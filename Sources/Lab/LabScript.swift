// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// A script of the lab's folder, run to its end. What it says on standard error is passed on as it comes.
struct LabScript {
  let output: String
  let status: Int32
  /// The last line that it said on standard error.
  let lastWords: String

  init(_ command: [String]) throws(LabError) {
    var out: [Int32] = [-1, -1]
    var err: [Int32] = [-1, -1]
    // Sockets, for they can be made so that no child of another thread keeps them open.
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &out) == 0, socketpair(AF_UNIX, kind, 0, &err) == 0 else {
      throw .call("socketpair")
    }
    defer {
      close(out[0])
      close(err[0])
    }
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    // A group of its own, which is ended as a whole, and signals that it can take.
    GuestProcesses.setSignals(&attributes)
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, out[1], 1)
    posix_spawn_file_actions_adddup2(&actions, err[1], 2)
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let error = posix_spawnp(&child, command[0], &actions, &attributes, &arguments, environ)
    close(out[1])
    close(err[1])
    guard error == 0 else { throw LabError("\(command[0]): \(String(cString: strerror(error)))") }
    GuestProcesses.shared.add(group: child)
    let (said, complained) = Self.drain(out[0], err[0])
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    GuestProcesses.shared.remove(group: child)
    output = String(decoding: said, as: UTF8.self)
    lastWords =
      String(decoding: complained, as: UTF8.self).split(whereSeparator: \.isNewline).last.map(String.init)
      ?? ""
    self.status = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
  }

  private static func drain(_ out: Int32, _ err: Int32) -> ([UInt8], [UInt8]) {
    var said: [UInt8] = []
    var complained: [UInt8] = []
    var ends = [
      pollfd(fd: out, events: Int16(POLLIN), revents: 0), pollfd(fd: err, events: Int16(POLLIN), revents: 0),
    ]
    var buffer = [UInt8](repeating: 0, count: 4096)
    while ends.contains(where: { $0.fd >= 0 }) {
      guard poll(&ends, 2, -1) > 0 else { continue }
      for index in ends.indices where ends[index].revents != 0 {
        let count = read(ends[index].fd, &buffer, buffer.count)
        if count <= 0 {
          ends[index].fd = -1
        } else if index == 0 {
          said += buffer[..<count]
        } else {
          complained += buffer[..<count]
          _ = Glibc.write(2, buffer, count)
        }
      }
    }
    return (said, complained)
  }
}
