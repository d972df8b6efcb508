// SPDX-License-Identifier: GPL-2.0-only

/// The Linux error numbers that page-table operations return, with their errno values
/// (include/uapi/asm-generic/errno-base.h and errno.h).
public enum LinuxErrno: Int32, Error, Sendable, Hashable, CaseIterable {
  case enoent = 2
  case enxio = 6
  case eagain = 11
  case enomem = 12
  case efault = 14
  case eexist = 17
  case enodev = 19
  case einval = 22
  case erange = 34
  case eoverflow = 75
  case eopnotsupp = 95
  case eaddrinuse = 98

  /// The errno's name as C spells it, for example `EADDRINUSE`.
  public var name: String { String(describing: self).uppercased() }

  /// The error with the C name `name`, or nil when the kit does not know it.
  public init?(name: some StringProtocol) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }
}
