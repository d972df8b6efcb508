// SPDX-License-Identifier: GPL-2.0-only

/// A condition of a known divergence: what a case must show for a finding to be expected. It is computed from the
/// case, its configuration and what was found; a row of DIVERGENCES.md names it in place of a case.
public enum DivergenceCondition: String, Hashable, Sendable, CaseIterable {
  /// The output address that the operations give is beyond the configuration's; the walk finds it cut off, or faults.
  case outputRangeOverflows = "@output-range-overflows"
  /// The address field of the words has not all bits of the output address, though the configuration admits them; the
  /// walk finds it without.
  case addressFieldLacksBits = "@address-field-lacks-bits"
  /// The output address that the operations give contains the encryption bit; the walk finds it without.
  case outputAddressHasEncryptionBit = "@output-address-has-encryption-bit"
  /// A leaf may be so large that its size code covers the encryption bit.
  case sizeCodeCoversEncryptionBit = "@size-code-covers-encryption-bit"
  /// The address is not canonical, or only such an address leads to what the walk finds or misses.
  case notCanonical = "@not-canonical"
  /// An address of the upper half of fewer bits than the levels translate; the walk uses the sign bits as an index.
  case signBitsAboveTop = "@sign-bits-above-top"
  /// Two images that are equal without the tables that have no leaf below.
  case onlyEmptyTablesDiffer = "@only-empty-tables-differ"

  /// The check whose findings the condition can excuse.
  public var check: GoldenCheck { self == .onlyEmptyTablesDiffer ? .image : .walk }

  /// The known words, for messages.
  static var known: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
