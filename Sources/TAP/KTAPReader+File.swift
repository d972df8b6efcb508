// SPDX-License-Identifier: GPL-2.0-only

import Glibc

extension KTAPReader {
  /// Reads a file; `-` is standard input.
  ///
  /// - Throws: where it cannot be read, or there is no TAP in it, or none that can be read.
  public static func read(contentsOf path: String) throws(KTAPError) -> KTAPDocument {
    if path == "-" {
      return try read(try bytes(of: STDIN_FILENO, name: "standard input"), file: "standard input")
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    return try read(try bytes(of: descriptor, name: path), file: path)
  }

  private static func bytes(of descriptor: Int32, name: String) throws(KTAPError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(name) }
      guard count > 0 else { return bytes }
      bytes += chunk[..<count]
    }
  }

  private static func failure(_ name: String) -> KTAPError {
    KTAPError(file: name, line: nil, message: "cannot be read: \(String(cString: strerror(errno)))")
  }
}
