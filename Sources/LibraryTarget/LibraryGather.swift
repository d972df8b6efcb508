// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Conformance
import PageTable

extension RecordedLibraryTable: GatheringTarget {
  public func perform(gathered operation: Operation, isQueued: Bool) -> OperationResult {
    switch operation {
    case .unmap, .dirty: break
    default: return perform(operation)
    }
    if gather.pointee.size == 0 {
      gather.pointee.size = MemoryLayout<ptkit_gather>.size
      gather.pointee.flags = isQueued ? UInt32(PTKIT_GATHER_QUEUED) : 0
    }
    recorder.beginOperation(operation.gathered)
    let result = call(operation, gather: gather)
    host.watcher?.scanAll()
    recorder.endOperation(result)
    return result
  }

  public func synchronizeGather() {
    if gather.pointee.size == 0 { gather.pointee.size = MemoryLayout<ptkit_gather>.size }
    synchronize(gather)
    gather.pointee = ptkit_gather()
  }
}
