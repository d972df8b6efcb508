// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Testing

@testable import Lab

/// The other end of a monitor: what it will say is there from the beginning.
private struct FakeMonitor {
  let monitor: LocalSocket
  let answers: LocalSocket

  init(_ lines: String...) throws {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
      throw LabError.call("socketpair")
    }
    monitor = LocalSocket(descriptor: ends[0])
    answers = LocalSocket(descriptor: ends[1])
    for line in lines { try answers.send(Array("\(line)\r\n".utf8)) }
  }

  /// The next line that was asked.
  func asked() throws -> String {
    String(decoding: try answers.receive(until: 0x0a, Deadline(seconds: 5)), as: UTF8.self)
  }
}

@Suite struct QEMUMonitorTests {
  private static let greeting = #"{"QMP": {"version": {}, "capabilities": []}}"#

  @Test func commandsAreAskedAndAnswered() throws {
    let fake = try FakeMonitor(
      Self.greeting, #"{"return": {}}"#, #"{"event": "STOP", "timestamp": {}}"#,
      #"{"return": "00000000fed90020: 0x0000000000123401\r\n"}"#)
    let monitor = try QEMUMonitor(fake.monitor)
    #expect(try monitor.register(0xfed9_0020, width: 8) == 0x12_3401)
    #expect(try fake.asked() == #"{"execute":"qmp_capabilities"}"#)
    #expect(
      try fake.asked()
        == #"{"arguments":{"command-line":"xp /1gx 0xfed90020"},"execute":"human-monitor-command"}"#)
  }

  @Test func aRefusalIsExplained() throws {
    let fake = try FakeMonitor(
      Self.greeting, #"{"return": {}}"#, #"{"error": {"class": "GenericError", "desc": "no such file"}}"#)
    let monitor = try QEMUMonitor(fake.monitor)
    #expect(throws: LabError("QEMU's pmemsave: no such file")) { try monitor.save(0, byteCount: 8, to: "x") }
  }

  @Test(arguments: [#"{"return": {}}"#, "[]", "1"]) func aStrangeGreetingIsRefused(line: String) throws {
    let fake = try FakeMonitor(line)
    #expect(throws: LabError.self) { try QEMUMonitor(fake.monitor) }
  }

  @Test func whatIsNoJSONIsRefused() throws {
    let fake = try FakeMonitor(Self.greeting, "{\"return\": ")
    let error = #expect(throws: LabError.self) { try QEMUMonitor(fake.monitor) }
    #expect(error?.description.contains("expected an object of JSON, found {\"return\": ") == true)
  }

  @Test func nestingWithoutEndIsRefused() throws {
    let fake = try FakeMonitor(Self.greeting, #"{"return": "# + String(repeating: "[", count: 100_000))
    #expect(throws: LabError.self) { try QEMUMonitor(fake.monitor) }
  }

  @Test(arguments: ["", "fed90020 0x1", "fed90020: zz", "Cannot access memory", "1: 0x10000000000000000"])
  func badPrintsAreRefused(text: String) {
    #expect(throws: LabError.self) { try QEMUMonitor.examined(text) }
  }

  @Test func packetsHaveTheirSum() {
    // GDB's manual, Remote Protocol Overview.
    #expect(DebuggerStub.packet("OK") == Array("$OK#9a".utf8))
    #expect(DebuggerStub.packet("") == Array("$#00".utf8))
  }
}
