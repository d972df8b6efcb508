// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// Where journals are by default: in a folder that a new start of the machine empties, and that no other user can write.
public enum JournalPlace {
  /// /run/ptkit/journal of root, and $XDG_RUNTIME_DIR/ptkit/journal of others; nil where there is no such folder.
  public static var standard: String? {
    path(user: geteuid(), runtime: getenv("XDG_RUNTIME_DIR").map { String(cString: $0) })
  }

  static func path(user: uid_t, runtime: String?) -> String? {
    if user == 0 { return "/run/ptkit/journal" }
    guard let runtime, runtime.hasPrefix("/") else { return nil }
    return "\(runtime)/ptkit/journal"
  }
}
