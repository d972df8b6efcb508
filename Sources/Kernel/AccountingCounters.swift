// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// Where the kernel tells how much memory the tables of IOMMUs take.
public enum AccountingCounter: String, Hashable, Sendable, CaseIterable {
  /// `nr_iommu_pages` of /proc/vmstat (NR_IOMMU_PAGES, Linux 6.11).
  case vmstat
  /// The sum of `nr_iommu_pages` of /sys/devices/system/node/node*/vmstat.
  case nodes
  /// `SecPageTables` of /proc/meminfo (NR_SECONDARY_PAGETABLE; tables of IOMMUs are in it since Linux 6.11, of guests since 6.1).
  case meminfo

  /// How messages name it.
  var text: String {
    switch self {
    case .vmstat: "nr_iommu_pages of /proc/vmstat"
    case .nodes: "the sum of nr_iommu_pages of all nodes"
    case .meminfo: "SecPageTables of /proc/meminfo"
    }
  }
}

/// Reads the counters.
struct AccountingCounters {
  let machine: any Machine

  /// The pages of 4 KiB that a counter shows now; nil where the kernel does not have it.
  func pages(_ counter: AccountingCounter) throws -> Int? {
    refresh()
    switch counter {
    case .vmstat: return try vmstat("/proc/vmstat")
    case .nodes: return try nodePages()
    case .meminfo:
      // Without nr_iommu_pages, tables of IOMMUs are not in it either.
      guard try vmstat("/proc/vmstat") != nil else { return nil }
      return try meminfo("SecPageTables")
    }
  }

  /// What grows with tables on any kernel: a counter of them, or the memory that is not free, and how far the latter is off from other
  /// work, in pages.
  func growing() throws -> (pages: Int, source: String, noise: Int) {
    if let pages = try pages(.vmstat) { return (pages, AccountingCounter.vmstat.text, try tolerance()) }
    guard let free = try meminfo("MemFree") else {
      throw KernelSkip(.file, "/proc/meminfo has no line MemFree")
    }
    // 64 MiB: page caches, slabs and the process at hand.
    return (-free, "MemFree of /proc/meminfo", 16384)
  }

  /// How far a counter may be off, in pages. Each processor keeps up to 125 pages to itself (stat_threshold in mm/vmstat.c), unless
  /// vm.stat_refresh can collect them; 8 pages are left for other devices of the machine.
  func tolerance() throws -> Int {
    if refresh() { return 8 }
    let names = (try? machine.entries(of: "/sys/devices/system/cpu")) ?? []
    let processors = names.filter { $0.hasPrefix("cpu") && Int($0.dropFirst(3)) != nil }.count
    return 8 + 125 * max(1, processors)
  }

  /// Lets all processors add what they keep to themselves (Documentation/admin-guide/sysctl/vm.rst, stat_refresh). Returns whether
  /// that was possible.
  @discardableResult
  private func refresh() -> Bool { (try? machine.contents(of: "/proc/sys/vm/stat_refresh")) != nil }

  private func nodePages() throws -> Int? {
    let folder = "/sys/devices/system/node"
    guard machine.isThere(folder) else { return nil }
    var sum: Int?
    for node in try machine.entries(of: folder) where node.hasPrefix("node") && Int(node.dropFirst(4)) != nil
    {
      guard let pages = try vmstat("\(folder)/\(node)/vmstat") else { return nil }
      sum = (sum ?? 0) + pages
    }
    return sum
  }

  private func vmstat(_ path: String) throws -> Int? {
    try value(after: "nr_iommu_pages ", in: path)
  }

  /// A line of /proc/meminfo, which are in KiB, in pages of 4 KiB; nil where there is none.
  func meminfo(_ name: String) throws -> Int? {
    try value(after: "\(name):", in: "/proc/meminfo").map { $0 / 4 }
  }

  private func value(after prefix: String, in path: String) throws -> Int? {
    let line = try machine.text(of: path).split(separator: "\n").first { $0.hasPrefix(prefix) }
    return line?.dropFirst(prefix.count).split(separator: " ").first.flatMap { Int($0) }
  }
}
