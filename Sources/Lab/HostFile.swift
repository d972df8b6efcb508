// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// Whole files of this machine.
enum HostFile {
  /// All of a file.
  static func read(_ path: String) throws(LabError) -> [UInt8] {
    guard let file = fopen(path, "re") else { throw .call(path) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer.prefix(count) }
    guard ferror(file) == 0 else { throw .call(path) }
    return bytes
  }

  /// The text of a file of one line.
  static func line(_ path: String) throws(LabError) -> String {
    let text = String(decoding: try read(path), as: UTF8.self)
    return String(text.prefix { !$0.isNewline })
  }

  /// Writes a file anew, or at its end.
  static func write(_ bytes: [UInt8], to path: String, appends: Bool = false) throws(LabError) {
    guard let file = fopen(path, appends ? "ae" : "we") else { throw .call(path) }
    let count = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, count == bytes.count else { throw .call(path) }
  }

  static func remove(_ path: String) { unlink(path) }

  static func isThere(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// The files below a folder, by their paths from it, sorted.
  static func files(below folder: String) -> [String] {
    guard let handle = opendir(folder) else { return [] }
    defer { closedir(handle) }
    var found: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name == "." || name == ".." { continue }
      let path = "\(folder)/\(name)"
      var status = stat()
      // Links to folders are not followed: modules_install makes some to the kernel's tree.
      if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
        found += files(below: path).map { "\(name)/\($0)" }
      } else if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
        found.append(name)
      }
    }
    return found.sorted()
  }

  /// Makes a folder and those above it.
  static func makeFolder(_ path: String) throws(LabError) {
    var sofar = ""
    for part in path.split(separator: "/", omittingEmptySubsequences: false) {
      sofar += (sofar.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
      if sofar == "/" || sofar.hasSuffix("//") { sofar = "" }
      if !sofar.isEmpty, mkdir(sofar, 0o755) != 0, errno != EEXIST { throw .call(sofar) }
    }
  }
}
