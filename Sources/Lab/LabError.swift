// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// What keeps a virtual machine from being started or looked into.
public struct LabError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
  /// Whether it is for want of something that cannot be had here, which is no failure.
  public let isMissing: Bool

  public init(_ description: String, isMissing: Bool = false) {
    self.description = description
    self.isMissing = isMissing
  }

  /// A call of the host that failed, with what errno says.
  static func call(_ call: String) -> LabError { LabError("\(call): \(String(cString: strerror(errno)))") }
}
