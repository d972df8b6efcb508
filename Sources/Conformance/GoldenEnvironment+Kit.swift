// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension GoldenEnvironment {
  /// The kit's own witnesses: the generic implementation in the simulator, and the reference.
  public static var kit: GoldenEnvironment {
    GoldenEnvironment(
      configuration: { try FormatList.entry(named: $0).schema.configuration($1, permissive: true) },
      makeTable: { try FormatList.simulate($0, SimulationOptions(physicalBase: $1)) },
      encoder: { try FormatList.encoder($0) },
      reference: { _ in nil })
  }
}

extension GenericEncoder: GoldenEncoder {
  /// Linux never writes the accessed state itself.
  public var encodesAccessed: Bool { false }

  public func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? {
    encodeLeaf(leaf.level, leaf.address, leaf.size, leaf.protection, leaf.dirty ?? false)
  }

  public func encodeTable(level: Int, address: UInt64) -> UInt64? { encodeTable(level, address) }
}
