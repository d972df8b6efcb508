// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// Huge pages of the machine, reserved through the journal.
struct Hugepages {
  let machine: any Machine
  let journal: Journal

  /// Sees that `count` pages of `size` bytes are free.
  ///
  /// - Throws: `KernelSkip` where the machine has no such pages, or not enough memory in one piece.
  func reserve(size: UInt64, count: UInt64) throws {
    let folder = "/sys/kernel/mm/hugepages/hugepages-\(size >> 10)kB"
    guard machine.isThere(folder) else {
      throw KernelSkip(.hugepages, "the kernel has no pages of \(Numbers.size(size)): there is no \(folder)")
    }
    let free = try number(folder, "free_hugepages") &- number(folder, "resv_hugepages")
    if free >= count { return }
    let total = "\(folder)/nr_hugepages"
    let before = try number(folder, "nr_hugepages")
    let mark = journal.mark
    // The number of all nodes is the sum of theirs: written alone, it would come back on other nodes.
    for file in try nodeFiles(size) + [total] {
      try journal.make(.setting(file: file, value: machine.line(of: file))) {}
    }
    let wanted = before + count - free
    do {
      try machine.write(String(wanted), to: total)
    } catch {
      _ = journal.undo(to: mark)
      throw KernelSkip(.hugepages, "\(error)")
    }
    let found = try number(folder, "free_hugepages")
    if found >= count { return }
    let problems = journal.undo(to: mark)
    guard problems.isEmpty else { throw KernelFailure(details: problems) }
    throw KernelSkip(
      .hugepages, "\(count) free pages of \(Numbers.size(size)) are needed, the kernel could make \(found)")
  }

  /// The counts of each node.
  private func nodeFiles(_ size: UInt64) throws -> [String] {
    let nodes = "/sys/devices/system/node"
    guard machine.isThere(nodes) else { return [] }
    return try machine.entries(of: nodes).filter { $0.hasPrefix("node") && Int($0.dropFirst(4)) != nil }.map {
      "\(nodes)/\($0)/hugepages/hugepages-\(size >> 10)kB/nr_hugepages"
    }.filter { machine.isThere($0) }
  }

  private func number(_ folder: String, _ file: String) throws -> UInt64 {
    let text = try machine.line(of: "\(folder)/\(file)")
    guard let number = UInt64(text) else {
      throw KernelFailure("\(folder)/\(file): expected a number, found '\(text)'")
    }
    return number
  }
}
