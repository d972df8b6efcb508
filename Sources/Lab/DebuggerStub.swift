// SPDX-License-Identifier: GPL-2.0-only

/// QEMU's stub for debuggers, the one way to write guest memory from outside (docs/system/gdb in QEMU's sources).
final class DebuggerStub {
  private let socket: LocalSocket
  private let limit = 20.0

  /// Connects, which halts the machine.
  init(_ socket: LocalSocket) throws(LabError) {
    self.socket = socket
    // Addresses are physical, not those of the program that runs.
    try expectOK("Qqemu.PhyMemMode:1")
  }

  /// Writes bytes to physical memory.
  func store(_ bytes: [UInt8], at address: UInt64) throws(LabError) {
    let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    try expectOK("M\(String(address, radix: 16)),\(String(bytes.count, radix: 16)):\(digits)")
  }

  /// Lets the machine go on without a debugger.
  func detach() throws(LabError) { try expectOK("D") }

  private func expectOK(_ command: String) throws(LabError) {
    let answer = try ask(command)
    guard answer == "OK" else {
      throw LabError("QEMU's stub answered \(command.prefix(24)) with '\(answer)'")
    }
  }

  private func ask(_ command: String) throws(LabError) -> String {
    try socket.send(Self.packet(command))
    let deadline = Deadline(seconds: limit)
    // An acknowledgement stands before the packet.
    _ = try socket.receive(until: UInt8(ascii: "$"), deadline)
    let answer = try socket.receive(until: UInt8(ascii: "#"), deadline)
    _ = try socket.receive(count: 2, deadline)
    try socket.send([UInt8(ascii: "+")])
    return String(decoding: answer, as: UTF8.self)
  }

  /// `$`, the command, `#`, and the sum of its bytes in two digits.
  static func packet(_ command: String) -> [UInt8] {
    let sum = command.utf8.reduce(UInt8(0)) { $0 &+ $1 }
    return Array("$\(command)#\(sum < 16 ? "0" : "")\(String(sum, radix: 16))".utf8)
  }
}
