// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Glibc
import PageTable

/// Runs a process of this program that has libraries, until it has done its work, crashes or hangs.
public struct Watch: Sendable {
  /// A quarter of the machine's memory, in bytes; at least 1 GiB.
  public static let memoryLimit = max(
    1 << 30,
    UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) &* UInt64(max(0, sysconf(Int32(_SC_PAGESIZE)))) / 4)

  /// What its process must preload; nil for nothing.
  var preload: String?
  /// Seconds that one call of a library may take.
  var callLimit: Double
  /// Seconds from one record to the next.
  var testLimit: Double
  /// Bytes of memory that a process may use.
  var memoryLimit = Self.memoryLimit

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
  ///
  /// - Parameter atEnd: takes what went wrong when the process had finished its work, but did not end as it should.
  func run(
    _ arguments: [String], _ input: [String], atEnd: (String) -> Void = { _ in }, _ take: ([String]) -> Void
  ) throws -> End? {
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
    var memory = MemoryGauge(limit: memoryLimit)
    var excess: String?
    var open: [Int32] = [child.stream, child.errors]
    while true {
      var polls = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      let ready = poll(&polls, nfds_t(polls.count), open.contains(child.stream) ? 200 : 2)
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
      // The pipes may be held by what the library started, and closed by the library.
      if ready <= 0, child.hasEnded { break }
      excess = clock.problem(calls, isFinished: isFinished) ?? memory.problem(child)
      if excess != nil { break }
    }
    child.kill()
    said.readRest(child.errors)
    let (ending, isClean) = child.wait()
    if isFinished {
      if excess != nil || !isClean { atEnd("\(excess ?? ending), when all its work was done") }
      return nil
    }
    var details: [String] = []
    if let call = calls.call { details.append("during: \(call)") }
    if !calls.configuration.isEmpty { details.append("on a page table of \(calls.configuration)") }
    return End(
      problem: excess ?? ending, isHang: excess != nil, details: details + said.lines,
      operations: calls.operations)
  }

  private func high(_ descriptor: Int32) -> Int32 {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
    close(descriptor)
    return copy
  }

  /// What there is to read; nil at the end.
  fileprivate static func read(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EINTR { return [] }
    return count > 0 ? Array(buffer.prefix(count)) : nil
  }
}

/// The first lines that a library writes during a test: sanitizers say there what they found.
private struct OutputHead {
  private var bytes: [UInt8] = []

  mutating func add(_ more: [UInt8]) { bytes += more.prefix(max(0, 4096 - bytes.count)) }

  /// What a process that has ended left in its pipe.
  mutating func readRest(_ descriptor: Int32) {
    var left = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    for _ in 0..<64 {
      guard poll(&left, 1, 0) > 0, let bytes = Watch.read(descriptor) else { return }
      add(bytes)
    }
  }

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

  /// - Parameter isFinished: whether the process has only to end.
  mutating func problem(_ calls: CallPage, isFinished: Bool) -> String? {
    let now = Self.now
    if isFinished {
      return now - test > callLimit ? "the process of the library did not end in \(Int(callLimit)) s" : nil
    }
    if calls.count != count || !calls.isInside {
      count = calls.count
      call = now
    }
    if now - call > callLimit { return "the library hangs: a call took more than \(Int(callLimit)) s" }
    return now - test > testLimit ? "the test took more than \(Int(testLimit)) s" : nil
  }
}

/// Whether a process uses too much memory; looks every fifth of a second.
private struct MemoryGauge {
  let limit: UInt64
  private var next = 0.0

  init(limit: UInt64) { self.limit = limit }

  mutating func problem(_ child: borrowing Child) -> String? {
    let now = CallClock.now
    guard now >= next else { return nil }
    next = now + 0.2
    guard child.residentBytes > limit else { return nil }
    return "the process of the library uses more than \(limit >> 20) MiB of memory"
  }
}
