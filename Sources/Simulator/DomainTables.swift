// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// One domain's tables in a machine, counted.
struct DomainTables: ~Copyable, @unchecked Sendable {
  let machine: SimulatedMachine
  private let node: Int
  /// The domain's live pages, under the machine's lock.
  private let pages: UnsafeMutablePointer<Int>

  init(machine: SimulatedMachine, node: Int) {
    precondition((0..<machine.nodeCount).contains(node), "the machine has \(machine.nodeCount) nodes")
    self.machine = machine
    self.node = node
    pages = .allocate(capacity: 1)
    pages.initialize(to: 0)
  }

  deinit { pages.deallocate() }

  /// 4 KiB pages of table memory that the domain has now.
  var livePages: Int { machine.lock.withLock { pages.pointee } }

  /// Allocates a table; `violation` is what was found in the memory that is reused.
  @inline(__always)
  func allocate(sizeLog2: Int, violation: inout MachineViolation?) -> UInt64? {
    machine.allocate(sizeLog2: sizeLog2, node: node, account: pages, violation: &violation)
  }

  /// Releases a table, and returns what is wrong with that.
  @inline(__always)
  func release(_ physical: UInt64, sizeLog2: Int) -> MachineViolation? {
    machine.release(physical, sizeLog2: sizeLog2, account: pages)
  }
}
