// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// A virtual machine that runs, with an agent in it. It ends with the object. To be used by one thread.
public final class VirtualMachine {
  /// The guest's calls.
  public let machine: AgentMachine
  /// QEMU's monitor.
  public let monitor: QEMUMonitor
  private let process: GuestProcess
  private let line: LocalSocket
  private let folder: String
  /// Where the guest has memory.
  private var ranges: [ClosedRange<UInt64>] = []

  /// What is started.
  public struct Plan {
    /// QEMU's program.
    public var emulator: String
    public var options: [String]
    public var kernel: String
    /// The archive of the first files.
    public var files: [UInt8]
    public var words: [String]
    /// Where the console goes that is not the agent's.
    public var log: String
    /// Seconds until the agent must answer.
    public var bootLimit = 120.0
  }

  /// Boots, and waits for the agent.
  public init(_ plan: Plan) throws(LabError) {
    let folder = try GuestProcesses.shared.makeFolder()
    self.folder = folder
    do {
      try HostFile.write(plan.files, to: "\(folder)/files")
      let process = try GuestProcess(Self.command(plan, folder), log: "\(folder)/errors")
      self.process = process
      let death = { process.end.map { "QEMU \($0)\(Self.complaint(folder))" } }
      monitor = try QEMUMonitor(LocalSocket(path: "\(folder)/monitor", seconds: 20, death: death))
      line = try LocalSocket(path: "\(folder)/console", seconds: 5, death: death)
      let log = plan.log
      let agent = AgentLine(
        descriptor: line.descriptor, log: { try? HostFile.write($0, to: log, appends: true) }, death: death)
      machine = AgentMachine(agent)
      try agent.waitForAgent(seconds: plan.bootLimit)
    } catch let error as LabError {
      GuestProcesses.shared.remove(folder: folder)
      throw error
    } catch {
      GuestProcesses.shared.remove(folder: folder)
      throw LabError("\(error)")
    }
  }

  deinit {
    process.kill()
    GuestProcesses.shared.remove(folder: folder)
  }

  private static func command(_ plan: Plan, _ folder: String) -> [String] {
    [
      plan.emulator, "-accel", "tcg,thread=multi", "-smp", "1", "-m", "5G", "-display", "none", "-no-reboot",
      "-nodefaults", "-kernel", plan.kernel, "-initrd", "\(folder)/files", "-append",
      plan.words.joined(separator: " "), "-qmp", "unix:\(folder)/monitor,server=on,wait=off", "-serial",
      "unix:\(folder)/console,server=on,wait=off", "-gdb", "unix:\(folder)/debugger,server=on,wait=off",
    ] + plan.options
  }

  private static func complaint(_ folder: String) -> String {
    guard let text = try? HostFile.read("\(folder)/errors"), !text.isEmpty else { return "" }
    let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
    return ": " + lines.prefix(2).joined(separator: " / ")
  }

  /// A file for QEMU to write, which is removed with the machine.
  public func file(_ name: String) -> String { "\(folder)/\(name)" }

  /// Reads physical memory; nil where a part of it is none.
  public func memory(at physical: UInt64, count: Int) throws(LabError) -> [UInt8]? {
    // QEMU reads as something what is no memory.
    if ranges.isEmpty { ranges = try monitor.memoryRanges() }
    guard count > 0, let range = ranges.first(where: { $0.contains(physical) }),
      range.upperBound - physical >= UInt64(count - 1)
    else { return nil }
    let file = file("memory")
    try monitor.save(physical, byteCount: UInt64(count), to: file)
    let bytes = try HostFile.read(file)
    guard bytes.count == count else { throw LabError("QEMU saved \(bytes.count) bytes of \(count)") }
    return bytes
  }

  /// Writes physical memory.
  public func store(_ bytes: [UInt8], at physical: UInt64) throws(LabError) {
    let stub = try DebuggerStub(
      LocalSocket(path: file("debugger"), seconds: 5) { self.process.end })
    try stub.store(bytes, at: physical)
    try stub.detach()
  }

  /// Switches it off.
  ///
  /// - Returns: what went wrong; nil where the guest switched it off by itself.
  @discardableResult
  public func powerOff() -> String? {
    machine.powerOff()
    let reason = monitor.waitForShutdown(seconds: 20)
    let isOff = process.wait(seconds: 20)
    defer { process.kill() }
    if !isOff { return "it still runs" }
    if !process.isDone { return "QEMU \(process.end ?? "ended")" }
    // A panic is a reset, which ends QEMU as well.
    return reason == "guest-shutdown"
      ? nil : "expected QEMU to say guest-shutdown, found \(reason ?? "nothing")"
  }
}
