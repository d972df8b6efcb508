// SPDX-License-Identifier: GPL-2.0-only

/// What a map left behind.
@frozen
public struct MapOutcome: Hashable, Sendable {
  /// The failure, or nil for success.
  public var errno: LinuxErrno?
  /// Bytes mapped, from the start of the range.
  public var mapped: UInt64

  @inlinable
  public init(_ errno: LinuxErrno?, mapped: UInt64) {
    self.errno = errno
    self.mapped = mapped
  }
}
