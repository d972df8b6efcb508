// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// A connection to a Unix socket, closed with the object.
final class LocalSocket {
  let descriptor: Int32
  private var buffer: [UInt8] = []

  /// Takes over an open descriptor.
  init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Connects to a path; tries again until the socket is there.
  ///
  /// - Parameter death: why it will never be there; nil while it may.
  convenience init(path: String, seconds: Double, death: () -> String?) throws(LabError) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw LabError("\(path): too long for a socket")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let deadline = Deadline(seconds: seconds)
    while true {
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { throw .call("socket") }
      let result = withUnsafePointer(to: address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      if result == 0 {
        self.init(descriptor: descriptor)
        return
      }
      let error = LabError.call("connect \(path)")
      close(descriptor)
      if let reason = death() { throw LabError(reason) }
      guard !deadline.isOver else { throw error }
      usleep(20_000)
    }
  }

  func send(_ bytes: [UInt8]) throws(LabError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        throw .call("send")
      }
    }
  }

  /// Bytes up to a delimiter, which is left out.
  func receive(until delimiter: UInt8, _ deadline: Deadline) throws(LabError) -> [UInt8] {
    while true {
      if let end = buffer.firstIndex(of: delimiter) {
        let part = Array(buffer[..<end])
        buffer.removeFirst(end + 1)
        return part
      }
      try receiveMore(deadline)
    }
  }

  /// So many bytes.
  func receive(count: Int, _ deadline: Deadline) throws(LabError) -> [UInt8] {
    while buffer.count < count { try receiveMore(deadline) }
    let part = Array(buffer[..<count])
    buffer.removeFirst(count)
    return part
  }

  private func receiveMore(_ deadline: Deadline) throws(LabError) {
    var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&ready, 1, deadline.milliseconds) > 0 else {
      throw LabError("no answer within \(Int(deadline.seconds)) s")
    }
    var part = [UInt8](repeating: 0, count: 65536)
    let got = recv(descriptor, &part, part.count, 0)
    if got > 0 {
      buffer += part[..<got]
    } else if got == 0 || errno != EINTR {
      throw LabError("the connection was closed")
    }
  }
}
