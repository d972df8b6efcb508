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

  @Test func memoryIsThatOfTheProcessors() {
    let text = """
      FlatView #0
       AS "I/O", root: io
       Root memory region: io
        0000000000000000-0000000000000007 (prio 0, ram): no.memory

      FlatView #1
       AS "memory", root: system
       AS "cpu-memory-0", root: system
       Root memory region: system
        0000000000000000-00000000000bffff (prio 0, ram): pc.ram
        00000000000c0000-00000000000dffff (prio 1, rom): pc.rom
        00000000000e0000-000000007fffffff (prio 0, ram): pc.ram @00000000000e0000
        00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic
        0000000100000000-000000017fffffff (prio 0, ram): pc.ram @0000000080000000
        0000000180000000-00000001bfffffff (prio 0, ram): more

      FlatView #2
       AS "edu", root: bus master container
        0000000000000000-00000000ffffffff (prio 0, ram): pc.ram
      """
    #expect(
      QEMUMonitor.memoryRanges(text) == [0...0xbffff, 0xe0000...0x7fff_ffff, 0x1_0000_0000...0x1_bfff_ffff])
  }

  @Test func whyTheMachineWentOffIsTold() throws {
    func reason(_ lines: String...) throws -> String? {
      let fake = try FakeMonitor(Self.greeting, #"{"return": {}}"#)
      for line in lines { try fake.answers.send(Array("\(line)\r\n".utf8)) }
      return try QEMUMonitor(fake.monitor).waitForShutdown(seconds: 0.2)
    }
    let event = #"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}, "timestamp": {}}"#
    #expect(try reason(#"{"event": "STOP", "timestamp": {}}"#, event) == "guest-reset")
    #expect(try reason(#"{"event": "STOP", "timestamp": {}}"#) == nil)
  }

  @Test func nothingIsAskedAfterAnAnswerThatDidNotCome() throws {
    let fake = try FakeMonitor(Self.greeting, #"{"return": {}}"#)
    let monitor = try QEMUMonitor(fake.monitor)
    monitor.limit = 0.1
    #expect(throws: LabError("no answer within 0 s")) { try monitor.people("info pci") }
    // The late answer to the first question is not that to the second.
    try fake.answers.send(Array("{\"return\": \"late\"}\r\n".utf8))
    #expect(throws: LabError("no answer within 0 s")) { try monitor.people("info mtree") }
  }

  @Test func packetsHaveTheirSum() {
    // GDB's manual, Remote Protocol Overview.
    #expect(DebuggerStub.packet("OK") == Array("$OK#9a".utf8))
    #expect(DebuggerStub.packet("") == Array("$#00".utf8))
  }
}
