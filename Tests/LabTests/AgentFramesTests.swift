// SPDX-License-Identifier: GPL-2.0-only

import Testing

@testable import Lab

@Suite struct AgentFramesTests {
  private func parts(_ bytes: [UInt8], chunk: Int) -> [AgentFrames.Part] {
    var frames = AgentFrames()
    var found: [AgentFrames.Part] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      frames.append(rest.prefix(chunk))
      rest = rest.dropFirst(chunk)
      while let part = frames.next() { found.append(part) }
    }
    return found
  }

  /// Logs that came in pieces, as one.
  private func joined(_ parts: [AgentFrames.Part]) -> [AgentFrames.Part] {
    parts.reduce(into: []) { all, part in
      if case .log(let more) = part, case .log(let before)? = all.last {
        all[all.count - 1] = .log(before + more)
      } else {
        all.append(part)
      }
    }
  }

  @Test(arguments: [1, 2, 5, 13, 1000]) func framesBetweenLinesOfTheLog(chunk: Int) {
    let first: [UInt8] = [1, 2, 3]
    let second: [UInt8] = Array(0..<200) + [1, 0x50, 0x54, 0x4b]
    let log = Array("\u{1}PT boots\r\n".utf8)
    let line = log + AgentFrames.frame(first) + log + AgentFrames.frame(second) + AgentFrames.frame([])
    #expect(
      joined(parts(line, chunk: chunk)) == [.log(log), .frame(first), .log(log), .frame(second), .frame([])])
  }

  @Test func aChangedByteIsSeen() {
    var frame = AgentFrames.frame([1, 2, 3])
    frame[13] ^= 0x40
    #expect(parts(frame, chunk: 100) == [.garbled("a frame of 3 bytes with a wrong checksum")])
    var long = AgentFrames.frame([1, 2, 3])
    long[7] = 0x7f
    guard case .garbled(let what)? = parts(long, chunk: 100).first else {
      Issue.record("a length of 2 GB was not refused")
      return
    }
    #expect(what == "a frame of \(0x7f00_0003) bytes")
  }

  @Test func numbersAreLittleEndian() {
    #expect(AgentFrames.little(UInt32(0x0102_0304)) == [4, 3, 2, 1])
    #expect(Int64(little: [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) == -2)
    #expect(UInt16(little: [1] as [UInt8]) == 1)
    #expect(UInt8(little: [7, 8] as [UInt8]) == 7)
  }
}
