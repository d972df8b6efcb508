// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// The bytes of a structure of the kernel's interface, field by field. All architectures that are tested are little-endian.
struct Structure: Hashable, Sendable {
  private(set) var bytes: [UInt8] = []

  /// A structure of one field, its own size in bytes: what most of them start with.
  static func ofSize(_ size: UInt32) -> Structure { Structure().u32(size) }

  func u32(_ value: UInt32) -> Structure { appending(UInt64(value), 4) }
  func u64(_ value: UInt64) -> Structure { appending(value, 8) }

  /// Text in `size` bytes, cut so that a zero byte follows it.
  func text(_ text: String, size: Int) -> Structure {
    var next = self
    let body = text.utf8.prefix(max(0, size - 1))
    next.bytes += body
    next.bytes += [UInt8](repeating: 0, count: max(0, size - body.count))
    return next
  }

  /// Zeros up to `size` bytes.
  func padded(to size: Int) -> Structure {
    var next = self
    next.bytes += [UInt8](repeating: 0, count: max(0, size - bytes.count))
    return next
  }

  private func appending(_ value: UInt64, _ width: UInt64) -> Structure {
    var next = self
    for byte in 0..<width { next.bytes.append(UInt8(truncatingIfNeeded: value &>> (8 &* byte))) }
    return next
  }
}

extension Collection where Element == UInt8, Index == Int {
  /// The little-endian field of `width` bytes at an offset from the start; zero where the bytes end before it.
  func field(at offset: Int, width: Int) -> UInt64 {
    guard offset >= 0, width >= 0, width <= 8, offset <= count - width else { return 0 }
    var value: UInt64 = 0
    for byte in 0..<width { value |= UInt64(self[startIndex + offset + byte]) &<< UInt64(8 &* byte) }
    return value
  }

  /// The field of 32 bits at an offset; zero where the bytes end before it.
  func u32(at offset: Int) -> UInt32 { UInt32(truncatingIfNeeded: field(at: offset, width: 4)) }

  /// The field of 64 bits at an offset; zero where the bytes end before it.
  func u64(at offset: Int) -> UInt64 { field(at: offset, width: 8) }
}

extension Machine {
  /// An ioctl with a structure; returns the structure as the kernel left it.
  func control(_ descriptor: Int32, _ request: UInt64, _ structure: Structure) throws(MachineError) -> [UInt8]
  {
    var argument = ControlArgument.bytes(structure.bytes)
    _ = try control(descriptor, request, &argument)
    guard case .bytes(let bytes) = argument else { return [] }
    return bytes
  }

  /// An ioctl with a number; returns what the call did.
  func control(_ descriptor: Int32, _ request: UInt64, value: UInt64) throws(MachineError) -> Int {
    var argument = ControlArgument.value(value)
    return try control(descriptor, request, &argument)
  }
}
