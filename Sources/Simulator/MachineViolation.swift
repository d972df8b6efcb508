// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A misuse of table memory that the simulated machine saw. It is recorded, never a trap.
public struct MachineViolation: Hashable, Sendable, CustomStringConvertible {
  /// What was done wrong.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// A released table was written before its reuse.
    case useAfterFree
    /// A table was released that is not allocated any more.
    case doubleFree
    /// An address was released at which no table starts.
    case unknownFree
    /// A table was released with another size than it was allocated with.
    case sizeMismatch
    /// Bytes beside a table that is smaller than a page were written.
    case overrun
    /// A table was asked for with a size that does not exist.
    case invalidSize
  }

  /// What was done wrong.
  public let kind: Kind
  /// The physical address concerned, in bytes; of the changed word for `useAfterFree` and `overrun`.
  public let physical: UInt64
  /// The word found for `useAfterFree` and `overrun`, else the size in the request as log2 of bytes.
  public let value: UInt64

  public init(kind: Kind, physical: UInt64, value: UInt64) {
    self.kind = kind
    self.physical = physical
    self.value = value
  }

  public var description: String {
    let place = Numbers.hex(physical)
    return switch kind {
    case .useAfterFree: "released table memory at \(place) was written: found \(Numbers.hex(value))"
    case .doubleFree: "the table at \(place) was released twice"
    case .unknownFree: "a release of \(place), where no table starts"
    case .sizeMismatch: "the table at \(place) was released as one of 2^\(value) bytes, which is not its size"
    case .overrun: "the word at \(place), beside a table, was written: found \(Numbers.hex(value))"
    case .invalidSize: "a table of 2^\(value) bytes was asked for"
    }
  }
}
