// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

extension SimulatedMachine {
  /// A machine of its own for one page table that is timed: nothing is poisoned, and its memory is where the table
  /// pointers of a format reach.
  ///
  /// - Parameter reserve: bytes of table memory at most; the machine's own default when left out.
  static func forBenchmark<Format: PageTableFormat>(
    _ format: Format, reserve: UInt64 = 1 << 30
  ) throws -> SimulatedMachine {
    var options = SimulationOptions().withinReach(of: format)
    options.reserve = reserve
    return try SimulatedMachine(
      physicalBase: options.physicalBase, reserve: try options.reachableReserve(format), poison: false)
  }
}
