// SPDX-License-Identifier: GPL-2.0-only

/// QEMU's monitor, through its machine protocol (docs/interop/qmp-spec in QEMU's sources). To be used by one thread.
public final class QEMUMonitor {
  private let socket: LocalSocket
  /// Seconds that a command may take.
  var limit = 60.0

  /// Greets the monitor at the other end.
  init(_ socket: LocalSocket) throws(LabError) {
    self.socket = socket
    let greeting = try message()
    guard greeting["QMP"] != nil else {
      throw LabError("QEMU's monitor greeted with \(greeting.line.prefix(100))")
    }
    _ = try execute("qmp_capabilities")
  }

  /// Runs a command and returns what it returns.
  @discardableResult
  func execute(_ command: String, _ arguments: [String: JSONValue] = [:]) throws(LabError) -> JSONValue {
    var request: [String: JSONValue] = ["execute": .text(command)]
    if !arguments.isEmpty { request["arguments"] = .object(arguments) }
    try socket.send(Array(JSONValue.object(request).line.utf8) + [0x0a])
    while true {
      let answer = try message()
      if let result = answer["return"] { return result }
      if let error = answer["error"] {
        throw LabError("QEMU's \(command): \(error["desc"]?.text ?? error.line)")
      }
      // An event.
      guard answer["event"] != nil else {
        throw LabError("QEMU answered \(command) with \(answer.line.prefix(100))")
      }
    }
  }

  private func message() throws(LabError) -> JSONValue {
    let line = try socket.receive(until: 0x0a, Deadline(seconds: limit))
    do {
      return try JSONReader.value(line)
    } catch let error {
      throw LabError("QEMU's monitor: \(error): \(String(decoding: line.prefix(100), as: UTF8.self))")
    }
  }

  /// Runs a command of the monitor for people, and returns what it prints.
  func people(_ command: String) throws(LabError) -> String {
    try execute("human-monitor-command", ["command-line": .text(command)]).text ?? ""
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
