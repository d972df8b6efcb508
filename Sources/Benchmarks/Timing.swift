// SPDX-License-Identifier: GPL-2.0-only

/// Nanoseconds that one operation took, over rounds of many operations.
public struct Timing: Hashable, Sendable, Codable {
  /// Mean over all rounds.
  public var average: Double
  /// The fastest round.
  public var minimum: Double

  init(average: Double, minimum: Double) {
    self.average = average
    self.minimum = minimum
  }

  /// A timing that no round has contributed to yet.
  init() { self.init(average: 0, minimum: .infinity) }

  /// Takes one of `rounds` rounds into account, in which `operations` took `duration`.
  mutating func add(_ duration: Duration, operations: Int, rounds: Int) {
    let perOperation = duration.nanoseconds / Double(operations)
    average += perOperation / Double(rounds)
    minimum = min(minimum, perOperation)
  }
}

extension Duration {
  var nanoseconds: Double {
    Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9
  }
}

/// Runs `body` and returns how long it took.
@inline(__always)
func measure(_ body: () -> Void) -> Duration {
  let clock = ContinuousClock()
  let start = clock.now
  body()
  return clock.now - start
}
