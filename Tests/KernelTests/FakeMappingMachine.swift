// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// A machine with an IOMMU, all ways into its page tables, counters of table memory, an `edu` device and Intel's debugfs; with
/// faults, if wanted.
final class FakeMappingMachine: Machine {
  /// What answers calls on a descriptor.
  protocol File: AnyObject {
    func control(_ request: UInt64, _ bytes: inout [UInt8], _ value: UInt64) throws(MachineError) -> Int
    func read(count: Int, at offset: UInt64) throws(MachineError) -> [UInt8]
    func write(_ bytes: [UInt8], at offset: UInt64) throws(MachineError)
    func closed()
  }

  let faults: Set<FakeFault>
  let reclaims: Bool
  var memory = FakeProcessMemory()
  /// Page tables that are there.
  private(set) var tables: [FakePageTable] = []
  /// Pages of tables that nobody will give back.
  private(set) var leaked = 0
  /// Mappings that a closed page table has left, for one fault.
  var remains: [FakePageTable.Area] = []
  lazy var edu = FakeEdu(self)
  /// Whether the kernel has nr_iommu_pages, shows page numbers, and has CONFIG_IOMMUFD_TEST.
  var countsPages = true
  var showsPageNumbers = true
  var hasMock = true
  /// Whether debugfs is mounted, and can be.
  var isDebugfsMounted = true
  var canMount = true
  /// The largest page of hugetlbfs that can be had. One of 1 GiB has many page numbers to look at.
  var largestPage: UInt64 = 2 << 20

  private(set) var open: [Int32: any File] = [:]
  private var positions: [Int32: UInt64] = [:]
  private var nextDescriptor: Int32 = 10
  private var registers: (address: UInt64, byteCount: UInt64)?

  static let device = "0000:00:04.0"

  init(_ faults: Set<FakeFault> = [], reclaims: Bool = false) {
    self.faults = faults
    self.reclaims = reclaims
  }

  /// Whether all descriptors were closed, all memory given back, and no page table left.
  var isTidy: Bool { open.isEmpty && memory.pieces.isEmpty && tables.isEmpty }

  // MARK: Page tables

  func makeTable(ranges: [(UInt64, UInt64)] = FakePageTable.usual, page: UInt64 = 4096) -> FakePageTable {
    let table = FakePageTable(faults: faults, reclaims: reclaims, ranges: ranges, page: page)
    for area in remains { _ = table.map(area) }
    remains = []
    tables.append(table)
    return table
  }

  func release(_ table: FakePageTable) {
    tables.removeAll { $0 === table }
    if faults.contains(.closeLeaksTables) { leaked += table.tableCount }
    if faults.contains(.closeLeaksPage) { leaked += 1 }
    if faults.contains(.closeKeepsMappings) { remains = table.areas }
  }

  /// Pages of tables.
  var tablePages: Int {
    let count = tables.reduce(0) { $0 + $1.tableCount }
    if faults.contains(.countsHalf) { return leaked + count / 2 }
    return leaked + (faults.contains(.countsTwice) ? 2 * count : count)
  }

  func area(_ iova: UInt64, _ address: UInt64, _ length: UInt64, read: Bool, write: Bool)
    -> FakePageTable.Area
  {
    let isLarge = memory.piece(of: address).map { $0.pageSize > 4096 } ?? false
    return .init(iova: iova, address: address, length: length, read: read, write: write, isLarge: isLarge)
  }

  // MARK: Machine

  func identity() -> (release: String, architecture: String) { ("7.2.4-fake", "x86_64") }

  func refused(_ call: String, _ error: Int32) -> MachineError { .refused(call: call, error: error) }

  func add(_ file: any File) -> Int32 {
    nextDescriptor += 1
    open[nextDescriptor] = file
    return nextDescriptor
  }

  func open(_ path: String, _ access: FileAccess) throws(MachineError) -> Int32 {
    guard let file = file(path) else { throw refused("open \(path)", ENOENT) }
    return add(file)
  }

  func close(_ descriptor: Int32) {
    positions[descriptor] = nil
    open.removeValue(forKey: descriptor)?.closed()
  }

  func read(_ descriptor: Int32, count: Int, at offset: UInt64?) throws(MachineError) -> [UInt8] {
    guard let file = open[descriptor] else { throw refused("read", EBADF) }
    let start = offset ?? positions[descriptor, default: 0]
    let bytes = try file.read(count: count, at: start)
    if offset == nil { positions[descriptor] = start + UInt64(bytes.count) }
    return bytes
  }

  func write(_ descriptor: Int32, _ bytes: [UInt8], at offset: UInt64?) throws(MachineError) -> Int {
    guard let file = open[descriptor] else { throw refused("write", EBADF) }
    try file.write(bytes, at: offset ?? 0)
    return bytes.count
  }

  func control(_ descriptor: Int32, _ request: UInt64, _ argument: inout ControlArgument)
    throws(MachineError) -> Int
  {
    guard let file = open[descriptor] else { throw refused("ioctl", EBADF) }
    var bytes: [UInt8] = []
    var value: UInt64 = 0
    switch argument {
    case .bytes(let given): bytes = given
    case .value(let given): value = given
    }
    let result = try file.control(request, &bytes, value)
    if case .bytes = argument { argument = .bytes(bytes) }
    return result
  }

  func allocate(byteCount: UInt64, pageSize: UInt64) throws(MachineError) -> UInt64 {
    guard pageSize <= largestPage else { throw refused("mmap", ENOMEM) }
    return memory.allocate(byteCount: byteCount, pageSize: pageSize)
  }

  func mapDevice(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(MachineError) -> UInt64 {
    let address = memory.allocate(byteCount: byteCount, pageSize: 4096)
    registers = (address, byteCount)
    return address
  }

  func deallocate(_ address: UInt64, byteCount: UInt64) {
    if registers?.address == address { registers = nil }
    memory.deallocate(address)
  }

  func load(_ address: UInt64, byteCount: Int) throws(MachineError) -> [UInt8] {
    guard memory.piece(of: address) != nil else { throw refused("load", EFAULT) }
    return memory.load(address, byteCount)
  }

  func store(_ bytes: [UInt8], at address: UInt64) throws(MachineError) {
    guard memory.piece(of: address) != nil else { throw refused("store", EFAULT) }
    memory.store(bytes, at: address)
  }

  func loadRegister(_ address: UInt64, width: Int) throws(MachineError) -> UInt64 {
    guard let registers, address >= registers.address else { throw refused("load", EFAULT) }
    return edu.load(address - registers.address)
  }

  func storeRegister(_ value: UInt64, at address: UInt64, width: Int) throws(MachineError) {
    guard let registers, address >= registers.address else { throw refused("store", EFAULT) }
    edu.store(value, at: address - registers.address, width: width)
  }

  func insertModule(file: String, parameters: String) throws(MachineError) { throw refused("insert", EPERM) }
  func removeModule(_ name: String) throws(MachineError) { throw refused("remove", EPERM) }
  func mount(fileSystem: String, on folder: String) throws(MachineError) {
    guard canMount, fileSystem == "debugfs", folder == "/sys/kernel/debug" else {
      throw refused("mount", EPERM)
    }
    isDebugfsMounted = true
  }
  func unmount(_ folder: String) throws(MachineError) { isDebugfsMounted = false }

  func sweep(_ steps: [SweepStep], count: UInt64) throws(MachineError) -> SweepResult {
    sweepByCalls(steps, count: count) { round, found, offset in
      if faults.contains(.sweepUnmapsLess), round == 7 { found.add(1, at: offset) }
    }
  }
}
