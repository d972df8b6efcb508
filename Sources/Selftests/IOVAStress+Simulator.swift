// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

/// A session of iova_stress in the simulator: what the tool's command line says.
public struct IOVAStressSession: Sendable {
  /// What the page table is.
  public var configuration: Configuration
  /// What becomes of empty tables.
  public var reclaim: Reclaim = .never
  /// Bytes of address space.
  public var space: UInt64
  /// Bytes of a mapping in a second run; nil for one run only.
  public var secondDMASize: UInt64?
  /// Whether the state is told at each TiB.
  public var isVerbose = false

  public init(_ configuration: Configuration, space: UInt64) {
    self.configuration = configuration
    self.space = space
  }

  /// Runs it; `output` takes the lines, without their ends, as they come.
  ///
  /// - Throws: `ConfigurationError`, `MachineError`, `LinuxErrno.enomem`, or `IOVAStressError`.
  @discardableResult
  public func run(output: (String) -> Void) throws -> [IOVAStressResult] {
    try withoutActuallyEscaping(output) { output in
      try FormatList.apply(RunStress(session: self, output: output), to: configuration)
    }
  }
}

/// Runs a session with code that is specialised for the format.
private struct RunStress: FormatFunction {
  let session: IOVAStressSession
  let output: (String) -> Void

  func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> [IOVAStressResult] {
    // Poison would occupy what empty tables do not. For the same reason the tables are never destroyed one by one:
    // they go with the machine.
    var options = SimulationOptions().withinReach(of: format)
    options.reserve = SimulatedMachine.defaultReserve
    let machine = try SimulatedMachine(
      physicalBase: options.physicalBase, reserve: options.reachableReserve(format), poison: false)
    let table = try GenericPageTable(
      format, memory: PlainMemory(machine: machine), reclaim: session.reclaim)
    var target = GenericStressTarget(table: table, givesBack: session.reclaim == .never)
    let (first, room) = format.geometry.stressSpace
    let space = min(session.space, room)
    if space < session.space {
      output("# \(session.configuration) has \(Numbers.size(space)) of address space: no more is used")
    }
    let granule = Bits.bit(Format.granuleLog2)
    var results: [IOVAStressResult] = []
    for size in [granule] + [session.secondDMASize].compactMap({ $0 }) {
      var result = try IOVAStress.run(
        IOVAStressRun(dmaSize: size, space: space), on: &target, from: first
      ) { space, pages in
        guard session.isVerbose else { return }
        output(
          "iova space: \(IOVAStressResult.pad(space >> 40, 5))T\ttable memory: "
            + "\(IOVAStressResult.pad(UInt64(pages) >> 8, 7))M")
      }
      // Growth is counted from the start of the first run.
      result.pagesBefore = results.first?.pagesBefore ?? result.pagesBefore
      output(result.line)
      results.append(result)
    }
    return results
  }
}

extension Geometry {
  /// The first IOVA that iova_stress uses, and the bytes from there to the end of the stretch of addresses.
  var stressSpace: (first: UInt64, room: UInt64) {
    let aperture = aperture
    return (aperture.lowerBound, min(aperture.upperBound - aperture.lowerBound, Bits.lowMask(63)) + 1)
  }
}

/// The generic implementation over plain memory.
struct GenericStressTarget<Format: PageTableFormat>: IOVAStressTarget {
  let table: GenericPageTable<Format, PlainMemory>
  /// Whether empty tables pile up.
  let givesBack: Bool

  @inline(__always)
  mutating func map(_ iova: UInt64, _ length: UInt64) -> Bool {
    table.map(iova: iova, pa: 0, length: length, protection: [.read, .write]) == nil
  }

  @inline(__always)
  mutating func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64 { table.unmap(iova: iova, length: length) }

  var tablePages: Int { table.memory.machine.livePages }
  var peakPages: Int { table.memory.machine.peakPages }

  mutating func giveBackEmptyPages() {
    if givesBack { table.memory.machine.giveBackEmptyPages() }
  }
}
