// SPDX-License-Identifier: GPL-2.0-only

import Walk

/// The memory of a virtual machine, through QEMU's monitor, in blocks that are read once. To be used by one thread, while the
/// machine is halted.
final class GuestMemory: MachineMemory {
  private let machine: VirtualMachine
  private var blocks: [UInt64: [UInt8]] = [:]
  /// From the first byte to the last that was read; nil before the first read.
  private(set) var span: ClosedRange<UInt64>?
  /// A command of the monitor takes as long for 64 KiB as for a word, and tables lie close to each other.
  private static let blockBytes: UInt64 = 1 << 16

  init(_ machine: VirtualMachine) { self.machine = machine }

  func read(at physical: UInt64, count: Int) throws -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      let address = physical &+ UInt64(bytes.count)
      let start = address & ~(Self.blockBytes - 1)
      guard let block = try block(start) else { return nil }
      bytes += block[Int(address - start)...].prefix(count - bytes.count)
    }
    return bytes
  }

  private func block(_ start: UInt64) throws -> [UInt8]? {
    if let known = blocks[start] { return known }
    let bytes = try machine.memory(at: start, count: Int(Self.blockBytes))
    blocks[start] = bytes
    if bytes != nil {
      let end = start &+ (Self.blockBytes - 1)
      span = span.map { min($0.lowerBound, start)...max($0.upperBound, end) } ?? start...end
    }
    return bytes
  }
}

extension VirtualMachine {
  /// What the registers of the IOMMU hold that a walk needs.
  func registers(of kind: IOMMUKind) throws -> RegisterValues {
    var values: [String: UInt64] = [:]
    for register in kind.registers {
      values[register.name] = try monitor.register(kind.qemuBase + register.offset, width: register.byteCount)
    }
    return try RegisterValues(kind, values)
  }
}
