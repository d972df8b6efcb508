// SPDX-License-Identifier: GPL-2.0-only

/// Reading and writing of the numbers that appear in golden files and on command lines.
public enum Numbers {
  /// Reads a decimal number or, with the prefix `0x`, a hexadecimal one, without sign.
  ///
  /// Returns nil when the text is not such a number or does not fit 64 bits.
  public static func parse(_ text: some StringProtocol) -> UInt64? {
    if text.hasPrefix("0x") || text.hasPrefix("0X") {
      let digits = text.dropFirst(2)
      guard !digits.isEmpty, digits.allSatisfy(\.isHexDigit) else { return nil }
      return UInt64(digits, radix: 16)
    }
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return nil
    }
    return UInt64(text, radix: 10)
  }

  /// Reads a number as `parse` does, with an optional suffix K, M, G, T or P (powers of 1024).
  ///
  /// Returns nil when the text is no size or the size, in bytes, does not fit 64 bits.
  public static func parseSize(_ text: some StringProtocol) -> UInt64? {
    guard let last = text.last else { return nil }
    let shift: UInt64
    switch last {
    case "K", "k": shift = 10
    case "M", "m": shift = 20
    case "G", "g": shift = 30
    case "T", "t": shift = 40
    case "P", "p": shift = 50
    default: return parse(text)
    }
    guard let number = parse(text.dropLast()) else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    return overflow ? nil : product
  }

  /// `0x` and the lower-case hexadecimal digits of `value`, without leading zeros.
  public static func hex(_ value: UInt64) -> String {
    "0x" + String(value, radix: 16)
  }

  /// A size in bytes in its shortest exact notation: 4096 is `4K`, 1536 is `0x600`.
  public static func size(_ bytes: UInt64) -> String {
    guard bytes != 0 else { return "0" }
    for (suffix, shift) in [("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10)]
    where bytes.trailingZeroBitCount >= shift {
      return "\(bytes >> UInt64(shift))\(suffix)"
    }
    return hex(bytes)
  }
}
