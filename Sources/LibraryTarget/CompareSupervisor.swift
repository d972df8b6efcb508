// SPDX-License-Identifier: GPL-2.0-only

import Compare
import PageTable

/// Runs comparisons with libraries in processes of their own: when one crashes or hangs, the point at hand has failed,
/// and the next process goes on with those that are left.
public struct CompareSupervisor: Sendable {
  /// What the processes must preload; nil for nothing.
  public var preload: String?
  /// Seconds that one call of a library may take.
  public var callLimit: Double

  public init(preload: String?, callLimit: Double = 20) {
    self.preload = preload
    self.callLimit = callLimit
  }

  /// Runs tasks in their order, and reports each.
  public func run(_ tasks: [CompareTask], report: (CompareTaskReport) -> Void) {
    let watch = Watch(preload: preload, callLimit: callLimit, testLimit: .infinity)
    var left = tasks[...]
    while !left.isEmpty {
      var problem: [String]
      var operations: [Operation] = []
      do {
        let end = try watch.run(["library-process", "--compare"], left.map(\.line)) { fields in
          guard let result = CompareTaskReport(fields), !left.isEmpty else { return }
          left = left.dropFirst()
          report(result)
        }
        problem = end.map { [$0.problem] + $0.details } ?? ["the process of the library left this point out"]
        operations = end?.operations ?? []
      } catch {
        problem = ["\(error)"]
      }
      guard left.popFirst() != nil else { return }
      report(CompareTaskReport(.crash(problem, operations: operations), operations: operations.count))
    }
  }
}
