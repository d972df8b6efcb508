// SPDX-License-Identifier: GPL-2.0-only

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Text files that people write.
public enum InputText {
  /// All of a file, or of what comes through a pipe.
  ///
  /// - Throws: `WalkInputError` that names the file and why it cannot be read.
  public static func contents(of path: String) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
      if count == 0 { break }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path) }
      bytes += buffer[..<count]
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw WalkInputError("\(path): expected text in UTF-8")
    }
    return text
  }

  private static func failure(_ path: String) -> WalkInputError {
    WalkInputError("\(path): \(String(cString: strerror(errno)))")
  }
}
