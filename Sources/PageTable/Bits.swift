// SPDX-License-Identifier: GPL-2.0-only

/// Helpers for fields of 64-bit words. Bit 0 is the least significant one.
public enum Bits {
  /// The mask with bits `high` down to `low` set; 0 ≤ low ≤ high ≤ 63.
  @inlinable @inline(__always)
  public static func mask(_ high: Int, _ low: Int) -> UInt64 {
    (~0 &>> UInt64(truncatingIfNeeded: 63 &- high)) & (~0 &<< UInt64(truncatingIfNeeded: low))
  }

  /// The mask with the lowest `count` bits set; 0 ≤ count ≤ 64.
  @inlinable @inline(__always)
  public static func lowMask(_ count: Int) -> UInt64 {
    count >= 64 ? ~0 : (1 &<< UInt64(truncatingIfNeeded: count)) &- 1
  }

  /// The word with only bit `position` set; 0 ≤ position ≤ 63.
  @inlinable @inline(__always)
  public static func bit(_ position: Int) -> UInt64 {
    1 &<< UInt64(truncatingIfNeeded: position)
  }
}
