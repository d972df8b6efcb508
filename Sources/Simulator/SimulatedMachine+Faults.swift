// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A page table was not made, for table memory was short.
public struct CreationShortage: Error, Hashable, Sendable {
  /// The 4 KiB pages of tables that are still allocated; 0 unless they leak.
  public var pagesLeft: Int
  /// What was done wrong with table memory on the way.
  public var violations: [MachineViolation]
}

extension SimulatedMachine {
  /// Makes the first page table of the machine, with `budget` pages of table memory, and no limit afterwards; nil is
  /// unlimited.
  ///
  /// - Throws: `CreationShortage` in the place of `LinuxErrno.enomem`, and whatever else `make` throws.
  public func lend<Table>(_ budget: Int?, to make: () throws -> Table) throws -> Table {
    guard let budget else { return try make() }
    allocationBudget = budget
    defer { allocationBudget = nil }
    do {
      return try make()
    } catch LinuxErrno.enomem {
      throw CreationShortage(pagesLeft: livePages, violations: violations + verifyReleasedTables())
    }
  }

  /// Lets one allocation fail, counted from now: 1 is the next one. The count includes allocations that
  /// fail for other reasons.
  public func failAllocation(number: Int) {
    setFaults { $0.failingAllocation = number }
  }

  /// Lets all allocations fail once `count` more have succeeded.
  public func failAllocations(after count: Int) {
    setFaults { $0.successesLeft = count }
  }

  /// How many 4 KiB pages of table memory may still be allocated; nil is unlimited. Tables
  /// smaller than a page take one for as many as it holds; releasing a table gives nothing back.
  public var allocationBudget: Int? {
    get { lock.withLock { state.pointee.faults.budget } }
    set { setFaults { $0.budget = newValue } }
  }

  /// Ends all injected failures, the budget included.
  public func clearFaults() {
    setFaults { $0 = InjectedFaults() }
  }

  private func setFaults(_ change: (inout InjectedFaults) -> Void) {
    lock.withLock {
      change(&state.pointee.faults)
      state.pointee.injectsFaults = !state.pointee.faults.isEmpty
    }
  }
}
