// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// What keeps a virtual machine from being started or looked into.
public struct LabError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  /// A call of the host that failed, with what errno says.
  static func call(_ call: String) -> LabError { LabError("\(call): \(String(cString: strerror(errno)))") }
}
