// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// The tree of files of a `FakeMappingMachine`.
extension FakeMappingMachine {
  /// A file of text.
  final class Text: File {
    private let bytes: [UInt8]
    init(_ text: String) { bytes = Array(text.utf8) }

    func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int {
      throw .refused(call: "ioctl", error: ENOTTY)
    }
    func read(count: Int, at offset: UInt64) -> [UInt8] {
      guard offset < UInt64(bytes.count) else { return [] }
      return Array(bytes[Int(offset)..<min(bytes.count, Int(offset) + count)])
    }
    func write(_ bytes: [UInt8], at offset: UInt64) throws(MachineError) {
      throw .refused(call: "write", error: EACCES)
    }
    func closed() {}
  }

  /// /proc/self/pagemap.
  final class Pagemap: File {
    private unowned let machine: FakeMappingMachine
    init(_ machine: FakeMappingMachine) { self.machine = machine }

    func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int {
      throw .refused(call: "ioctl", error: ENOTTY)
    }
    func read(count: Int, at offset: UInt64) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      for position in 0..<count / 8 {
        guard let physical = machine.memory.physical((offset / 8 + UInt64(position)) * 4096) else { continue }
        bytes.set(1 << 63 | (machine.showsPageNumbers ? physical / 4096 : 0), at: 8 * position, 8)
      }
      return bytes
    }
    func write(_ bytes: [UInt8], at offset: UInt64) throws(MachineError) {
      throw .refused(call: "write", error: EACCES)
    }
    func closed() {}
  }

  private var texts: [String: () -> String] {
    let device = "/sys/bus/pci/devices/\(Self.device)"
    let huge = { (size: Int) in "/sys/kernel/mm/hugepages/hugepages-\(size)kB" }
    var texts: [String: () -> String] = [
      "/proc/self/status": { "Uid:\t0\t0\t0\t0\n" },
      "/proc/modules": { "" },
      "/proc/self/mounts": { self.isDebugfsMounted ? "none /sys/kernel/debug debugfs rw 0 0\n" : "" },
      "/proc/cmdline": { "quiet\n" },
      "/lib/modules/7.2.4-fake/modules.builtin": {
        "kernel/ptkit_iommu.ko\nkernel/drivers/iommu/iommufd/iommufd.ko\nkernel/drivers/vfio/vfio.ko\nkernel/drivers/vfio/vfio_iommu_type1.ko\nkernel/drivers/vfio/pci/vfio-pci.ko\n"
      },
      "/lib/modules/7.2.4-fake/modules.dep": { "" },
      "\(device)/vendor": { "0x1234\n" }, "\(device)/device": { "0x11e8\n" },
      "\(device)/class": { "0x00ff00\n" },
      "\(device)/vfio-dev/vfio0/dev": { "511:0\n" },
      "/proc/sys/vm/stat_refresh": { "" },
      "/proc/vmstat": { "nr_free_pages 100000\n" + self.counter },
      "/sys/devices/system/node/node0/vmstat": { self.nodeCounter(0) },
      "/sys/devices/system/node/node1/vmstat": { self.nodeCounter(1) },
      "/proc/meminfo": { self.meminfo },
      "/sys/kernel/debug/iommu/intel/\(Self.device)/domain_translation_struct": { FakeDebugfs.text(self) },
      "/sys/kernel/debug/iommu/intel/dmar_translation_struct": { FakeDebugfs.stage },
    ]
    for size in [2048, 1_048_576] {
      for name in ["nr_hugepages", "free_hugepages"] { texts["\(huge(size))/\(name)"] = { "4\n" } }
      texts["\(huge(size))/resv_hugepages"] = { "0\n" }
    }
    return texts
  }

  private var counter: String { countsPages ? "nr_iommu_pages \(100 + tablePages)\n" : "" }

  private func nodeCounter(_ node: Int) -> String {
    guard countsPages else { return "" }
    let half = (100 + tablePages) / 2
    if node == 0 { return "nr_iommu_pages \(half)\n" }
    return "nr_iommu_pages \(faults.contains(.nodesNotCounted) ? 50 : 100 + tablePages - half)\n"
  }

  private var meminfo: String {
    let counted = faults.contains(.kilobytesNotCounted) ? 0 : tablePages * 4
    return "MemTotal: 8000000 kB\nMemFree: \(6_000_000 - tablePages * 4) kB\n"
      + "MemAvailable: 6000000 kB\nSecPageTables: \(counted) kB\n"
  }

  private static let devices = [
    "/dev/vfio/vfio", "/dev/vfio/7", "/dev/iommu", "/dev/vfio/devices/vfio0", "/dev/ptkit_iommu",
    "/proc/self/pagemap",
    "/sys/bus/pci/devices/\(device)/config", "/sys/bus/pci/devices/\(device)/resource0",
  ]

  private static let links = [
    "/sys/bus/pci/devices/\(device)/iommu_group": "../../../kernel/iommu_groups/7",
    "/sys/bus/pci/devices/\(device)/driver": "../../../bus/pci/drivers/vfio-pci",
    "/sys/kernel/iommu_groups/7/devices/\(device)": "../../../../devices/\(device)",
  ]

  func file(_ path: String) -> (any File)? {
    let device = "/sys/bus/pci/devices/\(Self.device)"
    switch path {
    case "/dev/vfio/vfio": return FakeVFIO.Container(self)
    case "/dev/vfio/7": return FakeVFIO.Group(self)
    case "/dev/vfio/devices/vfio0": return FakeVFIO.Device(self)
    case "/dev/iommu": return FakeIOMMUFD(self)
    case "/dev/ptkit_iommu": return FakeModuleFile(self)
    case "/proc/self/pagemap": return Pagemap(self)
    case "\(device)/config", "\(device)/resource0": return FakeVFIO.Device(self)
    default: return texts[path].map { Text($0()) }
    }
  }

  private var paths: [String] {
    let all = Array(texts.keys) + Self.devices + Array(Self.links.keys)
    return isDebugfsMounted ? all : all.filter { !$0.hasPrefix("/sys/kernel/debug/") } + ["/sys/kernel/debug"]
  }

  func entries(of folder: String) throws(MachineError) -> [String] {
    let inside = paths.filter { $0.hasPrefix(folder + "/") }.compactMap {
      $0.dropFirst(folder.count + 1).split(separator: "/").first.map(String.init)
    }
    guard !inside.isEmpty else { throw refused("open \(folder)", ENOENT) }
    return Set(inside).sorted()
  }

  func destination(ofLink path: String) throws(MachineError) -> String {
    guard let destination = Self.links[path] else { throw refused("readlink \(path)", ENOENT) }
    return destination
  }

  func isThere(_ path: String) -> Bool { paths.contains { $0 == path || $0.hasPrefix(path + "/") } }
}
