// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// The exit statuses of the kit. 2 and 3 are never used: kselftest's runner reads them as XFAIL and XPASS.
public enum ExitStatus: Int32, Hashable, Sendable {
  /// Everything passed, failed as expected or was skipped.
  case pass = 0
  /// A test failed.
  case failure = 1
  /// Everything was skipped, and kselftest's runner, which knows skips by this status only, is watching.
  case skipped = 4
  /// The command line is wrong (EX_USAGE).
  case usage = 64
  /// The input is wrong (EX_DATAERR).
  case badInput = 65

  /// Whether kselftest's runner runs this process; it alone sets this variable.
  public static var isUnderKselftest: Bool { getenv("kselftest_timeout") != nil }

  /// The status of a run with these totals.
  public init(_ totals: TAPTotals, underKselftest: Bool = Self.isUnderKselftest) {
    if totals.hasFailures {
      self = .failure
    } else {
      // To other consumers any status but 0 is a failure.
      self = totals.areAllSkipped && underKselftest ? .skipped : .pass
    }
  }
}
