// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// The file of a journal, on the machine that runs ptkit. It is locked as long as the process lives that writes it, so
/// that a left one can be told from one in use.
///
///     ptkit journal 1
///     process 4711
///     boot 7c0d1a9e-…
///     1 module vfio_pci
///     2 setting /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages 0
///     undone 2
public final class JournalFile {
  /// Where it is.
  public let path: String
  private var descriptor: Int32
  private var count = 0
  static let firstLine = "ptkit journal 1"

  /// Makes a new journal; only its user can write it. Its folder is made where it is missing.
  ///
  /// - Throws: `JournalError` when there is one already, left or in use, or when it cannot be made.
  public convenience init(creating path: String) throws(JournalError) {
    if let slash = path.lastIndex(of: "/"), slash != path.startIndex { mkdir(String(path[..<slash]), 0o700) }
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      if errno == EEXIST { throw try Self.existing(path) }
      throw .file(path, String(cString: strerror(errno)))
    }
    self.init(path: path, descriptor: descriptor)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw .inUse(path, process: "another one")
    }
    try write("\(Self.firstLine)\nprocess \(getpid())\nboot \(Self.boot)\n")
  }

  /// Why a journal that is there already keeps a run from starting.
  private static func existing(_ path: String) throws(JournalError) -> JournalError {
    _ = try JournalFile(opening: path)
    return .left(path)
  }

  /// Takes over a journal that was left.
  ///
  /// - Throws: `JournalError` when there is none, when it is in use, or when another user could have written it.
  init(opening path: String) throws(JournalError) {
    let descriptor = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      throw errno == ENOENT ? .none(path) : .file(path, String(cString: strerror(errno)))
    }
    self.path = path
    self.descriptor = descriptor
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw .file(path, "it is no file")
    }
    guard status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
      throw .file(
        path, "it can be written by others than user \(geteuid()), and what it says is not to be trusted")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let line = Self.text(descriptor).split(separator: "\n").first { $0.hasPrefix("process ") }
      throw .inUse(path, process: line.map { String($0.dropFirst(8)) } ?? "unknown")
    }
  }

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The boot of this machine: another one has undone everything.
  static var boot: String {
    let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "unknown" }
    defer { close(file) }
    return text(file).split(separator: "\n").first.map(String.init) ?? "unknown"
  }

  /// All of the file.
  var text: String { Self.text(descriptor) }

  private static func text(_ descriptor: Int32) -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = pread(descriptor, &buffer, buffer.count, bytes.count), count > 0 {
      bytes += buffer.prefix(count)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Writes a change down, to the end and to the disk.
  ///
  /// - Returns: its number.
  func append(_ change: KernelChange) throws(JournalError) -> Int {
    try write("\(count + 1) \(change.text)\n")
    count += 1
    return count
  }

  /// Writes down that a change is undone.
  func appendUndone(_ number: Int) throws(JournalError) { try write("undone \(number)\n") }

  /// Removes the file. It cannot be written any more.
  func remove() {
    unlink(path)
    close(descriptor)
    descriptor = -1
  }

  private func write(_ text: String) throws(JournalError) {
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count,
      fsync(descriptor) == 0 || errno == EINVAL
    else { throw .file(path, String(cString: strerror(errno))) }
  }
}

/// A journal that cannot be used.
public enum JournalError: Error, Hashable, Sendable {
  /// There is none.
  case none(String)
  /// A run was killed and left it.
  case left(String)
  /// A running process writes it.
  case inUse(String, process: String)
  /// It is not one: the file, the line from 1, what was expected, and what was found.
  case malformed(String, line: Int, expected: String, found: String)
  /// It cannot be read or written.
  case file(String, String)
}

extension JournalError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .none(let path): "\(path): there is no journal"
    case .left(let path):
      "\(path) was left by a run that was killed; 'ptkit restore \(path)' puts back what it changed"
    case .inUse(let path, let process): "\(path) is the journal of a running process (\(process))"
    case .malformed(let path, let line, let expected, let found):
      "\(path):\(line): expected \(expected), found '\(found)'"
    case .file(let path, let why): "\(path): \(why)"
    }
  }
}
