// SPDX-License-Identifier: GPL-2.0-only

import FoundationEssentials

/// QEMU's monitor, through its machine protocol (docs/interop/qmp-spec in QEMU's sources). To be used by one thread.
public final class QEMUMonitor {
  private let socket: LocalSocket
  /// Seconds that a command may take.
  var limit = 60.0
  /// The first failure of the connection. After it, an answer could be that of another command.
  private var failure: LabError?

  /// Greets the monitor at the other end.
  init(_ socket: LocalSocket) throws(LabError) {
    self.socket = socket
    let (greeting, line) = try message()
    guard greeting.greeting != nil else { throw LabError("QEMU's monitor greeted with \(line)") }
    _ = try execute("qmp_capabilities")
  }

  /// Runs a command.
  ///
  /// - Returns: the text that it returns; nil where it returns something else.
  @discardableResult
  func execute(_ command: String, _ arguments: [String: Argument] = [:]) throws(LabError) -> String? {
    if let failure { throw failure }
    try socket.send(Self.request(command, arguments))
    while true {
      let (answer, line) = try message()
      if let result = answer.result { return result.text }
      if let error = answer.error { throw LabError("QEMU's \(command): \(error.desc)") }
      guard answer.event != nil else { throw LabError("QEMU answered \(command) with \(line)") }
    }
  }

  private func message() throws(LabError) -> (Message, line: String) {
    let line: [UInt8]
    do {
      line = try socket.receive(until: 0x0a, Deadline(seconds: limit))
    } catch {
      failure = error
      throw error
    }
    let start = String(decoding: line.prefix(100), as: UTF8.self)
    do {
      return (try JSONDecoder().decode(Message.self, from: Data(line)), start)
    } catch {
      throw LabError("QEMU's monitor: expected an object of JSON, found \(start)")
    }
  }

  /// Runs a command of the monitor for people, and returns what it prints.
  func people(_ command: String) throws(LabError) -> String {
    try execute("human-monitor-command", ["command-line": .text(command)]) ?? ""
  }

  /// Waits until the machine goes off, and returns QEMU's word for why; nil where it says none (`ShutdownCause` in qapi/run-state.json).
  func waitForShutdown(seconds: Double) -> String? {
    limit = seconds
    while let (message, _) = try? message() {
      if message.event == "SHUTDOWN" { return message.data?.reason }
    }
    return nil
  }

  // MARK: Memory

  /// Reads a register by one access of the physical address space.
  ///
  /// - Parameter width: its bytes, 4 or 8.
  public func register(_ address: UInt64, width: Int) throws(LabError) -> UInt64 {
    let letter = width == 8 ? "g" : "w"
    let text = try people("xp /1\(letter)x 0x\(String(address, radix: 16))")
    return try Self.examined(text)
  }

  /// The value in what xp prints: `00000000fed90020: 0x0000000001234000`.
  static func examined(_ text: String) throws(LabError) -> UInt64 {
    guard let colon = text.firstIndex(of: ":"),
      let word = text[text.index(after: colon)...].split(whereSeparator: \.isWhitespace).first,
      word.hasPrefix("0x"), let value = UInt64(word.dropFirst(2), radix: 16)
    else { throw LabError("QEMU's xp printed '\(text.prefix(60))', expected ADDRESS: 0xVALUE") }
    return value
  }

  /// Where the address space of processors has memory: ascending, what touches as one.
  func memoryRanges() throws(LabError) -> [ClosedRange<UInt64>] {
    Self.memoryRanges(try people("info mtree -f"))
  }

  /// The ranges in what mtree prints. A view has the address spaces that see it, `AS "memory", root: system`, then lines such as
  /// `0000000000000000-000000007fffffff (prio 0, ram): pc.ram`.
  static func memoryRanges(_ text: String) -> [ClosedRange<UInt64>] {
    var ranges: [ClosedRange<UInt64>] = []
    var isMemory = false
    for line in text.split(whereSeparator: \.isNewline) {
      if line.hasPrefix("FlatView") { isMemory = false }
      if line.contains("AS \"memory\"") { isMemory = true }
      let words = line.split(whereSeparator: \.isWhitespace)
      guard isMemory, words.count > 2, words[1] == "(prio", line.contains("ram):") else { continue }
      let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard ends.count == 2, ends[0] <= ends[1] else { continue }
      if let last = ranges.last, last.upperBound != .max, last.upperBound + 1 == ends[0] {
        ranges[ranges.count - 1] = last.lowerBound...ends[1]
      } else {
        ranges.append(ends[0]...ends[1])
      }
    }
    return ranges
  }

  /// Writes physical memory to a file of the host.
  func save(_ address: UInt64, byteCount: UInt64, to file: String) throws(LabError) {
    try execute(
      "pmemsave",
      [
        "val": .integer(Int64(bitPattern: address)), "size": .integer(Int64(bitPattern: byteCount)),
        "filename": .text(file),
      ])
  }

  /// Writes the memory of a range of physical addresses to a file of the host, as an ELF core.
  public func dump(_ range: ClosedRange<UInt64>, to file: String) throws(LabError) {
    limit = 300
    defer { limit = 60 }
    try execute(
      "dump-guest-memory",
      [
        "paging": .bool(false), "protocol": .text("file:\(file)"),
        "begin": .integer(Int64(bitPattern: range.lowerBound)),
        "length": .integer(Int64(bitPattern: range.upperBound - range.lowerBound + 1)),
      ])
  }

  /// Halts the processors, or lets them go on.
  public func setRunning(_ isRunning: Bool) throws(LabError) { try execute(isRunning ? "cont" : "stop") }

  /// Ends QEMU at once.
  func quit() throws(LabError) { try execute("quit") }
}

// MARK: Messages

extension QEMUMonitor {
  /// What a command is given.
  enum Argument: Encodable {
    case text(String)
    case integer(Int64)
    case bool(Bool)

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .integer(let number): try container.encode(number)
      case .bool(let value): try container.encode(value)
      }
    }
  }

  private struct Request: Encodable {
    var execute: String
    var arguments: [String: Argument]?
  }

  /// A command on one line.
  private static func request(_ command: String, _ arguments: [String: Argument]) throws(LabError) -> [UInt8]
  {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      let request = Request(execute: command, arguments: arguments.isEmpty ? nil : arguments)
      return try Array(encoder.encode(request)) + [0x0a]
    } catch {
      throw LabError("\(command): \(error)")
    }
  }

  /// What QEMU says: a greeting, an answer or an event.
  private struct Message: Decodable {
    /// Any value, of which only a text is looked at.
    struct Value: Decodable {
      var text: String?

      init(from decoder: any Decoder) throws {
        text = try? decoder.singleValueContainer().decode(String.self)
      }
    }

    struct Failure: Decodable {
      var desc: String
    }

    var greeting: Value?
    var result: Value?
    var error: Failure?
    var event: String?
    var data: EventData?

    struct EventData: Decodable {
      var reason: String?
    }

    enum CodingKeys: String, CodingKey {
      case greeting = "QMP"
      case result = "return"
      case error, event, data
    }
  }
}
