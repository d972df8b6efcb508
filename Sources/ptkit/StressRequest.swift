// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A sweep that a format cannot make.
struct StressError: Error, CustomStringConvertible {
  let description: String
}

/// Sweeps IOVA space with mappings that do not stay, as the tool iova_stress does, and prints its lines.
struct StressRequest: FormatFunction {
  /// The IOVA space, in TiB.
  let tebibytes: Int
  /// Bytes of each mapping of the second run; 0 for none.
  let secondSize: UInt64
  let isVerbose: Bool
  let reclaim: Reclaim

  private static var stride: UInt64 { 2 << 20 }
  private static var tebibyte: UInt64 { 1 << 40 }

  /// Runs once or twice over one page table; false when a map or an unmap failed.
  ///
  /// - Throws: `StressError` when the space is wider than the format's; `MachineError`.
  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> Bool {
    let start = try firstAddress(format.geometry)
    let machine = try SimulatedMachine(poison: false)
    let table = try GenericPageTable(format, memory: PlainMemory(machine: machine), reclaim: reclaim)
    let pagesBefore = machine.livePages
    for size in [max(4096, 1 << UInt64(Format.granuleLog2)), secondSize] where size != 0 {
      let clock = ContinuousClock()
      let begin = clock.now
      for number in 0..<tebibytes {
        if isVerbose { printStatus(number, machine) }
        let first = start &+ UInt64(number) &* Self.tebibyte
        if let failure = sweep(table, from: first, size: size) {
          fflush(nil)
          ErrorStream.put("\(failure)\n")
          return false
        }
      }
      printResult(size, pages: machine.livePages - pagesBefore, elapsed: clock.now - begin)
    }
    if isVerbose { print("table pages: \(machine.livePages) left, \(machine.peakPages) at most") }
    return true
  }

  /// Where the space starts: at 0, or where the upper half does.
  private func firstAddress(_ geometry: Geometry) throws -> UInt64 {
    let bits = geometry.features.contains(.signExtend) ? geometry.iovaBits - 1 : geometry.iovaBits
    guard UInt64(tebibytes) &* Self.tebibyte - 1 <= Bits.lowMask(bits) else {
      throw StressError(
        description:
          "the format translates \(Numbers.size(Bits.lowMask(bits) &+ 1)) of IOVA, asked were \(tebibytes)T")
    }
    return geometry.features.contains(.upperHalf) ? ~Bits.lowMask(geometry.iovaBits) : 0
  }

  /// Maps and unmaps through one TiB; returns what failed, or nil.
  private func sweep<Format: PageTableFormat>(
    _ table: GenericPageTable<Format, PlainMemory>, from first: UInt64, size: UInt64
  ) -> String? {
    let step = max(size, Self.stride)
    var done: UInt64 = 0
    while done < Self.tebibyte {
      // Tables left behind empty should not cost the host memory; looking for them is cheap in batches.
      let end = min(Self.tebibyte, done + 1024 * step)
      if let failure = sweep(table, offsets: done..<end, from: first, step: step, size: size) {
        return failure
      }
      let machine = table.memory.machine
      if machine.pagesSinceGiveBack >= SimulatedMachine.giveBackInterval { machine.giveBackEmptyPages() }
      done = end
    }
    return nil
  }

  /// Maps and unmaps at some offsets; a map that meets a mapping is passed over.
  @inline(never)
  private func sweep<Format: PageTableFormat>(
    _ table: GenericPageTable<Format, PlainMemory>, offsets: Range<UInt64>, from first: UInt64, step: UInt64,
    size: UInt64
  ) -> String? {
    var offset = offsets.lowerBound
    while offset &+ size <= offsets.upperBound {
      let iova = first &+ offset
      offset &+= step
      switch table.map(iova: iova, pa: 0, length: size, protection: [.read, .write]) {
      case nil: break
      case .eaddrinuse: continue
      case .some(let errno): return "map failed at \(Numbers.hex(iova)): \(errno.name)"
      }
      let unmapped = table.unmap(iova: iova, length: size)
      guard unmapped == size else {
        return "unmap failed at \(Numbers.hex(iova)): \(Numbers.hex(unmapped)) of \(Numbers.hex(size)) bytes"
      }
    }
    return nil
  }

  // MARK: The lines of iova_stress

  private func printStatus(_ tebibytes: Int, _ machine: SimulatedMachine) {
    let free = machine.reservedBytes - min(machine.reservedBytes, UInt64(machine.livePages) << 12)
    print("iova space: \(Self.pad(tebibytes, 5))T\tfree memory: \(Self.pad(Int(free >> 30), 5))G")
    fflush(nil)
  }

  private func printResult(_ size: UInt64, pages: Int, elapsed: Duration) {
    let milliseconds = Int(elapsed / .milliseconds(1))
    let fraction = String(1000 + milliseconds % 1000).dropFirst()
    print(
      "dma_size: \(Self.pad(Int(size >> 10), 7))K iova space: \(tebibytes)T "
        + "iommu: ~\(Self.pad(max(0, pages) >> 8, 7))M time: \(Self.pad(milliseconds / 1000, 4)).\(fraction)s"
    )
    fflush(nil)
  }

  private static func pad(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
