// SPDX-License-Identifier: GPL-2.0-only

/// Takes what comes over an agent's line apart: frames, and the kernel's log between them.
///
/// A frame is "\u{1}PTK", the payload's length and checksum (FNV-1a, 32 bits each, little endian), and the payload.
struct AgentFrames {
  /// What was found on the line.
  enum Part: Hashable {
    /// Bytes that belong to no frame.
    case log([UInt8])
    /// The payload of a whole frame.
    case frame([UInt8])
    /// A frame that is not as it was sent.
    case garbled(String)
  }

  /// The longest payload that an agent sends, in bytes.
  static let limit = 1 << 17
  private static let mark: [UInt8] = [1, 0x50, 0x54, 0x4b]
  private static let headLength = 12

  private var bytes: [UInt8] = []

  /// A frame around a payload.
  static func frame(_ payload: [UInt8]) -> [UInt8] {
    mark + little(UInt32(truncatingIfNeeded: payload.count)) + little(checksum(payload[...])) + payload
  }

  /// Takes what was read.
  mutating func append(_ more: some Sequence<UInt8>) { bytes += more }

  /// The next part that is complete; nil where more must be read first.
  mutating func next() -> Part? {
    let start = markStart()
    if start > 0 {
      let log = Array(bytes[..<start])
      bytes.removeFirst(start)
      return .log(log)
    }
    guard bytes.count >= Self.headLength else { return nil }
    let length = Int(UInt32(little: bytes[4..<8]))
    guard length <= Self.limit else {
      bytes.removeFirst(Self.mark.count)
      return .garbled("a frame of \(length) bytes")
    }
    let end = Self.headLength + length
    guard bytes.count >= end else { return nil }
    let expected = UInt32(little: bytes[8..<12])
    let payload = Array(bytes[Self.headLength..<end])
    bytes.removeFirst(end)
    guard Self.checksum(payload[...]) == expected else {
      return .garbled("a frame of \(length) bytes with a wrong checksum")
    }
    return .frame(payload)
  }

  /// Where a frame begins, or may begin with the last bytes that came.
  private func markStart() -> Int {
    var index = 0
    while index < bytes.count {
      if bytes[index] == Self.mark[0] {
        let rest = bytes[index...].prefix(Self.mark.count)
        if rest.elementsEqual(Self.mark.prefix(rest.count)) { return index }
      }
      index += 1
    }
    return index
  }

  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var sum: UInt32 = 2_166_136_261
    for byte in bytes { sum = (sum ^ UInt32(byte)) &* 16_777_619 }
    return sum
  }

  static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }
}

extension FixedWidthInteger {
  /// The number of little-endian bytes; bytes that are missing are zero, and more are left out.
  init(little bytes: some Sequence<UInt8>) {
    var value: Self = 0
    for (index, byte) in bytes.prefix(Self.bitWidth / 8).enumerated() {
      value |= Self(truncatingIfNeeded: byte) << Self(index * 8)
    }
    self = value
  }
}
