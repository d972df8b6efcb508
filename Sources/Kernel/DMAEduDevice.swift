// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

/// QEMU's `edu` device, which copies between memory and a buffer of its own (QEMU, docs/specs/edu.rst).
final class EduDevice {
  /// The size of BAR 0, in bytes.
  static let registerBytes: UInt64 = 1 << 20
  /// The most that is copied at a time, in bytes: QEMU before 8 ends the machine when the whole buffer of 4 KiB is asked for.
  static let longest = 2048

  private enum Register {
    static let identification: UInt64 = 0x00
    static let source: UInt64 = 0x80
    static let destination: UInt64 = 0x88
    static let count: UInt64 = 0x90
    static let command: UInt64 = 0x98
  }

  /// Where the device's buffer is, in its own addresses.
  private static let buffer: UInt64 = 0x40000
  private static let start: UInt64 = 1
  private static let toMemory: UInt64 = 2

  private let device: DMADevice
  /// How long a copy may take.
  private let patience: Duration

  /// - Throws: `KernelFailure` when the registers are not those of an `edu` device.
  init(_ device: DMADevice, patience: Duration = .seconds(20)) throws {
    self.device = device
    self.patience = patience
    let identification = try device.load(Register.identification, width: 4)
    guard identification & 0xff == 0xed else {
      throw KernelFailure("BAR 0 of the device: expected 0x…ed, found 0x\(String(identification, radix: 16))")
    }
  }

  /// The PCI address of the machine's device.
  static func address(on machine: any Machine) throws -> String {
    try address(among: (try? machine.entries(of: "/sys/bus/pci/devices")) ?? [], machine)
  }

  /// The first of these PCI addresses that is such a device.
  static func address(among addresses: [String], _ machine: any Machine) throws -> String {
    let found = addresses.first { address in
      let folder = "/sys/bus/pci/devices/\(address)"
      return (try? machine.line(of: "\(folder)/vendor")) == "0x1234"
        && (try? machine.line(of: "\(folder)/device")) == "0x11e8"
    }
    guard let found else {
      throw KernelSkip(.device, "there is no PCI device 1234:11e8 (QEMU's edu) among \(addresses)")
    }
    return found
  }

  /// The device reads `count` bytes at `iova` into its buffer.
  func read(_ iova: UInt64, count: Int) throws { try copy(from: iova, to: Self.buffer, count, Self.start) }

  /// The device writes `count` bytes of its buffer to `iova`.
  func write(_ iova: UInt64, count: Int) throws {
    try copy(from: Self.buffer, to: iova, count, Self.start | Self.toMemory)
  }

  private func copy(from source: UInt64, to destination: UInt64, _ count: Int, _ command: UInt64) throws {
    // Registers from 0x80 on take accesses of 8 bytes, and an address must come by one.
    try device.store(source, at: Register.source, width: 8)
    try device.store(destination, at: Register.destination, width: 8)
    try device.store(UInt64(min(count, Self.longest)), at: Register.count, width: 8)
    try device.store(command, at: Register.command, width: 8)
    let end = ContinuousClock.now + patience
    while try device.load(Register.command, width: 8) & Self.start != 0 {
      guard ContinuousClock.now < end else {
        throw KernelFailure("the device did not end its copy in \(patience)")
      }
      // It starts after 100 ms, on a timer of the emulator, which each look holds up.
      usleep(20_000)
    }
  }

  func close() { device.close() }
}
