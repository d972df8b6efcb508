// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// A call of a machine that failed.
public enum MachineError: Error, Hashable, Sendable {
  /// The kernel refused: the call with its main argument, for example `open /dev/vfio/3`, and Linux's error number.
  case refused(call: String, error: Int32)
  /// The machine does not answer any more, or not as agreed.
  case lost(String)

  /// Linux's error number; nil where the machine was lost.
  public var number: Int32? {
    switch self {
    case .refused(_, let error): error
    case .lost: nil
    }
  }
}

extension MachineError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .refused(let call, let error): "\(call): \(String(cString: strerror(error)))"
    case .lost(let why): "the machine is lost: \(why)"
    }
  }
}
