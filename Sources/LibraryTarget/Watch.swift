// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Glibc
import PageTable

/// Runs a process of this program that has libraries, until it has done its work, crashes or hangs.
struct Watch: Sendable {
  /// What its process must preload; nil for nothing.
  var preload: String?
  /// Seconds that one call of a library may take.
  var callLimit: Double
  /// Seconds from one record to the next.
  var testLimit: Double

  /// How a process ended other than by itself.
  struct End {
    var problem: String
    /// Whether it was this one that ended it.
    var isHang: Bool
    /// The call in flight, and what the process wrote.
    var details: [String]
    /// The operations that it was to run, where it kept a journal.
    var operations: [Operation]
  }

  /// Runs a process to its end, with its records as they come; nil when it had finished its work.
  func run(_ arguments: [String], _ input: [String], _ take: ([String]) -> Void) throws -> End? {
    let file = high(ptkit_memory_file("ptkit-calls"))
    defer { close(file) }
    guard let calls = CallPage(descriptor: file) else {
      throw LibraryError("no memory to share with the library")
    }
    let child = try Child(arguments, input: input, page: file, preload: preload)
    var reader = Fields.Reader()
    var said = OutputHead()
    var isFinished = false
    var clock = CallClock(callLimit: callLimit, testLimit: testLimit)
    var hang: String?
    var open: [Int32] = [child.stream, child.errors]
    while open.contains(child.stream) {
      var polls = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      _ = poll(&polls, nfds_t(polls.count), 200)
      for each in polls where each.revents != 0 {
        guard let bytes = Self.read(each.fd) else {
          open.removeAll { $0 == each.fd }
          continue
        }
        if each.fd == child.errors {
          said.add(bytes)
          continue
        }
        for record in reader.add(bytes) {
          if record == ["finished"] { isFinished = true }
          if record.first == "start" { said = OutputHead() }
          clock.restart()
          take(record)
        }
      }
      hang = clock.problem(calls)
      if hang != nil {
        kill(child.id, SIGKILL)
        break
      }
    }
    while let bytes = Self.readNow(child.errors) { said.add(bytes) }
    let ending = child.wait()
    if isFinished { return nil }
    var details: [String] = []
    if let call = calls.call { details.append("during: \(call)") }
    if !calls.configuration.isEmpty { details.append("on a page table of \(calls.configuration)") }
    return End(
      problem: hang ?? ending, isHang: hang != nil, details: details + said.lines,
      operations: calls.operations)
  }

  private func high(_ descriptor: Int32) -> Int32 {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
    close(descriptor)
    return copy
  }

  /// What there is to read; nil at the end.
  private static func read(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EINTR { return [] }
    return count > 0 ? Array(buffer.prefix(count)) : nil
  }

  private static func readNow(_ descriptor: Int32) -> [UInt8]? {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return Glibc.poll(&poll, 1, 0) > 0 ? read(descriptor) : nil
  }
}

/// The first lines that a library writes during a test: sanitizers say there what they found.
private struct OutputHead {
  private var bytes: [UInt8] = []

  mutating func add(_ more: [UInt8]) { bytes += more.prefix(max(0, 4096 - bytes.count)) }

  var lines: [String] {
    let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
    return text.isEmpty ? [] : ["it wrote:"] + text.prefix(24).map { "  \($0)" }
  }
}

/// Whether a call or a test takes too long.
private struct CallClock {
  let callLimit: Double
  let testLimit: Double
  private var test = Self.now
  private var call = Self.now
  private var count: UInt64 = 0

  init(callLimit: Double, testLimit: Double) {
    self.callLimit = callLimit
    self.testLimit = testLimit
  }

  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  mutating func restart() { test = Self.now }

  mutating func problem(_ calls: CallPage) -> String? {
    let now = Self.now
    if calls.count != count || !calls.isInside {
      count = calls.count
      call = now
    }
    if now - call > callLimit { return "the library hangs: a call took more than \(Int(callLimit)) s" }
    return now - test > testLimit ? "the test took more than \(Int(testLimit)) s" : nil
  }
}
