// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Simulator

/// A page table whose unmaps can leave the invalidation to a later sync (Linux: iommu_unmap_fast(), and what callers of
/// read_and_clear_dirty() do). It has one gather, which the first gathered operation opens.
public protocol GatheringTarget: SimulatedTarget {
  /// Runs an `unmap` or a `dirty` whose invalidation is left to `synchronizeGather`; other operations run as `perform`
  /// runs them.
  ///
  /// - Parameter isQueued: whether the sync that follows invalidates everything, so that the operation need invalidate
  ///   nothing (Linux: the flush queue of DMA domains).
  func perform(gathered operation: Operation, isQueued: Bool) -> OperationResult

  /// Invalidates what was gathered, then releases the tables gathered.
  func synchronizeGather()
}

extension Operation {
  /// What the log shows instead of a gathered operation: one with the same writes, after which nothing need be
  /// invalidated yet.
  package var gathered: Operation {
    switch self {
    case .unmap(let iova, _): .phys(iova: iova)
    case .dirty(let iova, let length, _): .dirty(iova: iova, length: length, clear: false)
    default: self
    }
  }
}

extension GenericPageTable {
  /// Runs an `unmap` or a `dirty` that only gathers; nil for other operations.
  package func run(gathered operation: Operation, _ gather: inout Gather) -> OperationResult? {
    switch operation {
    case .unmap(let iova, let length):
      return .unmapped(unmap(iova: iova, length: length, gather: &gather))
    case .dirty(let iova, let length, let clear):
      do throws(LinuxErrno) {
        return .dirty(try readDirty(iova: iova, length: length, clear: clear, gather: &gather))
      } catch {
        return .failed(error)
      }
    default: return nil
    }
  }
}

extension SimulatedPageTable: GatheringTarget {
  /// The generic code needs no hint that everything will be invalidated.
  public func perform(gathered operation: Operation, isQueued: Bool) -> OperationResult {
    recorder.beginOperation(operation.gathered)
    guard let result = table.run(gathered: operation, &gather) else {
      recorder.endOperation(.none)
      return perform(operation)
    }
    recorder.endOperation(result)
    return result
  }

  public func synchronizeGather() { table.synchronize(&gather) }
}
