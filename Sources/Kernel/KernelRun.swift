// SPDX-License-Identifier: GPL-2.0-only

import Machine
import Selftests
import TAP

/// A point of the results of a run.
public enum KernelPoint: Sendable {
  /// A test that is to be run.
  case test(KernelTest)
  /// What a test in the kernel came to.
  case result(TAPResult)

  /// The name of the result.
  public var name: String {
    switch self {
    case .test(let test): test.name
    case .result(let result): result.name
    }
  }
}

/// A run of tests on a kernel, from the first change of the machine to the last that is undone.
public final class KernelRun {
  /// The point that says whether everything was put back.
  public static let leftAsFound = "kernel.left_as_found"

  private let context: KernelContext
  private let tests: [KernelTest]
  private let before: KernelState
  private var findings: KernelFindings
  private var hasRun = false

  /// A run of `tests`, and of the KUnit suites.
  ///
  /// - Parameter findings: failures that are known.
  public init(context: KernelContext, tests: [KernelTest], findings: [KernelFinding]) {
    self.context = context
    self.tests = tests
    self.findings = KernelFindings(findings)
    before = KernelState(of: context.machine)
  }

  /// All names that are known without running anything: KUnit's cases are known when their modules have run.
  public static func names(_ tests: [KernelTest]) -> [String] {
    tests.map(\.name) + kunitModules.map(KUnitModule.name) + [leftAsFound]
  }

  /// The modules with KUnit suites.
  private static var kunitModules: [NeededModule] { NeededModule.all.filter { !$0.suites.isEmpty } }

  /// The points that `patterns` name, in their order; all without a pattern. Where KUnit's are meant, its suites run now, for a TAP
  /// stream says first how many results it has.
  ///
  /// - Throws: `SelectionError` for a pattern that names no point, `KernelInterruption` when the run is to end.
  public func points(_ patterns: [String], progress: (String) -> Void = { _ in }) throws -> [KernelPoint] {
    let meansKUnit = patterns.isEmpty || patterns.contains(where: Self.canMeanKUnit)
    var points = tests.map(KernelPoint.test)
    if meansKUnit {
      for module in Self.kunitModules {
        progress(KUnitModule.name(of: module))
        points += try KUnitModule(context: context, module: module).results().map(KernelPoint.result)
      }
    }
    let chosen = try Selftests.select(patterns, from: points.map(\.name) + [Self.leftAsFound])
    let names = Set(chosen)
    return points.filter { names.contains($0.name) }
  }

  private static func canMeanKUnit(_ pattern: String) -> Bool {
    let beginning = pattern.prefix { !"*?".contains($0) }
    if beginning.count == pattern.count, pattern == "kernel" { return true }
    return beginning.hasPrefix("kernel.kunit")
      || beginning.count < pattern.count && "kernel.kunit".hasPrefix(beginning)
  }

  /// The result of a point: of a test that runs now, or of one that has run in the kernel.
  ///
  /// - Throws: `KernelInterruption` when the run is to end.
  public func result(of point: KernelPoint) throws(KernelInterruption) -> TAPResult {
    var result: TAPResult
    switch point {
    case .test(let test): result = try test.result(in: context)
    case .result(let known): result = known
    }
    if result.outcome != .skip { hasRun = true }
    findings.apply(to: &result, era: context.version)
    return result
  }

  /// Undoes everything that was changed, in reverse order, and looks whether the machine is as it was found.
  public func finish() -> TAPResult {
    let hasChanged = context.journal.hasChanges
    var details = context.journal.undoAll()
    details += before.differences(from: KernelState(of: context.machine))
    if !context.journal.changes.isEmpty { details.append("'ptkit restore' tries again") }
    if !details.isEmpty { return TAPResult(Self.leftAsFound, .fail, details: details) }
    guard hasChanged || hasRun else {
      return TAPResult(
        Self.leftAsFound, .skip, reason: KernelSkipReason.unchanged.rawValue, details: ["no test could run"])
    }
    return TAPResult(Self.leftAsFound, .pass)
  }
}
