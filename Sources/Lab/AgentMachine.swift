// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// A machine whose calls are made by an agent at the other end of a line (lab/agent). To be used by one thread.
public final class AgentMachine: Machine {
  private let line: AgentLine
  /// Seconds that a call may take, and those of one that repeats others.
  public var callLimit = 120.0
  public var sweepLimit = 600.0
  /// Seconds that a module may take to be inserted: the tests in it run then, minutes long in an emulated machine.
  public var insertLimit = 1800.0
  /// What goes in one request without more than the guest's terminal can hold, and comes back in one answer, in bytes.
  private let partOfRequest = 2048
  private let partOfAnswer = 32768

  /// An agent that has said that it is there.
  public init(_ line: AgentLine) { self.line = line }

  /// Whether it does not answer any more.
  public var isLost: Bool { line.isLost }

  // MARK: Files

  public func identity() throws(MachineError) -> (release: String, architecture: String) {
    let bytes = try ask(AgentRequest(.identity), "uname").bytes
    guard bytes.count == 130 else { throw .lost("uname gave \(bytes.count) bytes") }
    return (Self.text(bytes[..<65]), Self.text(bytes[65...]))
  }

  public func open(_ path: String, _ access: FileAccess) throws(MachineError) -> Int32 {
    let request = AgentRequest(.open).with(path).with(UInt8(access.rawValue))
    return Int32(truncatingIfNeeded: try ask(request, "open \(path)").result)
  }

  public func close(_ descriptor: Int32) {
    _ = try? ask(AgentRequest(.close).with(descriptor), "close")
  }

