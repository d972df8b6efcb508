// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

@testable import Kernel

extension Machine {
  /// A sweep, call by call. `alter` may change what a call is seen to have returned.
  func sweepByCalls(
    _ steps: [SweepStep], count: UInt64,
    alter: (_ round: UInt64, _ found: inout [UInt8], _ offset: Int) -> Void = { _, _, _ in }
  ) -> SweepResult {
    for round in 0..<count {
      for (index, step) in steps.enumerated() {
        var bytes = step.bytes
        bytes.add(step.stride &* round, at: step.movingOffset)
        var argument = ControlArgument.bytes(bytes)
        do {
          _ = try control(step.descriptor, step.request, &argument)
        } catch {
          let failure = SweepFailure(step: index, error: error.number ?? EIO)
          return SweepResult(rounds: round, failure: failure, nanoseconds: 0)
        }
        guard let expected = step.expected, case .bytes(var found) = argument else { continue }
        alter(round, &found, expected.offset)
        guard found.word(at: expected.offset) == expected.value else {
          return SweepResult(rounds: round, failure: SweepFailure(step: index, error: 0), nanoseconds: 0)
        }
      }
    }
    return SweepResult(rounds: count, nanoseconds: count * 1000)
  }
}
