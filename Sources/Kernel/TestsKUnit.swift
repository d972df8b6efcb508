// SPDX-License-Identifier: GPL-2.0-only

import TAP

extension KernelTest {
  /// One test for each module with KUnit suites, for runs whose results are fixed in advance: it passes where all results of the
  /// suites do.
  public static let kunit: [KernelTest] = NeededModule.all.filter { !$0.suites.isEmpty }.map { module in
    KernelTest("kernel.kunit.\(module.name)") { context in
      let (cases, details) = try KUnitModule(context: context, module: module).run()
      let failures = cases.filter { !$0.outcome.isOK }
      if cases.isEmpty { return .fail(details: details + ["there are no results"]) }
      let skips = cases.count { $0.outcome == .skip }
      let sums = [
        "passed: \(cases.count - failures.count - skips), failed: \(failures.count), skipped: \(skips)"
      ]
      if failures.isEmpty { return .pass(details: details + sums) }
      return .fail(details: details + sums + failures.prefix(20).flatMap { [$0.name] + $0.details })
    }
  }
}
