// SPDX-License-Identifier: GPL-2.0-only

extension SimulatedMachine {
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
