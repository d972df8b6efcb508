// SPDX-License-Identifier: GPL-2.0-only

/// The protection and attribute flags of a mapping, with the values of Linux's
/// IOMMU_READ … IOMMU_PRIV (include/linux/iommu.h).
public struct Protection: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32

  @inlinable
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The device may read.
  @inlinable public static var read: Protection { Protection(rawValue: 0x01) }
  /// The device may write.
  @inlinable public static var write: Protection { Protection(rawValue: 0x02) }
  /// DMA takes part in cache coherency.
  @inlinable public static var cache: Protection { Protection(rawValue: 0x04) }
  /// The device may not fetch instructions.
  @inlinable public static var noexec: Protection { Protection(rawValue: 0x08) }
  /// The target is device memory.
  @inlinable public static var mmio: Protection { Protection(rawValue: 0x10) }
  /// Only privileged transactions are allowed.
  @inlinable public static var priv: Protection { Protection(rawValue: 0x20) }

  /// The flags other than read and write, in the order in which the grammar lists them.
  public static let namedFlags: [(name: String, flag: Protection)] = [
    ("cache", .cache), ("noexec", .noexec), ("mmio", .mmio), ("priv", .priv),
  ]

  /// Reads the grammar's notation: `r`, `w`, `rw`, then any of `,cache` `,noexec` `,mmio`
  /// `,priv`; flags alone are legal and `none` is no flag at all.
  ///
  /// Returns nil for anything else, a flag given twice included.
  public init?(text: some StringProtocol) {
    self = []
    if text == "none" { return }
    for (position, word) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
      let flag: Protection
      switch word {
      case "r" where position == 0: flag = .read
      case "w" where position == 0: flag = .write
      case "rw" where position == 0: flag = [.read, .write]
      default:
        guard let named = Self.namedFlags.first(where: { $0.name == word }) else { return nil }
        flag = named.flag
      }
      guard isDisjoint(with: flag) else { return nil }
      formUnion(flag)
    }
  }

  /// The grammar's notation of the flags; `none` when there are none.
  public var text: String {
    var words: [String] = []
    let access = (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "")
    if !access.isEmpty { words.append(access) }
    words += Self.namedFlags.filter { contains($0.flag) }.map(\.name)
    return words.isEmpty ? "none" : words.joined(separator: ",")
  }
}
