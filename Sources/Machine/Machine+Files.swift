// SPDX-License-Identifier: GPL-2.0-only

/// Small files of procfs, sysfs and debugfs.
extension Machine {
  /// All of a file.
  public func contents(of path: String) throws(MachineError) -> [UInt8] {
    let descriptor = try open(path, .read)
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    while true {
      let part = try read(descriptor, count: 65536, at: nil)
      if part.isEmpty { return bytes }
      bytes += part
    }
  }

  /// All of a file of text.
  public func text(of path: String) throws(MachineError) -> String {
    String(decoding: try contents(of: path), as: UTF8.self)
  }

  /// The text of a file of one line, without the spaces around it.
  public func line(of path: String) throws(MachineError) -> String {
    let text = try text(of: path)
    let start = text.drop { $0.isWhitespace }
    return start.lastIndex { !$0.isWhitespace }.map { String(start[...$0]) } ?? ""
  }

  /// Writes text by one call, as the files of sysfs expect it.
  public func write(_ text: String, to path: String) throws(MachineError) {
    let descriptor = try open(path, .write)
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard try write(descriptor, bytes, at: nil) == bytes.count else {
      throw MachineError.refused(call: "write \(path)", error: 5)
    }
  }
}
