// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// A device of a fake machine, one for each time that its file is opened.
protocol FakeDevice: AnyObject {
  /// An ioctl.
  func control(_ request: UInt64, _ argument: inout ControlArgument, on machine: FakeMachine)
    throws(MachineError) -> Int
  /// The descriptor was closed.
  func closed(on machine: FakeMachine)
}

/// A machine of which everything is in memory: a tree of files, devices that tests bring, memory, and a log of what was changed.
/// `FakeKernel.swift` gives it modules, PCI devices, huge pages and mounts.
final class FakeMachine: Machine {
  var release = "7.2.4-fake"
  var architecture = "x86_64"
  /// Everything that changed the machine, in order: `write PATH TEXT`, `insert NAME`, `remove NAME`, `mount FOLDER`, …
  var log: [String] = []
  /// Calls that are refused: as the log has them, and Linux's error number.
  var refusals: [String: Int32] = [:]
  /// What makes a device when a file is opened.
  var devices: [String: () -> any FakeDevice] = [:]
  /// Called before each call with its text, for tests that end a run in the middle.
  var onChange: ((String) -> Void)?
  /// Whether all calls fail, as if the process had been killed that makes them.
  var isDead = false
  /// The number of the change at which that happens, from 0, and whether it happens before it is made.
  var diesAt: (change: Int, before: Bool)?
  private var changes = 0
  private var diesNow = false
  /// What tests see of writes and give to reads; nil reads the file.
  var onWrite: ((_ path: String, _ text: String) -> Void)?
  var onRead: ((_ path: String) -> String?)?
  /// What inserts modules and mounts; without it neither can be done.
  var kernel: FakeKernel?

  /// What is done with a text that is written to a file; it changes the tree.
  typealias Writer = (FakeMachine, _ text: String) throws -> Void

  private var files: [String: String] = [:]
  private var writers: [String: Writer] = [:]
  private var links: [String: String] = [:]
  private var folders: Set<String> = []
  private var open: [Int32: Opened] = [:]
  private var memory: [UInt64: [UInt8]] = [:]
  private var nextDescriptor: Int32 = 100
  private var nextAddress: UInt64 = 0x7f00_0000_0000

  private struct Opened {
    var path: String
    var position = 0
    var device: (any FakeDevice)?
  }

  init() { self["/proc/self/status"] = "Name:\tfake\nUid:\t0\t0\t0\t0\n" }

  // MARK: The tree

  /// The text of a file; nil removes it.
  subscript(path: String) -> String? {
    get { files[path] }
    set { files[path] = newValue }
  }

  /// Makes a file that does something when it is written.
  func file(_ path: String, _ text: String = "", writer: @escaping Writer) {
    files[path] = text
    writers[path] = writer
  }

  /// Makes a symbolic link; nil removes it.
  func link(_ path: String, to destination: String?) { links[path] = destination }

  /// Makes an empty folder. Folders of files are there without it.
  func folder(_ path: String) { folders.insert(path) }

  /// Removes all that lies below a folder, and it.
  func remove(_ path: String) {
    let isBelow = { (other: String) in other == path || other.hasPrefix(path + "/") }
    files = files.filter { !isBelow($0.key) }
    links = links.filter { !isBelow($0.key) }
    writers = writers.filter { !isBelow($0.key) }
    folders = folders.filter { !isBelow($0) }
  }

  /// A refusal of a call.
  func refused(_ call: String, _ error: Int32) -> MachineError { .refused(call: call, error: error) }

  /// Logs a change, unless it is to be refused.
  func change(_ call: String) throws(MachineError) {
    try live()
    onChange?(call)
    if let diesAt, diesAt.change == changes {
      isDead = diesAt.before
      diesNow = true
      if isDead { throw .lost("killed") }
    }
    changes += 1
    if let error = refusals[call] { throw refused(call, error) }
    log.append(call)
  }

  /// Ends all calls after the process was killed.
  private func live() throws(MachineError) {
    if diesAt != nil, diesNow { isDead = true }
    if isDead { throw .lost("killed") }
  }

  /// Whether every descriptor was closed and all memory given back.
  var isTidy: Bool { open.isEmpty && memory.isEmpty }

  /// A descriptor of a device, as ioctls make them.
  func newDescriptor(_ path: String, _ device: (any FakeDevice)? = nil) -> Int32 {
    nextDescriptor += 1
    open[nextDescriptor] = Opened(path: path, device: device)
    return nextDescriptor
  }

  // MARK: Machine

  func identity() -> (release: String, architecture: String) { (release, architecture) }

  func open(_ path: String, _ access: FileAccess) throws(MachineError) -> Int32 {
    try live()
    if let error = refusals["open \(path)"] { throw refused("open \(path)", error) }
    if let device = devices[path] { return newDescriptor(path, device()) }
    guard files[path] != nil else { throw refused("open \(path)", isThere(path) ? EISDIR : ENOENT) }
    return newDescriptor(path)
  }

  func close(_ descriptor: Int32) { open.removeValue(forKey: descriptor)?.device?.closed(on: self) }

  func read(_ descriptor: Int32, count: Int, at offset: UInt64?) throws(MachineError) -> [UInt8] {
    try live()
    guard let opened = open[descriptor] else { throw refused("read", EBADF) }
    if let text = onRead?(opened.path) { return Array(text.utf8) }
    let bytes = Array((files[opened.path] ?? "").utf8)
    let start = offset.map { Int(clamping: $0) } ?? opened.position
    guard start < bytes.count else { return [] }
    let part = Array(bytes[start..<min(bytes.count, start + count)])
    if offset == nil { open[descriptor]?.position = start + part.count }
    return part
  }

