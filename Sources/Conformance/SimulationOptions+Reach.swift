// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable

extension SimulationOptions {
  /// These options, with table memory in the upper half of what pointers reach if that is not the usual base.
  public func withinReach<Format: PageTableFormat>(of format: Format) -> SimulationOptions {
    var options = self
    let bits = format.tableAddressBits
    if physicalBase == Self.usualBase, physicalBase & ~Bits.lowMask(bits) != 0 {
      options.physicalBase = Bits.bit(bits - 1)
    }
    return options
  }

  /// The bytes of table memory, at most `reserve`, that table pointers of a format reach from `physicalBase`
  /// on: less where the address field ends, or meets an encryption bit, before the reserve does.
  ///
  /// - Throws: `ConfigurationError` when a pointer cannot even hold the first table's address.
  public func reachableReserve<Format: PageTableFormat>(_ format: Format) throws -> UInt64 {
    let tableBytes = Bits.bit(Format.allocationLog2)
    func isReached(_ table: UInt64) -> Bool {
      format.tableAddress(format.tableEntry(table, level: 1), level: 1) == table
    }
    let (end, overflow) = physicalBase.addingReportingOverflow(tableBytes - 1)
    guard !overflow, isReached(end & ~(tableBytes - 1)) else {
      throw ConfigurationError(
        .einval, "table memory at \(Numbers.hex(physicalBase)) is beyond the reach of table pointers")
    }
    var reserve = reserve
    while reserve > 2 * tableBytes {
      let (end, overflow) = physicalBase.addingReportingOverflow(reserve - tableBytes)
      if !overflow, isReached(end & ~(tableBytes - 1)) { break }
      reserve /= 2
    }
    return reserve
  }
}
