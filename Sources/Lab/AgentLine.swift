// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// A line to an agent: requests and answers, one at a time, each with a time limit. After the first failure it is lost for good.
public final class AgentLine {
  private let descriptor: Int32
  private let log: ([UInt8]) -> Void
  /// Says why the process at the other end is gone, where that is known.
  private let death: () -> String?
  private var frames = AgentFrames()
  private var number: UInt32 = 0
  private var failure: MachineError?
  private var tail: [UInt8] = []

  /// A line over an open socket or terminal, which is not closed by it.
  ///
  /// - Parameters:
  ///   - log: takes what is not part of the protocol: the kernel's log.
  ///   - death: why nothing more will come; nil while it may.
  public init(
    descriptor: Int32, log: @escaping ([UInt8]) -> Void = { _ in }, death: @escaping () -> String? = { nil }
  ) {
    self.descriptor = descriptor
    self.log = log
    self.death = death
  }

  /// Whether something failed, so that nothing more can be asked.
  var isLost: Bool { failure != nil }

  /// Waits until the agent says that it is there.
  public func waitForAgent(seconds: Double) throws(MachineError) {
    _ = try answer(to: 0, deadline: Deadline(seconds: seconds))
  }

  /// Sends a request, and returns its result and the bytes that came with it.
  func ask(_ request: [UInt8], seconds: Double) throws(MachineError) -> (result: Int64, bytes: [UInt8]) {
    if let failure { throw failure }
    number = number == .max ? 1 : number + 1
    let deadline = Deadline(seconds: seconds)
    try send(AgentFrames.frame(AgentFrames.little(number) + request), deadline)
    return try answer(to: number, deadline: deadline)
  }

  private func answer(to number: UInt32, deadline: Deadline) throws(MachineError) -> (Int64, [UInt8]) {
    if let failure { throw failure }
    while true {
      switch frames.next() {
      case .log(let bytes): keep(bytes)
      case .garbled(let what): throw lose("\(what) came over the line")
      case .frame(let payload):
        guard payload.count >= 12, UInt32(little: payload[..<4]) == number else {
          throw lose("an answer of \(payload.count) bytes came that nothing was asked for")
        }
        let result = Int64(little: payload[4..<12])
        // The agent could not read the request.
        if result == -Int64(EBADMSG) { throw lose("the request did not arrive as it was sent") }
        return (result, Array(payload[12...]))
      case nil: try receive(deadline)
      }
    }
  }

  private func receive(_ deadline: Deadline) throws(MachineError) {
    try wait(Int16(POLLIN), deadline)
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    if count > 0 {
      frames.append(buffer[..<count])
    } else if count == 0 || errno != EINTR && errno != EAGAIN {
      throw lose(death() ?? "the line was closed")
    }
  }

  private func send(_ bytes: [UInt8], _ deadline: Deadline) throws(MachineError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      try wait(Int16(POLLOUT), deadline)
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR && errno != EAGAIN {
        throw lose(death() ?? "the line was closed")
      }
    }
  }

  private func wait(_ events: Int16, _ deadline: Deadline) throws(MachineError) {
    while true {
      guard !deadline.isOver else { throw lose("no answer within \(Int(deadline.seconds)) s") }
      var ready = pollfd(fd: descriptor, events: events, revents: 0)
      if poll(&ready, 1, min(500, deadline.milliseconds)) > 0 { return }
      if let reason = death() { throw lose(reason) }
    }
  }

  /// The log's last lines say best what happened.
  private func lose(_ reason: String) -> MachineError {
    let lines = String(decoding: tail, as: UTF8.self).split(whereSeparator: \.isNewline).suffix(3)
    let last = lines.isEmpty ? "" : "; its console ends: \(lines.joined(separator: " / "))"
    let error = MachineError.lost(reason + last)
    failure = error
    return error
  }

  private func keep(_ bytes: [UInt8]) {
    log(bytes)
    tail = (tail + bytes).suffix(1000)
  }
}

/// A point in time until which something is waited for.
struct Deadline {
  /// The whole time, in seconds.
  let seconds: Double
  private let end: UInt64

  init(seconds: Double) {
    self.seconds = seconds
    end = Self.now &+ UInt64(max(0, min(seconds, 1e6)) * 1e9)
  }

  var isOver: Bool { Self.now >= end }

  /// What is left, for poll().
  var milliseconds: Int32 { isOver ? 0 : Int32(clamping: (end - Self.now) / 1_000_000 + 1) }

  /// The monotonic clock, in nanoseconds.
  static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000
      &+ UInt64(truncatingIfNeeded: time.tv_nsec)
  }
}
