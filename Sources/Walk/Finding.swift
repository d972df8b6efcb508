// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Something in the structures or tables of an IOMMU that is not as it should be.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
  public enum Kind: String, Hashable, Sendable {
    /// A register or structure cannot be used, or has reserved bits set.
    case structure
    /// A pointer leads to where no memory is.
    case pointer
    /// A word is none of the format's entries, or has reserved bits set.
    case malformed
    /// A word that is not present holds bits.
    case stray
    /// A pointer leads back to a table above it.
    case loop
    /// A table is reached in more than one way.
    case shared
    /// A word stands where no IOVA leads to.
    case unreachable
    /// The words of one leaf disagree.
    case group
    /// Two leaves translate the same IOVA.
    case overlap
    /// A word is not the golden encoder's.
    case word
    /// An expected mapping is not there.
    case missing
    /// A mapping that nobody expects.
    case extra
  }

  public var kind: Kind
  /// The device, as `DeviceTables.name` says it; empty for what concerns none.
  public var device: String
  /// The first IOVA that the word translates.
  public var iova: UInt64?
  /// The level of the word's table; 0 is the last.
  public var level: Int?
  /// The physical address of the word or structure, in bytes.
  public var physical: UInt64?
  /// The word, and the one that should stand there.
  public var word: UInt64?
  public var expected: UInt64?
  /// What is wrong.
  public var text: String
  /// The words field by field.
  public var details: [String]

  public init(
    _ kind: Kind, device: String, iova: UInt64? = nil, level: Int? = nil, physical: UInt64? = nil,
    word: UInt64? = nil, expected: UInt64? = nil, _ text: String, details: [String] = []
  ) {
    self.kind = kind
    self.device = device
    self.iova = iova
    self.level = level
    self.physical = physical
    self.word = word
    self.expected = expected
    self.text = text
    self.details = details
  }

  /// One line that says all but the details.
  public var description: String {
    var parts: [String] = []
    if let iova { parts.append("IOVA \(Numbers.hex(iova))") }
    if let level { parts.append("level \(level)") }
    if let physical { parts.append("at \(Numbers.hex(physical))") }
    if let word { parts.append("word \(Numbers.hex(word))") }
    if let expected { parts.append("expected \(Numbers.hex(expected))") }
    let place = parts.isEmpty ? "" : " " + parts.joined(separator: " ")
    return "\(kind.rawValue)\(device.isEmpty ? "" : " \(device)")\(place): \(text)"
  }
}