  public func read(_ descriptor: Int32, count: Int, at offset: UInt64?) throws(MachineError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let rest = count - bytes.count
      guard let offset else { return try part(descriptor, rest, at: nil) }
      let place = offset &+ UInt64(bytes.count)
      // Words come as runs, which the numbers of pages mostly are; ends that are no words do not.
      var more = rest >= 256 && place % 8 == 0 ? try runs(descriptor, rest, at: place) : []
      if more.isEmpty { more = try part(descriptor, rest, at: place) }
      if more.isEmpty { break }
      bytes += more
    }
    return bytes
  }

  private func part(_ descriptor: Int32, _ count: Int, at offset: UInt64?) throws(MachineError) -> [UInt8] {
    let request = AgentRequest(.read).with(descriptor).with(UInt8(offset == nil ? 0 : 1)).with(offset ?? 0)
      .with(UInt32(min(partOfAnswer, count)))
    return try ask(request, "read").bytes
  }

  private func runs(_ descriptor: Int32, _ count: Int, at offset: UInt64) throws(MachineError) -> [UInt8] {
    let request = AgentRequest(.readRuns).with(descriptor).with(offset).with(UInt32(clamping: count & ~7))
    let answer = try ask(request, "read")
    guard let bytes = Self.bytes(ofRuns: answer.bytes), bytes.count == Int(answer.result) else {
      throw .lost("runs of words came that are not \(answer.result) bytes")
    }
    return bytes
  }

  /// The bytes of runs of words: the first word, what is added for each further one, and how many; nil where they are none.
  static func bytes(ofRuns runs: [UInt8]) -> [UInt8]? {
    guard runs.count % 20 == 0 else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: runs.count, by: 20) {
      var word = UInt64(little: runs[start..<(start + 8)])
      let step = UInt64(little: runs[(start + 8)..<(start + 16)])
      let count = UInt32(little: runs[(start + 16)..<(start + 20)])
      guard bytes.count + Int(count) * 8 <= 1 << 20 else { return nil }
      for _ in 0..<count {
        bytes += AgentFrames.little(word)
        word = word &+ step
      }
    }
    return bytes
  }

  public func write(_ descriptor: Int32, _ bytes: [UInt8], at offset: UInt64?) throws(MachineError) -> Int {
    let request = AgentRequest(.write).with(descriptor).with(UInt8(offset == nil ? 0 : 1)).with(offset ?? 0)
      .with(Array(bytes.prefix(partOfRequest)))
    return Int(try ask(request, "write").result)
  }

  public func control(_ descriptor: Int32, _ request: UInt64, _ argument: inout ControlArgument)
    throws(MachineError)
    -> Int
  {
    let call = "ioctl 0x\(String(request, radix: 16))"
    switch argument {
    case .value(let value):
      return Int(
        try ask(AgentRequest(.controlValue).with(descriptor).with(request).with(value), call).result)
    case .bytes(let bytes):
      let answer = try answer(AgentRequest(.controlBytes).with(descriptor).with(request).with(bytes))
      // The kernel changes a structure also where it refuses.
      if answer.bytes.count == bytes.count { argument = .bytes(answer.bytes) }
      return Int(try Self.check(answer, call).result)
    }
  }

  public func entries(of folder: String) throws(MachineError) -> [String] {
    let descriptor = try open(folder, .read)
    defer { close(descriptor) }
    var names: [String] = []
    while true {
      let bytes = try ask(AgentRequest(.entries).with(descriptor), "read \(folder)").bytes
      if bytes.isEmpty { return names.sorted() }
      names += Self.names(bytes)
    }
  }

  public func destination(ofLink path: String) throws(MachineError) -> String {
    String(decoding: try ask(AgentRequest(.readLink).with(path), "readlink \(path)").bytes, as: UTF8.self)
  }

  public func isThere(_ path: String) -> Bool {
    (try? ask(AgentRequest(.isThere).with(path), "access \(path)")) != nil
  }

  // MARK: Memory

  public func allocate(byteCount: UInt64, pageSize: UInt64) throws(MachineError) -> UInt64 {
    guard byteCount > 0, pageSize.nonzeroBitCount == 1 else {
      throw .refused(call: "mmap of \(byteCount) bytes", error: EINVAL)
    }
    let request = AgentRequest(.allocate).with(byteCount).with(pageSize)
    return UInt64(bitPattern: try ask(request, "mmap of \(byteCount) bytes").result)
  }

  public func mapDevice(_ descriptor: Int32, offset: UInt64, byteCount: UInt64) throws(MachineError) -> UInt64
  {
    let request = AgentRequest(.mapDevice).with(descriptor).with(offset).with(byteCount)
    return UInt64(bitPattern: try ask(request, "mmap of a device").result)
  }

  public func deallocate(_ address: UInt64, byteCount: UInt64) {
    _ = try? ask(AgentRequest(.deallocate).with(address).with(byteCount), "munmap")
  }

  public func load(_ address: UInt64, byteCount: Int) throws(MachineError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < byteCount {
      let part = min(partOfAnswer, byteCount - bytes.count)
      let request = AgentRequest(.load).with(address &+ UInt64(bytes.count)).with(UInt32(part))
      let more = try ask(request, "load").bytes
      guard more.count == part else { throw .lost("\(more.count) bytes of memory came instead of \(part)") }
      bytes += more
    }
    return bytes
  }

  public func store(_ bytes: [UInt8], at address: UInt64) throws(MachineError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let at = address &+ UInt64(bytes.count - rest.count)
      _ = try ask(AgentRequest(.store).with(at).with(Array(rest.prefix(partOfRequest))), "store")
      rest = rest.dropFirst(partOfRequest)
    }
  }

  public func loadRegister(_ address: UInt64, width: Int) throws(MachineError) -> UInt64 {
    let request = AgentRequest(.loadRegister).with(address).with(UInt8(truncatingIfNeeded: width))
    return UInt64(little: try ask(request, "load of a register").bytes)
  }

  public func storeRegister(_ value: UInt64, at address: UInt64, width: Int) throws(MachineError) {
    let request = AgentRequest(.storeRegister).with(value).with(address).with(
      UInt8(truncatingIfNeeded: width))
    _ = try ask(request, "store of a register")
  }

  // MARK: The kernel

  public func insertModule(file: String, parameters: String) throws(MachineError) {
    let request = AgentRequest(.insertModule).with(file).with(parameters)
    _ = try Self.check(try answer(request, seconds: insertLimit), "finit_module \(file)")
  }

  public func removeModule(_ name: String) throws(MachineError) {
    _ = try ask(AgentRequest(.removeModule).with(name), "delete_module \(name)")
  }

  public func mount(fileSystem: String, on folder: String) throws(MachineError) {
    _ = try ask(AgentRequest(.mount).with(fileSystem).with(folder), "mount \(folder)")
  }

  public func unmount(_ folder: String) throws(MachineError) {
    _ = try ask(AgentRequest(.unmount).with(folder), "umount \(folder)")
  }

  /// The kernel's log, as far as it is kept.
  public func kernelLog() throws(MachineError) -> String {
    var bytes: [UInt8] = []
    while true {
      let more = try ask(AgentRequest(.kernelLog).with(UInt64(bytes.count)), "syslog").bytes
      if more.isEmpty { return String(decoding: bytes, as: UTF8.self) }
      bytes += more
    }
  }

  /// Switches the virtual machine off, which then answers no more.
  public func powerOff() {
    _ = try? line.ask(AgentRequest(.powerOff).bytes, seconds: 2)
  }

  // MARK: Many calls

  public func sweep(_ steps: [SweepStep], count: UInt64) throws(MachineError) -> SweepResult {
    var request = AgentRequest(.sweep).with(count).with(UInt8(truncatingIfNeeded: steps.count))
    for step in steps {
      request = request.with(step.descriptor).with(step.request).with(
        UInt32(truncatingIfNeeded: step.movingOffset)
      )
      .with(step.stride).with(UInt8(step.expected == nil ? 0 : 1))
      .with(UInt32(truncatingIfNeeded: step.expected?.offset ?? 0)).with(step.expected?.value ?? 0)
      .with(UInt16(truncatingIfNeeded: step.bytes.count)).with(step.bytes)
    }
    let bytes = try Self.check(try answer(request, seconds: sweepLimit), "sweep").bytes
    guard bytes.count == 24 else { throw .lost("a sweep gave \(bytes.count) bytes") }
    let step = Int32(little: bytes[8..<12])
    let failure = step < 0 ? nil : SweepFailure(step: Int(step), error: Int32(little: bytes[12..<16]))
    return SweepResult(
      rounds: UInt64(little: bytes[..<8]), failure: failure, nanoseconds: UInt64(little: bytes[16...]))
  }

  // MARK: Requests

  private func ask(_ request: AgentRequest, _ call: String) throws(MachineError) -> (
    result: Int64, bytes: [UInt8]
  ) {
    try Self.check(try answer(request), call)
  }

  private func answer(_ request: AgentRequest, seconds: Double? = nil) throws(MachineError) -> (
    result: Int64, bytes: [UInt8]
  ) {
    try line.ask(request.bytes, seconds: seconds ?? callLimit)
  }

  private static func check(_ answer: (result: Int64, bytes: [UInt8]), _ call: String) throws(MachineError)
    -> (
      result: Int64, bytes: [UInt8]
    )
  {
    // Linux's error numbers end at 4095; other negative results are addresses.
    guard !(-4095..<0).contains(answer.result) else {
      throw .refused(call: call, error: Int32(-answer.result))
    }
    return answer
  }

  /// The names in what getdents64(2) gives: 8 bytes each of inode and offset, the record's length, a type, the name.
  static func names(_ bytes: [UInt8]) -> [String] {
    var names: [String] = []
    var rest = bytes[...]
    while rest.count > 19 {
      let length = Int(UInt16(little: rest.dropFirst(16).prefix(2)))
      guard length > 19, length <= rest.count else { break }
      let name = text(rest.prefix(length).dropFirst(19))
      if name != "." && name != ".." { names.append(name) }
      rest = rest.dropFirst(length)
    }
    return names
  }

  private static func text(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
