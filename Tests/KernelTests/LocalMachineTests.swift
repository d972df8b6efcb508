// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine
import Testing

@testable import Kernel

@Suite("The machine at hand")
struct LocalMachineTests {
  let machine = LocalMachine()
  let scratch = KernelScratch()

  @Test("it says its kernel and processor")
  func identity() throws {
    let (release, architecture) = try machine.identity()
    #expect(try machine.line(of: "/proc/sys/kernel/osrelease") == release)
    #expect(["x86_64", "aarch64"].contains(architecture))
    #expect(try KernelContext(machine: machine).user == Int(geteuid()))
  }

  @Test("files are read from the start, from where they stand, and from an offset; refusals name the call")
  func files() throws {
    let path = try scratch.write("0123456789\n", to: "file")
    let descriptor = try machine.open(path, .readWrite)
    defer { machine.close(descriptor) }
    #expect(try machine.read(descriptor, count: 3, at: nil) == Array("012".utf8))
    #expect(try machine.read(descriptor, count: 3, at: nil) == Array("345".utf8))
    #expect(try machine.read(descriptor, count: 2, at: 8) == Array("89".utf8))
    #expect(try machine.read(descriptor, count: 2, at: 99) == [])
    #expect(try machine.write(descriptor, Array("ab".utf8), at: 1) == 2)
    #expect(try machine.line(of: path) == "0ab3456789")
    try machine.write("z", to: path)
    #expect(try machine.line(of: path) == "zab3456789")
    #expect(throws: MachineError.refused(call: "open /no/such", error: ENOENT)) {
      try machine.open("/no/such", .read)
    }
    #expect(throws: MachineError.refused(call: "write", error: EBADF)) {
      try machine.write(try machine.open(path, .read), [1], at: nil)
    }
    #expect(throws: MachineError.self) { try machine.read(descriptor, count: 1, at: .max) }
  }

  @Test("large files of procfs come whole, folders sorted, links as they are")
  func procfs() throws {
    #expect(try machine.text(of: "/proc/self/status").contains("Uid:"))
    let entries = try machine.entries(of: "/proc/self")
    #expect(entries == entries.sorted() && entries.contains("maps") && !entries.contains("."))
    symlink("somewhere/else", scratch.path("link"))
    #expect(try machine.destination(ofLink: scratch.path("link")) == "somewhere/else")
    // A link that leads nowhere is there all the same.
    #expect(machine.isThere(scratch.path("link")))
    #expect(!machine.isThere(scratch.path("none")))
    #expect(throws: MachineError.self) { try machine.entries(of: "/no/such") }
    #expect(throws: MachineError.self) { try machine.destination(ofLink: "/proc") }
  }

  @Test("memory is zero, aligned and there; registers are accessed in their width")
  func memory() throws {
    let page = UInt64(getpagesize())
    let address = try machine.allocate(byteCount: 2 * page, pageSize: page)
    defer { machine.deallocate(address, byteCount: 2 * page) }
    #expect(address % page == 0)
    #expect(try machine.load(address, byteCount: Int(2 * page)).allSatisfy { $0 == 0 })
    try machine.store([1, 2, 3, 4, 5, 6, 7, 8, 9], at: address + page - 4)
    #expect(try machine.load(address + page, byteCount: 5) == [5, 6, 7, 8, 9])
    try machine.storeRegister(0x1122_3344_5566_7788, at: address, width: 8)
    for (width, value) in [(1, 0x88), (2, 0x7788), (4, 0x5566_7788), (8, 0x1122_3344_5566_7788)]
      as [(Int, UInt64)]
    {
      #expect(try machine.loadRegister(address, width: width) == value)
    }
    try machine.storeRegister(0xaaaa, at: address, width: 1)
    #expect(try machine.loadRegister(address, width: 2) == 0x77aa)
    for width in [0, 3, 16] {
      #expect(throws: MachineError.self) { try machine.loadRegister(address, width: width) }
    }
    #expect(throws: MachineError.self) { try machine.loadRegister(address + 1, width: 2) }
    // Pages that are there have a frame, as pagemap says.
    let pagemap = try machine.open("/proc/self/pagemap", .read)
    defer { machine.close(pagemap) }
    let entry = try machine.read(pagemap, count: 8, at: address / page * 8)
    #expect(entry.word(at: 0) >> 63 == 1)
  }

  @Test("memory in pages that there are not is refused")
  func noHugePages() {
    #expect(throws: MachineError.self) { try machine.allocate(byteCount: 4096, pageSize: 3000) }
    #expect(throws: MachineError.self) { try machine.allocate(byteCount: 1 << 33, pageSize: 1 << 33) }
    #expect(throws: MachineError.self) { try machine.allocate(byteCount: 0, pageSize: 4096) }
    #expect(throws: MachineError.self) { try machine.mapDevice(-1, offset: 0, byteCount: 4096) }
  }

  @Test("modules and mounts are refused as the kernel refuses them")
  func refusals() throws {
    let path = try scratch.write("no module", to: "x.ko")
    for call in [
      { try machine.insertModule(file: path, parameters: "") }, { try machine.removeModule("ptkit_no_such") },
      { try machine.mount(fileSystem: "ptkit_no_such", on: scratch.folder) },
      { try machine.unmount(scratch.folder) },
    ] as [() throws -> Void] {
      let error = #expect(throws: MachineError.self, performing: call)
      #expect(error?.number != nil)
    }
  }

  // FIONREAD and its number of bytes, which pipes have.
  private static let bytesToRead: UInt64 = 0x541b

  /// A pipe with bytes in it.
  private func pipe(_ bytes: [UInt8]) throws -> (reader: Int32, writer: Int32) {
    var ends: [Int32] = [0, 0]
    try #require(Glibc.pipe(&ends) == 0)
    _ = try machine.write(ends[1], bytes, at: nil)
    return (ends[0], ends[1])
  }

  @Test("ioctls change the bytes of their structure")
  func control() throws {
    let (reader, writer) = try pipe([1, 2, 3])
    defer {
      machine.close(reader)
      machine.close(writer)
    }
    var argument = ControlArgument.bytes([0xff, 0xff, 0xff, 0xff, 9])
    #expect(try machine.control(reader, Self.bytesToRead, &argument) == 0)
    #expect(argument == .bytes([3, 0, 0, 0, 9]))
    var value = ControlArgument.value(0)
    #expect(throws: MachineError.refused(call: "ioctl", error: ENOTTY)) {
      try machine.control(try machine.open("/dev/null", .read), 0x1234, &value)
    }
  }

  @Test("a sweep makes all rounds, sees the first other result, and says which call failed")
  func sweep() throws {
    let (reader, writer) = try pipe([1, 2, 3])
    defer {
      machine.close(reader)
      machine.close(writer)
    }
    // The kernel sets the first 4 bytes; the field behind them moves.
    func step(_ descriptor: Int32, expected: UInt64?) -> SweepStep {
      SweepStep(
        descriptor: descriptor, request: Self.bytesToRead, bytes: [UInt8](repeating: 0, count: 16),
        movingOffset: 8,
        stride: 1, expected: expected.map { (offset: 0, value: $0) })
    }
    let all = try machine.sweep([step(reader, expected: 3), step(reader, expected: nil)], count: 1000)
    #expect(all.rounds == 1000 && all.failure == nil && all.nanoseconds > 0)
    let other = try machine.sweep([step(reader, expected: 3), step(reader, expected: 4)], count: 1000)
    #expect(other.rounds == 0 && other.failure == SweepFailure(step: 1, error: 0))
    let failed = try machine.sweep([step(-1, expected: nil)], count: 5)
    #expect(failed.failure == SweepFailure(step: 0, error: EBADF))
    #expect(try machine.sweep([], count: 3).rounds == 3)
  }

  @Test("fields outside of a sweep's structure are refused")
  func sweepBounds() {
    for offset in [-1, 9, 16, Int.max] {
      let step = SweepStep(
        descriptor: 0, request: 0, bytes: [UInt8](repeating: 0, count: 16), movingOffset: offset, stride: 1)
      #expect(throws: MachineError.self) { try machine.sweep([step], count: 1) }
      let other = SweepStep(
        descriptor: 0, request: 0, bytes: [UInt8](repeating: 0, count: 16), movingOffset: 0, stride: 1,
        expected: (offset: offset, value: 0))
      #expect(throws: MachineError.self) { try machine.sweep([other], count: 1) }
    }
  }
}
