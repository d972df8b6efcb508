// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable

/// The entries that the generic implementation of a configuration writes.
public struct GenericEncoder: Sendable {
  /// The word of a leaf (the first of a contiguous one), or nil when the format cannot express it.
  public let encodeLeaf:
    @Sendable (_ level: Int, _ pa: UInt64, _ size: UInt64, _ protection: Protection, _ dirty: Bool) -> UInt64?
  /// The word in a table of `level` that points to the table at `pa`, as a map leaves it, or nil.
  public let encodeTable: @Sendable (_ level: Int, _ pa: UInt64) -> UInt64?

  init<Format: PageTableFormat>(_ format: Format) {
    let geometry = format.geometry
    let topLevel = geometry.features.contains(.dynamicTop) ? Format.maximumLevel : geometry.topLevel
    encodeLeaf = { level, pa, size, protection, dirty in
      guard (0...topLevel).contains(level), size.nonzeroBitCount == 1,
        format.possibleSizes(level: level) & size != 0,
        geometry.pageSizeLimit == 0 || geometry.pageSizeLimit & size != 0,
        pa & (size - 1) == 0, pa & ~Bits.lowMask(geometry.outputBits) == 0,
        !protection.isDisjoint(with: [.read, .write]),
        let attributes = try? format.attributes(protection)
      else { return nil }
      let word = format.leafEntry(
        pa, sizeLog2: size.trailingZeroBitCount, level: level, attributes: attributes)
      // Linux drops address bits that the words have no place for; such a leaf cannot be expressed.
      guard format.leafAddress(word, level: level) == pa else { return nil }
      guard dirty else { return word }
      return format.tracksDirty ? format.dirtied(word) : nil
    }
    encodeTable = { level, pa in
      let tableMask = Bits.lowMask(Format.allocationLog2)
      guard level > 0, level <= topLevel, pa & tableMask == 0,
        pa & ~Bits.lowMask(format.tableAddressBits) == 0
      else { return nil }
      let mark = geometry.features.contains(.dmaIncoherent) ? format.flushedMark : 0
      return format.tableEntry(pa, level: level) | mark
    }
  }
}

extension FormatList {
  /// The encoder of a configuration.
  ///
  /// - Throws: `ConfigurationError`.
  public static func encoder(_ configuration: Configuration) throws -> GenericEncoder {
    struct MakeEncoder: FormatFunction {
      func callAsFunction<Format: PageTableFormat>(_ format: Format) -> GenericEncoder {
        GenericEncoder(format)
      }
    }
    return try apply(MakeEncoder(), to: configuration)
  }
}
