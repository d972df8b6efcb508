// SPDX-License-Identifier: GPL-2.0-only

import Synchronization

/// What one test has found out and others of the same run ask for, too, because it takes long.
final class MapperMemo<Value: Sendable>: Sendable {
  private let kept = Mutex<(run: ObjectIdentifier, value: Value)?>(nil)

  /// The value of this run, made when it is first asked for. What fails is tried again.
  func value(_ context: KernelContext, _ make: () throws -> Value) throws -> Value {
    let run = ObjectIdentifier(context)
    if let known = kept.withLock({ $0 }), known.run == run { return known.value }
    let made = try make()
    kept.withLock { $0 = (run, made) }
    return made
  }
}
