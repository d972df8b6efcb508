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
///
/// It is made with the first change, so that a run that changes nothing leaves nothing, not even for a while.
public final class JournalFile {
  /// Where it is.
  public let path: String
  private var descriptor: Int32 = -1
  private var count = 0
  static let firstLine = "ptkit journal 1"

  /// A new journal.
  ///
  /// - Throws: `JournalError` when there is one already, left or in use.
  public init(new path: String) throws(JournalError) {
    self.path = path
    var status = stat()
    if lstat(path, &status) == 0 { throw try Self.existing(path) }
  }

  /// Why a journal that is there already keeps a run from starting.
  private static func existing(_ path: String) throws(JournalError) -> JournalError {
    _ = try JournalFile(left: path)
    return .left(path)
  }

  /// Takes over a journal that was left.
  ///
  /// - Throws: `JournalError` when there is none, when it is in use, or when another user could have written it.
  public init(left path: String) throws(JournalError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else {
      throw errno == ENOENT ? .none(path) : .file(path, String(cString: strerror(errno)))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw .file(path, "it is no file")
    }
    guard status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
      throw .file(
        path, "others than user \(geteuid()) can write it, and what it says is not to be trusted")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(path, process: process) }
  }

  /// Makes the file, which only its user can write, and its folder where that is missing.
  private func create() throws(JournalError) {
    if let folder { mkdir(folder, 0o700) }
    let flags = O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW
    descriptor = open(path, flags, 0o600)
    guard descriptor >= 0 else {
      if errno == EEXIST { throw try Self.existing(path) }
      throw .file(path, String(cString: strerror(errno)))
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(path, process: process) }
    try write("\(Self.firstLine)\nprocess \(getpid())\nboot \(Self.boot)\n")
  }

  /// The folder that it lies in; nil for the working directory and the root.
  private var folder: String? {
    path.lastIndex(of: "/").flatMap { $0 == path.startIndex ? nil : String(path[..<$0]) }
  }

  /// The process that made it.
  private var process: String {
    let line = text.split(separator: "\n").first { $0.hasPrefix("process ") }
    return line.map { String($0.dropFirst(8)) } ?? "unknown"
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The boot of this machine. Another one has undone everything.
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
    if descriptor < 0 { try create() }
    try write("\(count + 1) \(change.text)\n")
    count += 1
    return count
  }

  /// Writes down that a change is undone.
  func appendUndone(_ number: Int) throws(JournalError) { try write("undone \(number)\n") }

  /// Removes the file.
  func remove() {
    guard descriptor >= 0 else { return }
    unlink(path)
    close(descriptor)
    descriptor = -1
    // The folder of the default place goes, too, when it is empty.
    if let folder, folder.hasSuffix("/ptkit") { rmdir(folder) }
  }

  private func write(_ text: String) throws(JournalError) {
    let bytes = Array(text.utf8)
    var before = stat()
    guard fstat(descriptor, &before) == 0 else { throw .file(path, String(cString: strerror(errno))) }
    let written = Glibc.write(descriptor, bytes, bytes.count)
    guard written == bytes.count, fsync(descriptor) == 0 || errno == EINVAL else {
      // A short write sets no errno.
      let why = written >= 0 && written < bytes.count ? ENOSPC : errno
      // The next line must not join a half one, with which nothing of the file could be read.
      _ = ftruncate(descriptor, before.st_size)
      throw .file(path, String(cString: strerror(why)))
    }
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