  func write(_ descriptor: Int32, _ bytes: [UInt8], at offset: UInt64?) throws(MachineError) -> Int {
    guard let path = open[descriptor]?.path else { throw refused("write", EBADF) }
    let text = String(decoding: bytes, as: UTF8.self)
    try change("write \(path) \(text.isEmpty || text == "\n" ? "nothing" : text)")
    onWrite?(path, text)
    do {
      if let writer = writers[path] { try writer(self, text) } else { files[path] = text }
    } catch let error as MachineError {
      throw error
    } catch {
      throw .lost("\(error)")
    }
    return bytes.count
  }

  func control(_ descriptor: Int32, _ request: UInt64, _ argument: inout ControlArgument)
    throws(MachineError) -> Int
  {
    guard let device = open[descriptor]?.device else { throw refused("ioctl", ENOTTY) }
    return try device.control(request, &argument, on: self)
  }

  func entries(of folder: String) throws(MachineError) -> [String] {
    guard isThere(folder) else { throw refused("open \(folder)", ENOENT) }
    let all = Array(files.keys) + Array(links.keys) + Array(folders) + Array(devices.keys)
    let inside = all.filter { $0.hasPrefix(folder + "/") }.compactMap {
      $0.dropFirst(folder.count + 1).split(separator: "/").first.map(String.init)
    }
    return Set(inside).sorted()
  }

  func destination(ofLink path: String) throws(MachineError) -> String {
    guard let destination = links[path] else {
      throw refused("readlink \(path)", isThere(path) ? EINVAL : ENOENT)
    }
    return destination
  }

  func isThere(_ path: String) -> Bool {
    if files[path] != nil || links[path] != nil || folders.contains(path) || devices[path] != nil {
      return true
    }
    let inside = path + "/"
    return files.keys.contains { $0.hasPrefix(inside) } || links.keys.contains { $0.hasPrefix(inside) }
      || folders.contains { $0.hasPrefix(inside) } || devices.keys.contains { $0.hasPrefix(inside) }
  }

  func allocate(byteCount: UInt64, pageSize: UInt64) throws(MachineError) -> UInt64 {
    let address = (nextAddress + pageSize - 1) & ~(pageSize - 1)
    nextAddress = address + byteCount
    // Large memory is as if it were there: only what is touched is kept.
    memory[address] = [UInt8](repeating: 0, count: Int(min(byteCount, 1 << 16)))
    return address
  }

  func mapDevice(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(MachineError) -> UInt64 {
    try allocate(byteCount: byteCount, pageSize: 4096)
  }

  func deallocate(_ address: UInt64, byteCount: UInt64) { memory[address] = nil }

  func load(_ address: UInt64, byteCount: Int) throws(MachineError) -> [UInt8] {
    let (base, offset) = try place(address, byteCount)
    guard let bytes = memory[base] else { return [] }
    return Array(bytes[offset..<offset + byteCount])
  }

  func store(_ bytes: [UInt8], at address: UInt64) throws(MachineError) {
    let (base, offset) = try place(address, bytes.count)
    memory[base]?.replaceSubrange(offset..<offset + bytes.count, with: bytes)
  }

  private func place(_ address: UInt64, _ count: Int) throws(MachineError) -> (base: UInt64, offset: Int) {
    for (base, bytes) in memory where base <= address {
      let offset = address - base
      if offset < UInt64(bytes.count), Int(offset) + count <= bytes.count { return (base, Int(offset)) }
    }
    throw refused("access", EFAULT)
  }

  func loadRegister(_ address: UInt64, width: Int) throws(MachineError) -> UInt64 {
    try load(address, byteCount: width).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  func storeRegister(_ value: UInt64, at address: UInt64, width: Int) throws(MachineError) {
    try store((0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }, at: address)
  }

  func insertModule(file: String, parameters: String) throws(MachineError) {
    guard let kernel else { throw refused("insert \(file)", EPERM) }
    try kernel.insert(file, parameters)
  }

  func removeModule(_ name: String) throws(MachineError) {
    guard let kernel else { throw refused("remove \(name)", EPERM) }
    try kernel.remove(name)
  }

  func mount(fileSystem: String, on folder: String) throws(MachineError) {
    guard let kernel else { throw refused("mount \(folder)", EPERM) }
    try kernel.mount(fileSystem, folder)
  }

  func unmount(_ folder: String) throws(MachineError) {
    guard let kernel else { throw refused("umount \(folder)", EPERM) }
    try kernel.unmount(folder)
  }

  func sweep(_ steps: [SweepStep], count: UInt64) throws(MachineError) -> SweepResult {
    sweepByCalls(steps, count: count)
  }
}

extension [UInt8] {
  /// The field of 64 bits at an offset, as x86 and ARM have it; 0 where there is none.
  func word(at offset: Int) -> UInt64 {
    guard offset >= 0, offset + 8 <= count else { return 0 }
    return self[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Adds to the field of 64 bits at an offset.
  mutating func add(_ value: UInt64, at offset: Int) {
    guard offset >= 0, offset + 8 <= count else { return }
    let sum = word(at: offset) &+ value
    for byte in 0..<8 { self[offset + byte] = UInt8(truncatingIfNeeded: sum >> (8 * UInt64(byte))) }
  }
}
