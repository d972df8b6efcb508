// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Simulator

/// Reads the tables of drivers' own code, whose roots may differ from those that the reference knows.
struct DriversImage {
  private let reference: ReferenceFormat
  /// DART's driver also uses words of the root for IOVAs beyond those of the configuration.
  private let hasWholeRoots: Bool

  init(_ reference: ReferenceFormat, dart: Bool) {
    self.reference = reference
    hasWholeRoots = dart
  }

  func read(_ roots: [TableRoot], _ memory: SimulatedMachine) throws -> TableImage {
    // Words of a level that the reference has no use for are as those of its highest one.
    let highest = reference.levelCount - 1
    return try TableImage(
      roots: roots, memory: memory, wordBytes: reference.wordBytes,
      wordCount: {
        isOlderRoot($0, $1) ? rootWords($0) : reference.wordCount(level: $0, isRoot: $1 && !hasWholeRoots)
      },
      classify: { reference.wordKind($0, level: min($1, highest)) })
  }

  /// Whether older code starts the walk at a level above the one that the architecture wants since, with concatenated
  /// tables (Linux: arm_lpae_concat_mandatory).
  private func isOlderRoot(_ level: Int, _ isRoot: Bool) -> Bool { isRoot && level >= reference.levelCount }

  /// The words of such a root: those that the IOVA's width leaves.
  private func rootWords(_ level: Int) -> Int {
    let below = level - 1
    guard let shift = reference.shift(level: below), level == reference.levelCount else { return 0 }
    let low = shift + reference.wordCount(level: below, isRoot: false).trailingZeroBitCount
    return 1 << max(0, reference.inputWidth(rootLevel: reference.rootLevel) - low)
  }
}
