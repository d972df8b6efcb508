// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What an entry is encoded from, apart from addresses: the protection flags with their
/// values, then dirty and accessed.
struct EncodingFlags {
  var rawValue: UInt32

  static let dirty: UInt32 = 1 << 6
  static let accessed: UInt32 = 1 << 7

  /// The names that `encode` and `refuse` expressions may use.
  static let names: [(name: String, bit: UInt32)] =
    [("read", Protection.read.rawValue), ("write", Protection.write.rawValue)]
    + Protection.namedFlags.map { ($0.name, $0.flag.rawValue) }
    + [("dirty", dirty), ("accessed", accessed)]

  init(_ protection: Protection, dirty: Bool, accessed: Bool) {
    rawValue = protection.rawValue & 0x3f
    if dirty { rawValue |= Self.dirty }
    if accessed { rawValue |= Self.accessed }
  }
}

/// An expression over the encoding flags, as a table over the flags that it names.
struct FieldEncoder: Sendable {
  private let bits: [UInt32]
  private let values: [UInt64]

  /// - Parameter scope: the names with fixed values; the flags are added here.
  init(_ expression: Expression, scope: ExpressionScope) throws {
    let names = expression.names
    let used = EncodingFlags.names.filter { names.contains($0.name) }
    bits = used.map(\.bit)
    values = try (0..<(1 << used.count)).map { combination in
      var inner = scope
      for (position, flag) in used.enumerated() {
        inner[flag.name] = .number((combination >> position) & 1)
      }
      return UInt64(bitPattern: Int64(try expression.evaluate(in: inner)))
    }
  }

  /// All values the expression takes.
  var allValues: [UInt64] { values }

  func value(_ flags: EncodingFlags) -> UInt64 {
    var combination = 0
    for (position, bit) in bits.enumerated() where flags.rawValue & bit != 0 {
      combination |= 1 << position
    }
    return values[combination]
  }
}
