// SPDX-License-Identifier: GPL-2.0-only

/// A request to an agent, byte by byte as lab/agent/agent.c reads it.
struct AgentRequest {
  /// What an agent does, with its number on the line.
  enum Operation: UInt8, CaseIterable {
    case identity = 0
    case open = 1
    case close = 2
    case read = 3
    case write = 4
    case controlValue = 5
    case controlBytes = 6
    case entries = 7
    case readLink = 8
    case isThere = 9
    case allocate = 10
    case mapDevice = 11
    case deallocate = 12
    case load = 13
    case store = 14
    case loadRegister = 15
    case storeRegister = 16
    case insertModule = 17
    case removeModule = 18
    case sweep = 19
    case kernelLog = 20
    case powerOff = 21
    case mount = 22
    case unmount = 23
    case readRuns = 24
  }

  private(set) var bytes: [UInt8]

  init(_ operation: Operation) { bytes = [operation.rawValue] }

  /// With a number of its own width.
  func with(_ number: some FixedWidthInteger) -> Self { with(AgentFrames.little(number)) }

  /// With a text: its length in 16 bits, its bytes, and a zero.
  func with(_ text: String) -> Self {
    let text = Array(text.utf8.prefix(4095))
    return with(UInt16(text.count)).with(text + [0])
  }

  /// With bytes up to the end.
  func with(_ more: [UInt8]) -> Self {
    var request = self
    request.bytes += more
    return request
  }
}
