// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What the kernel tells of the memory of tables.
enum AccountingTests {
  static func all(_ suite: MapperSuite, _ options: MapperTestOptions) -> [KernelTest] {
    // One life serves all tests of it.
    let memo = MapperMemo<AccountingLife>()
    return AccountingCounter.allCases.flatMap { counter in
      [
        test(suite, memo, "grows", counter, grows),
        test(suite, memo, "falls_back", counter) { falls(back: $0, options.emptyTableBound) },
        test(suite, memo, "returns", counter, returns),
      ]
    } + [suite.contextTest("accounting.no_drift") { try noDrift(suite, $0) }]
  }

  private static func test(
    _ suite: MapperSuite, _ memo: MapperMemo<AccountingLife>, _ name: String, _ counter: AccountingCounter,
    _ body: @escaping @Sendable (AccountingReadings) -> [String]
  ) -> KernelTest {
    suite.contextTest("accounting.\(counter.rawValue).\(name)") { context in
      let life = try memo.value(context) { try AccountingLife(suite, context) }.of(counter)
      let problems = body(life).map { "\(counter.text): \($0)" }
      guard problems.isEmpty else { return .fail(details: problems + [life.text]) }
      return .pass(details: [life.text])
    }
  }

  /// Mappings show with at least the tables that they need, and not with much more.
  @Sendable static func grows(_ life: AccountingReadings) -> [String] {
    let growth = life[.mapped] - life[.empty]
    if growth < life.least - life.tolerance {
      return ["expected at least \(life.least) pages more with the mappings, found \(growth)"]
    }
    if growth > life.most + life.tolerance {
      return ["expected at most \(life.most) pages more with the mappings, found \(growth)"]
    }
    return []
  }

  /// Unmapping does not make tables, and leaves no more of them than the policy says: Linux promises nothing today.
  static func falls(back life: AccountingReadings, _ bound: Int?) -> [String] {
    let left = life[.unmapped] - life[.empty]
    if life[.unmapped] > life[.mapped] + life.tolerance {
      return ["expected no more pages after unmap than before, found \(life[.unmapped] - life[.mapped]) more"]
    }
    if left < -life.tolerance {
      return ["expected no less than before the mappings, found \(-left) pages less"]
    }
    if let bound, left > bound + life.tolerance {
      return ["expected at most \(bound) pages of empty tables after unmap, found \(left)"]
    }
    return []
  }

  /// All that was counted for the page table is gone after it was closed.
  @Sendable static func returns(_ life: AccountingReadings) -> [String] {
    let difference = life[.closed] - life[.before]
    guard abs(difference) > life.tolerance else { return [] }
    return ["expected the number of before after close, found \(difference) pages more"]
  }

  /// Page tables that are made and closed many times leave nothing behind, not even a page each.
  private static func noDrift(_ suite: MapperSuite, _ context: KernelContext) throws -> KernelOutcome {
    let rounds = 16
    let counters = AccountingCounters(machine: context.machine)
    guard let before = try counters.pages(.vmstat) else {
      return .skip(.kernel, detail: "\(AccountingCounter.vmstat.text): not there")
    }
    for _ in 0..<rounds {
      try MapperBench.run(suite.open(context)) { bench in
        try bench.map(try bench.room(bench.page), try bench.pages(1), bench.page)
      }
    }
    let drift = try counters.pages(.vmstat).map { $0 - before } ?? 0
    let tolerance = try counters.tolerance()
    let text = "\(drift) pages more after \(rounds) page tables, tolerance \(tolerance)"
    guard drift <= tolerance, tolerance < rounds || drift <= rounds / 2 else { return .fail(details: [text]) }
    return .pass(details: [text])
  }
}
