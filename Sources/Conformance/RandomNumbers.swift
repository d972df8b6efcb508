// SPDX-License-Identifier: GPL-2.0-only

/// Numbers that look random and follow from a seed alone, the same in every release (SplitMix64).
public struct RandomNumbers: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  /// The numbers of one test: those of different names have nothing in common.
  package init(seed: UInt64, name: String) {
    // FNV-1a, for Swift's own hashes change from run to run.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    self.init(seed: seed ^ hash)
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed &>> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed &>> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed &>> 31)
  }

  /// A number from 0 to `bound` - 1; 0 when `bound` is 0.
  package mutating func below(_ bound: UInt64) -> UInt64 {
    bound == 0 ? 0 : next().multipliedFullWidth(by: bound).high
  }

  /// A number from 0 to `bound` - 1; 0 when `bound` is not positive.
  package mutating func below(_ bound: Int) -> Int { Int(below(UInt64(max(0, bound)))) }

  /// True in `percent` of a hundred cases.
  package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

  /// One of some things, of which there is at least one.
  package mutating func pick<Element>(_ items: [Element]) -> Element { items[below(items.count)] }
}
