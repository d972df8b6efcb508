// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What a device does.
public enum DeviceAccess: Hashable, Sendable {
  case read
  case write
}

/// One word that a walk read.
public struct WalkStep: Hashable, Sendable {
  public var level: Int
  public var index: Int
  /// The word's physical address, in bytes.
  public var physical: UInt64
  public var word: UInt64

  public init(level: Int, index: Int, physical: UInt64, word: UInt64) {
    self.level = level
    self.index = index
    self.physical = physical
    self.word = word
  }
}

/// What the words on a path grant together, caching aside.
public struct PathRights: Hashable, Sendable {
  public var read: Bool
  public var write: Bool
  /// Execution is forbidden.
  public var noexec: Bool
  /// Only privileged accesses are permitted.
  public var priv: Bool

  public init(read: Bool, write: Bool, noexec: Bool, priv: Bool) {
    self.read = read
    self.write = write
    self.noexec = noexec
    self.priv = priv
  }

  /// Nothing has been taken away, as at the root.
  public static let all = PathRights(read: true, write: true, noexec: false, priv: false)
}

/// A table below the root that a walk has come to, as a paging-structure cache keeps it.
public struct ReachedTable: Hashable, Sendable {
  /// Its physical address, in bytes.
  public var physical: UInt64
  /// Its level; 0 is the last level.
  public var level: Int
  /// What the words that lead to it grant.
  public var rights: PathRights

  public init(physical: UInt64, level: Int, rights: PathRights = .all) {
    self.physical = physical
    self.level = level
    self.rights = rights
  }
}

/// The result of a walk that reached a leaf and was permitted.
public struct Translation: Hashable, Sendable {
  /// The output address of the IOVA, in bytes.
  public var pa: UInt64
  /// The leaf's first output address and first IOVA, and its size, in bytes.
  public var leafPA: UInt64
  public var leafIOVA: UInt64
  public var leafSize: UInt64
  public var leafLevel: Int
  /// What the words on the path grant together; `cache` and `mmio` are the leaf's.
  public var protection: Protection
  /// Whether any word of the leaf says that the device has written, or accessed.
  public var dirty: Bool
  public var accessed: Bool
  /// The words read, from the root to the leaf.
  public var path: [WalkStep]
}

/// A fault that the hardware raises during a walk.
public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
  /// The specification's key: one of `FaultKey`, or one that the format adds.
  public var key: String
  /// The manual's name and code.
  public var name: String
  public var code: Int
  public var access: DeviceAccess
  public var iova: UInt64
  /// Where it was raised; nil when the IOVA was refused before any word was read.
  public var step: WalkStep?
  /// The words read until then, from the root or where the walk began; the last is the one at fault
  /// unless that could not be read.
  public var path: [WalkStep]
  /// Why.
  public var reason: String

  /// One line that says all of it.
  public var description: String {
    let place = step.map {
      " at level \($0.level) index \(Numbers.hex(UInt64($0.index))) word \(Numbers.hex($0.word))"
    }
    return
      "\(name) (\(Numbers.hex(UInt64(max(0, code))))) \(access) of \(Numbers.hex(iova))\(place ?? ""): \(reason)"
  }
}
