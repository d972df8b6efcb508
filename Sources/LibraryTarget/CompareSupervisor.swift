// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
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
      var isHang = false
      do {
        let end = try watch.run(["library-process", "--compare"], left.map(\.line)) { fields in
          guard let result = CompareTaskReport(fields), !left.isEmpty else { return }
          left = left.dropFirst()
          report(result)
        }
        problem = end.map { [$0.problem] + $0.details } ?? ["the process of the library left this point out"]
        operations = end?.operations ?? []
        isHang = end?.isHang ?? false
      } catch {
        problem = ["\(error)"]
      }
      guard let task = left.popFirst() else { return }
      let count = operations.count
      if !isHang { operations = fewer(operations, task) }
      report(CompareTaskReport(.crash(problem, operations: operations), operations: count))
    }
  }

  /// How many processes look for fewer operations that end the process, too.
  private static let shrinkLimit = 80

  /// Operations, few of them where that is found, that end the process as well.
  private func fewer(_ operations: [Operation], _ task: CompareTask) -> [Operation] {
    var tries = 0
    func fails(_ list: [Operation]) -> Bool {
      tries += 1
      guard tries <= Self.shrinkLimit else { return false }
      var task = task
      task.operations = list
      let watch = Watch(preload: preload, callLimit: callLimit, testLimit: .infinity)
      let end = try? watch.run(["library-process", "--compare"], [task.line]) { _ in }
      // Hangs take too long.
      if end?.isHang == true { tries = Self.shrinkLimit }
      return end.map { !$0.isHang } ?? false
    }
    // The last operations often suffice.
    let suffices = [1, 2, 4, 8, 16, 64].lazy.filter { $0 < operations.count }
      .map { Array(operations.suffix($0)) }.first { fails($0) }
    guard let start = suffices ?? (fails(operations) ? operations : nil) else { return operations }
    return Shrinker.minimize(start, limit: Self.shrinkLimit, fails: fails)
  }
}
