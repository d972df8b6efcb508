// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Synchronization

/// The programs that run now, and the folders that go with them, for the end of this process by a signal.
final class GuestProcesses: Sendable {
  static let shared = GuestProcesses()

  private struct State: Sendable {
    var identifiers: Set<pid_t> = []
    var groups: Set<pid_t> = []
    var folders: Set<String> = []
    /// Whether all was ended: nothing may begin any more, for nobody would end it.
    var isOver = false
  }

  private let state = Mutex(State())

  func add(_ identifier: pid_t) {
    state.withLock {
      $0.identifiers.insert(identifier)
      if $0.isOver { kill(identifier, SIGKILL) }
    }
  }
  func remove(_ identifier: pid_t) { state.withLock { _ = $0.identifiers.remove(identifier) } }
  func add(group: pid_t) {
    state.withLock {
      $0.groups.insert(group)
      if $0.isOver { kill(-group, SIGTERM) }
    }
  }
  func remove(group: pid_t) { state.withLock { _ = $0.groups.remove(group) } }

  /// Makes a folder for the files of a machine.
  func makeFolder() throws(LabError) -> String {
    let made = state.withLock { state -> Result<String, LabError> in
      guard !state.isOver else { return .failure(LabError("the run ends")) }
      var template = Array("/tmp/ptkit-lab.XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else { return .failure(.call("mkdtemp")) }
      let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      state.folders.insert(folder)
      return .success(folder)
    }
    return try made.get()
  }

  func remove(folder: String) {
    state.withLock { _ = $0.folders.remove(folder) }
    Self.removeFolder(folder)
  }

  /// Ends all that runs and removes what it left.
  func endAll() {
    let (identifiers, groups, folders) = state.withLock {
      $0.isOver = true
      return ($0.identifiers, $0.groups, $0.folders)
    }
    for identifier in identifiers { kill(identifier, SIGKILL) }
    // Scripts remove what they have begun.
    for group in groups { kill(-group, SIGTERM) }
    for folder in folders { Self.removeFolder(folder) }
  }

  /// A child's group of its own, and no signal blocked or ignored that this process blocks or ignores.
  static func setSignals(_ attributes: inout posix_spawnattr_t) {
    var none = sigset_t()
    sigemptyset(&none)
    var pipe = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &pipe)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
  }

  /// Removes a folder of files.
  private static func removeFolder(_ folder: String) {
    guard let handle = opendir(folder) else { return }
    while let entry = readdir(handle) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { unlink("\(folder)/\(name)") }
    }
    closedir(handle)
    rmdir(folder)
  }
}
