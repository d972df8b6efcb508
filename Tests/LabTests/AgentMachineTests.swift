// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine
import Testing

@testable import Lab

/// The calls of an agent, which is a process of this machine here.
@Suite struct AgentMachineTests {
  private let agent: LocalAgent
  private var machine: AgentMachine { agent.machine }

  init() throws { agent = try LocalAgent() }

  @Test func filesAreReadAndWritten() throws {
    let path = "/tmp/ptkit-agent-file-\(getpid())-\(Deadline.now)"
    defer { unlink(path) }
    try HostFile.write(Array("0123456789".utf8), to: path)
    let file = try machine.open(path, .readWrite)
    #expect(try machine.read(file, count: 4, at: nil) == Array("0123".utf8))
    #expect(try machine.read(file, count: 100, at: 6) == Array("6789".utf8))
    #expect(try machine.write(file, Array("ab".utf8), at: 1) == 2)
    machine.close(file)
    #expect(try machine.text(of: path) == "0ab3456789")
    #expect(throws: MachineError.refused(call: "read", error: EBADF)) {
      try machine.read(file, count: 1, at: nil)
    }
  }

  @Test func whatIsLongComesInParts() throws {
    let path = "/tmp/ptkit-agent-long-\(getpid())-\(Deadline.now)"
    defer { unlink(path) }
    let bytes = (0..<150_001).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
    try HostFile.write(bytes, to: path)
    #expect(try machine.contents(of: path) == bytes)
    let address = try machine.allocate(byteCount: 1 << 18, pageSize: 4096)
    try machine.store(bytes, at: address + 5)
    #expect(try machine.load(address + 5, byteCount: bytes.count) == bytes)
    #expect(try machine.load(address, byteCount: 5) == [0, 0, 0, 0, 0])
    machine.deallocate(address, byteCount: 1 << 18)
    #expect(throws: MachineError.refused(call: "load", error: EFAULT)) {
      try machine.load(address, byteCount: 1)
    }
  }

  @Test func runsOfWordsAreRead() throws {
    let path = "/tmp/ptkit-agent-runs-\(getpid())-\(Deadline.now)"
    defer { unlink(path) }
    var words = (0..<300_000).map { UInt64($0) &* 3 &- 7 }
    for index in stride(from: 0, to: 5000, by: 3) { words[index] = UInt64(index) &* 0x9e37_79b9_7f4a_7c15 }
    var bytes: [UInt8] = []
    for word in words { bytes += AgentFrames.little(word) }
    bytes += [1, 2, 3]
    try HostFile.write(bytes, to: path)
    let file = try machine.open(path, .read)
    defer { machine.close(file) }
    #expect(try machine.read(file, count: bytes.count + 100, at: 0) == bytes)
    #expect(try machine.read(file, count: 4000, at: 8) == Array(bytes[8..<4008]))
    #expect(try machine.read(file, count: 4001, at: 3) == Array(bytes[3..<4004]))
    #expect(AgentMachine.bytes(ofRuns: [1]) == nil)
    let endless =
      AgentFrames.little(UInt64(0)) + AgentFrames.little(UInt64(0)) + AgentFrames.little(UInt32.max)
    #expect(AgentMachine.bytes(ofRuns: endless) == nil)
  }

  @Test func errorsNameTheCall() {
    #expect(throws: MachineError.refused(call: "open /nowhere/at-all", error: ENOENT)) {
      try machine.open("/nowhere/at-all", .read)
    }
    #expect(throws: MachineError.refused(call: "readlink /", error: EINVAL)) {
      try machine.destination(ofLink: "/")
    }
    #expect(!machine.isThere("/nowhere/at-all"))
    #expect(machine.isThere("/proc/self"))
  }

  @Test func foldersAndLinksAreRead() throws {
    let names = try machine.entries(of: "/proc/self")
    #expect(names.contains("exe") && names.contains("fd") && !names.contains(".") && names == names.sorted())
    #expect(try machine.destination(ofLink: "/proc/self/exe").contains("ptkit-agent"))
    let (release, architecture) = try machine.identity()
    var own = utsname()
    uname(&own)
    #expect(withUnsafeBytes(of: own.release) { $0.starts(with: Array(release.utf8)) } && !release.isEmpty)
    #expect(architecture == "x86_64")
  }

  @Test func registersHaveTheirWidth() throws {
    let page = try machine.allocate(byteCount: 4096, pageSize: 4096)
    try machine.storeRegister(0x8877_6655_4433_2211, at: page, width: 8)
    #expect(try machine.loadRegister(page + 2, width: 1) == 0x33)
    #expect(try machine.loadRegister(page + 2, width: 2) == 0x4433)
    #expect(try machine.loadRegister(page + 4, width: 4) == 0x8877_6655)
    try machine.storeRegister(0xffff, at: page, width: 1)
    #expect(try machine.load(page, byteCount: 2) == [0xff, 0x22])
    #expect(throws: MachineError.refused(call: "load of a register", error: EINVAL)) {
      try machine.loadRegister(page, width: 3)
    }
    #expect(throws: MachineError.refused(call: "store of a register", error: EFAULT)) {
      try machine.storeRegister(1, at: 8, width: 8)
    }
  }

  @Test func controlsReturnTheirStructure() throws {
    // FIONREAD writes 32 bits to its argument.
    let file = try machine.open("/proc/self/exe", .read)
    var argument = ControlArgument.bytes([9, 9, 9, 9, 5])
    #expect(try machine.control(file, 0x541b, &argument) == 0)
    guard case .bytes(let bytes) = argument else { return }
    #expect(UInt32(little: bytes.prefix(4)) > 4096 && bytes.last == 5 && bytes.count == 5)
    var value = ControlArgument.value(0)
    // TCGETS of what is no terminal.
    #expect(throws: MachineError.refused(call: "ioctl 0x5401", error: ENOTTY)) {
      try machine.control(file, 0x5401, &value)
    }
  }

  @Test func aSweepEndsWhereAResultIsAnother() throws {
    let file = try machine.open("/proc/self/exe", .read)
    var argument = ControlArgument.bytes([UInt8](repeating: 0, count: 8))
    _ = try machine.control(file, 0x541b, &argument)
    guard case .bytes(let size) = argument else { return }
    // The call writes the lower half of the first word; what moves is the second.
    var step = SweepStep(
      descriptor: file, request: 0x541b, bytes: [UInt8](repeating: 0, count: 16), movingOffset: 8, stride: 3,
      expected: (0, UInt64(little: size)))
    #expect(try machine.sweep([step], count: 1000).rounds == 1000)
    step.expected = (8, 0)
    let moved = try machine.sweep([step], count: 10)
    #expect(moved.rounds == 1 && moved.failure == SweepFailure(step: 0, error: 0))
    step.descriptor = 99
    let refused = try machine.sweep(
      [
        SweepStep(
          descriptor: file, request: 0x541b, bytes: step.bytes, movingOffset: 8, stride: 0), step,
      ], count: 10)
    #expect(refused.rounds == 0 && refused.failure == SweepFailure(step: 1, error: EBADF))
  }

  @Test func aDeadAgentIsLost() throws {
    kill(agent.process, SIGKILL)
    #expect(throws: MachineError.lost("the line was closed")) { try machine.identity() }
    #expect(throws: MachineError.lost("the line was closed")) { try machine.open("/", .read) }
  }

  @Test func anAgentThatHangsIsLost() throws {
    kill(agent.process, SIGSTOP)
    machine.callLimit = 0.2
    #expect(throws: MachineError.lost("no answer within 0 s")) { try machine.identity() }
    kill(agent.process, SIGCONT)
    // An answer that comes late is not taken for another's.
    #expect(throws: MachineError.lost("no answer within 0 s")) { try machine.identity() }
  }

  @Test func badRequestsAreRefused() throws {
    #expect(throws: MachineError.lost("the request did not arrive as it was sent")) {
      try agent.line.ask([AgentRequest.Operation.open.rawValue, 200], seconds: 5)
    }
  }

  @Test func operationsThatAreNoneAreRefused() throws {
    #expect(try agent.line.ask([77], seconds: 5).result == -Int64(ENOSYS))
  }
}
