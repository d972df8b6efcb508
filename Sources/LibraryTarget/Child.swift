// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Glibc
import PageTable

/// A process of this program that runs a library.
struct Child: ~Copyable {
  let id: pid_t
  /// The records it writes.
  let stream: Int32
  /// Its standard output and error.
  let errors: Int32

  /// Starts `arguments` with lines on standard input.
  ///
  /// - Parameter preload: what the dynamic linker loads first; the runtime of a sanitizer.
  init(_ arguments: [String], input: [String], page: Int32, preload: String?) throws {
    if let error = LibraryError.ofThisBinary { throw error }
    var stream: (read: Int32, write: Int32) = (-1, -1)
    var errors: (read: Int32, write: Int32) = (-1, -1)
    stream = try Self.pipe()
    errors = try Self.pipe()
    let names = ptkit_memory_file("ptkit-tests")
    Self.fill(names, input.map { $0 + "\n" }.joined())
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // What the library starts belongs to its group, and ends with it.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    // None of the sources is one of the goals: those are small, see `high`.
    let (input, output) = (Self.high(names), Self.high(stream.write))
    let (both, shared) = (Self.high(errors.write), Self.high(dup(page)))
    for (source, goal) in [(input, 0), (both, 1), (both, 2), (output, 3), (shared, 4)] {
      posix_spawn_file_actions_adddup2(&actions, source, Int32(goal))
    }
    var environment = Self.environment(preload)
    var words = (["ptkit"] + arguments).map { strdup($0) } + [nil]
    defer { for word in words + environment { free(word) } }
    var process: pid_t = 0
    let result = posix_spawn(&process, "/proc/self/exe", &actions, &attributes, &words, &environment)
    for descriptor in [input, output, both, shared] { close(descriptor) }
    guard result == 0 else {
      close(stream.read)
      close(errors.read)
      throw LibraryError("no process for the library: \(String(cString: strerror(result)))")
    }
    id = process
    self.stream = stream.read
    self.errors = errors.read
  }

  deinit {
    close(stream)
    close(errors)
  }

  /// Whether it has come to its end.
  var hasEnded: Bool { ptkit_has_ended(id) != 0 }

  /// Ends it, and what it has started; nothing of it may have been waited for.
  func kill() {
    Glibc.kill(-id, SIGKILL)
    Glibc.kill(id, SIGKILL)
  }

  /// The memory that it has in use, in bytes.
  var residentBytes: UInt64 {
    let file = open("/proc/\(id)/statm", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return 0 }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 128)
    let count = read(file, &text, text.count)
    let words = text.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
    guard words.count > 1, let pages = UInt64(String(decoding: words[1], as: UTF8.self)) else { return 0 }
    return pages &* 4096
  }

  /// Waits for its end, and says how it came, and whether of itself and with status 0.
  func wait() -> (text: String, isClean: Bool) {
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0 && errno == EINTR {}
    let signal = status & 0x7f
    guard signal != 0 else {
      let status = (status >> 8) & 0xff
      guard status != LibraryProcess.lostPipe else {
        return ("the library closed a file descriptor of ptkit's", false)
      }
      return ("the process of the library ended with status \(status)", status == 0)
    }
    let name = Self.signals[signal].map { " (\($0))" } ?? ""
    return ("the process of the library was ended by signal \(signal)\(name)", false)
  }

  private static let signals: [Int32: String] = [
    SIGSEGV: "invalid memory access", SIGBUS: "invalid memory access", SIGABRT: "abort",
    SIGILL: "illegal instruction", SIGFPE: "arithmetic error", SIGKILL: "killed", SIGTRAP: "trap",
  ]

  private static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard ptkit_pipe(&ends) == 0 else { throw LibraryError("no pipe: \(String(cString: strerror(errno)))") }
    return (ends[0], ends[1])
  }

  /// The same file with a number that no child uses for anything.
  private static func high(_ descriptor: Int32) -> Int32 {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
    close(descriptor)
    return copy
  }

  private static func fill(_ file: Int32, _ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
    lseek(file, 0, SEEK_SET)
  }

  private static func environment(_ preload: String?) -> [UnsafeMutablePointer<CChar>?] {
    var words: [String] = []
    var next = environ
    while let word = next.pointee {
      words.append(String(cString: word))
      next = next.successor()
    }
    // What a crash leaves in memory says nothing here, and takes long to print.
    if getenv("SWIFT_BACKTRACE") == nil { words.append("SWIFT_BACKTRACE=enable=no") }
    if let preload {
      words.removeAll { $0.hasPrefix("LD_PRELOAD=") }
      words.append("LD_PRELOAD=\(preload)")
      // What this program leaks at its end is no finding; a failed allocation is null, as in the kernel.
      if getenv("ASAN_OPTIONS") == nil {
        words.append("ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1")
      }
      if getenv("UBSAN_OPTIONS") == nil { words.append("UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1") }
    }
    return words.map { strdup($0) } + [nil]
  }
}
