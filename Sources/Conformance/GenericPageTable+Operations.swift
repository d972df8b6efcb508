// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Simulator

extension GenericPageTable {
  /// Runs one operation and returns its result; `allocbudget` sets the budget of `machine`.
  public func run(_ operation: Operation, machine: SimulatedMachine) -> OperationResult {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      return map(iova: iova, pa: pa, length: length, protection: protection).map { .failed($0) } ?? .ok
    case .mapRange(let iova, let pa, let length, let protection):
      return Self.result(mapRange(iova: iova, pa: pa, length: length, protection: protection))
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      guard !overflow else { return .failedMapped(.eoverflow, 0) }
      let sizes = pageSize == 0 ? 0 : Bits.lowMask(64 - pageSize.leadingZeroBitCount)
      return Self.result(
        mapRange(iova: iova, pa: pa, length: length, protection: protection, sizes: sizes))
    case .unmap(let iova, let length):
      return .unmapped(unmap(iova: iova, length: length))
    case .unmapPages(let iova, let pageSize, let count):
      let (length, overflow) = pageSize.multipliedReportingOverflow(by: count)
      return .unmapped(overflow ? 0 : unmap(iova: iova, length: length))
    case .phys(let iova): return .physical(translate(iova))
    case .setDirty(let iova): return setDirty(iova).map { .failed($0) } ?? .ok
    case .dirty(let iova, let length, let clear): return readDirty(iova, length, clear: clear)
    case .allocationBudget(let pages):
      machine.allocationBudget = pages
      return .none
    }
  }

  private static func result(_ outcome: MapOutcome) -> OperationResult {
    outcome.errno.map { .failedMapped($0, outcome.mapped) } ?? .okMapped(outcome.mapped)
  }

  private func readDirty(_ iova: UInt64, _ length: UInt64, clear: Bool) -> OperationResult {
    var gather = Gather()
    do throws(LinuxErrno) {
      let ranges = try readDirty(iova: iova, length: length, clear: clear, gather: &gather)
      synchronize(&gather)
      return .dirty(ranges)
    } catch {
      return .failed(error)
    }
  }
}
