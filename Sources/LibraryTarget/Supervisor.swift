// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Glibc
import PageTable
import Selftests

/// Runs the tests of a library in processes of their own: when one crashes or hangs, the test at hand has failed, and the
/// next process goes on with those that are left.
public struct Supervisor: Sendable {
  /// The library.
  public var path: String
  /// What its process must preload; nil for nothing.
  public var preload: String?
  /// The seed of random numbers.
  public var seed: UInt64
  /// Seconds that one call of the library may take.
  public var callLimit: Double
  /// Seconds that one test may take.
  public var testLimit: Double

  public init(path: String, preload: String?, seed: UInt64, callLimit: Double = 20, testLimit: Double = 600) {
    self.path = path
    self.preload = preload
    self.seed = seed
    self.callLimit = callLimit
    self.testLimit = testLimit
  }

  /// What the library says of itself.
  public func describe() throws -> (name: String, formats: [LibraryFormat]) {
    var name = path
    var formats: [LibraryFormat] = []
    var refusal: String?
    let end = try watch(["library-process", "--describe", path], []) { record in
      switch record {
      case .library(let text): name = text
      case .format(let format): formats.append(format)
      case .refused(let reason): refusal = reason
      case .start, .outcome, .finished: break
      }
    }
    if let refusal { throw LibraryError(refusal) }
    if let end {
      throw LibraryError(([end.problem, "while it was loaded"] + end.details).joined(separator: "\n"))
    }
    return (name, formats)
  }

  /// Runs tests in their order, and reports each.
  public func run(_ names: [String], report: (String, SelftestOutcome) -> Void) {
    var left = names[...]
    while !left.isEmpty {
      var refusal: String?
      var problem: [String]
      do {
        let end = try watch(["library-process", "--seed", "\(seed)", path], Array(left)) { record in
          switch record {
          case .outcome(let name, let outcome) where name == left.first:
            left = left.dropFirst()
            report(name, named(outcome))
          case .refused(let reason): refusal = reason
          default: break
          }
        }
        problem = end.map { [$0.problem] + $0.details } ?? ["the process of the library left this test out"]
      } catch {
        problem = ["\(error)"]
      }
      if let refusal {
        for name in left { report(name, .fail(details: [refusal])) }
        return
      }
      guard let name = left.popFirst() else { return }
      report(name, .fail(details: problem + [again(name)]))
    }
  }

  private func again(_ name: String) -> String {
    "ptkit selftest --target lib:\(path) --seed \(Numbers.hex(seed)) \(name)"
  }

  /// The outcome with commands that name the library.
  private func named(_ outcome: SelftestOutcome) -> SelftestOutcome {
    guard case .fail(let details) = outcome else { return outcome }
    return .fail(
      details: details.map { line in
        line.hasPrefix("ptkit selftest ")
          ? "ptkit selftest --target lib:\(path) \(line.dropFirst("ptkit selftest ".count))" : line
      })
  }

  // MARK: One process

  /// How a process ended other than by itself.
  private struct End {
    var problem: String
    var details: [String]
  }

  /// Runs a process to its end, with its records as they come; nil when it had finished its work.
  private func watch(_ arguments: [String], _ input: [String], _ take: (TestRecord) -> Void) throws -> End? {
    let file = high(ptkit_memory_file("ptkit-calls"))
    defer { close(file) }
    guard let calls = CallPage(descriptor: file) else {
      throw LibraryError("no memory to share with the library")
    }
    let child = try Child(arguments, input: input, page: file, preload: preload)
    var reader = RecordReader()
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
          if case .finished = record { isFinished = true }
          if case .start = record { said = OutputHead() }
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
    return End(problem: hang ?? ending, details: details + said.lines)
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

/// Puts records together from what a pipe gives.
private struct RecordReader {
  private var rest: [UInt8] = []

  mutating func add(_ bytes: [UInt8]) -> [TestRecord] {
    rest += bytes
    guard let last = rest.lastIndex(of: TestRecord.end) else { return [] }
    let records = rest[...last].split(separator: TestRecord.end).compactMap { TestRecord($0) }
    rest = Array(rest[(last + 1)...])
    return records
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
