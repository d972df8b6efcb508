// SPDX-License-Identifier: GPL-2.0-only

import Compare
import GenericPT
import PageTable
import Simulator
import Synchronization

@testable import Conformance

/// A fault between the generic algorithms and their memory.
enum PlantedFault: Hashable, Sendable, CaseIterable {
  /// Leaves have one bit inverted.
  case leafBit
  /// Tables are released before the IOTLB is invalidated.
  case lateSync
  /// Only the first page of a range is invalidated.
  case shortSync
  /// The last word of a table is not cleared.
  case keptLastWord
  /// Table pointers lose their address bits from 32 on.
  case shortPointer
  /// Tables are not given back.
  case leak
}

/// Recorded memory in whose use something goes wrong; for formats in which bits 11 to 9 tell leaves (0) from pointers.
final class FaultyMemory: TableMemory, @unchecked Sendable {
  // Unchecked: used by one thread.
  static var recordsEvents: Bool { true }

  let recorder: RecordingMemory
  let fault: PlantedFault
  private var words: [UInt64: UInt64] = [:]
  private var late: InvalidationRequest?

  init(_ recorder: RecordingMemory, _ fault: PlantedFault) {
    self.recorder = recorder
    self.fault = fault
  }

  var physicalBase: UInt64 { recorder.physicalBase }
  var arena: UnsafeMutableRawPointer { recorder.arena }
  var pageMetadata: UnsafeMutablePointer<TablePageMetadata> { recorder.pageMetadata }

  func allocateTable(sizeLog2: Int) -> UInt64? { recorder.allocateTable(sizeLog2: sizeLog2) }

  func releaseTable(at physical: UInt64, sizeLog2: Int) {
    if fault == .leak { return }
    recorder.releaseTable(at: physical, sizeLog2: sizeLog2)
    if let request = late {
      late = nil
      recorder.synchronizeIOTLB(request)
    }
  }

  func flushCache(at physical: UInt64, byteCount: Int) {
    recorder.flushCache(at: physical, byteCount: byteCount)
  }

  func recordEntryWrites(at physical: UInt64, count: Int, wordBytes: Int) {
    for index in 0..<count {
      let place = physical + UInt64(index * 8)
      let word = (arena + Int(place - physicalBase)).assumingMemoryBound(to: UInt64.self)
      let isLeaf = word.pointee != 0 && word.pointee >> 9 & 7 == 0
      switch fault {
      case .leafBit where isLeaf: word.pointee ^= 1 << 61
      case .shortPointer where word.pointee != 0 && !isLeaf: word.pointee &= ~(0xfffff << 32)
      case .keptLastWord where word.pointee == 0 && place & 0xfff == 0xff8 && count > 1:
        word.pointee = words[place] ?? 0
      default: break
      }
      words[place] = word.pointee
    }
    recorder.recordEntryWrites(at: physical, count: count, wordBytes: wordBytes)
  }

  func recordTableInstall(_ child: UInt64, at entry: UInt64) {
    recorder.recordTableInstall(child, at: entry)
  }

  func synchronizeIOTLB(_ request: InvalidationRequest) {
    var request = request
    if fault == .shortSync { request.last = min(request.last, request.first | 0xfff) }
    if fault == .lateSync, request.released > 0 {
      late = request
    } else {
      recorder.synchronizeIOTLB(request)
    }
  }

  func changeTop(to physical: UInt64, level: Int) { recorder.changeTop(to: physical, level: level) }
}

/// The generic algorithms over faulty memory.
final class FaultyTable<Format: PageTableFormat>: SimulatedTarget {
  let configuration: Configuration
  let machine: SimulatedMachine
  let recorder: RecordingMemory
  private let table: GenericPageTable<Format, FaultyMemory>

  init(_ format: Format, _ configuration: Configuration, _ fault: PlantedFault, base: UInt64, reserve: UInt64)
    throws
  {
    self.configuration = configuration
    machine = try SimulatedMachine(physicalBase: base, reserve: reserve)
    recorder = RecordingMemory(machine: machine)
    table = try GenericPageTable(format, memory: FaultyMemory(recorder, fault))
  }

  var root: TableRoot { table.root }
  var memory: any PhysicalMemoryReader { recorder.walkerView }
  var tablePages: Int { recorder.livePages }
  var keepsNotes: Bool { false }

  func takeNotes() -> [OperationNote] { [] }
  func image() throws -> TableImage { try table.image(in: machine) }

  func perform(_ operation: Operation) -> OperationResult {
    recorder.beginOperation(operation)
    let result = table.run(operation, machine: machine)
    recorder.endOperation(result)
    return result
  }

  func destroy() {
    recorder.recordDetach()
    table.destroy()
  }
}

extension ResolvedSide {
  /// The generic algorithms with a fault.
  static func faulty(_ configuration: Configuration, _ fault: PlantedFault) -> ResolvedSide {
    struct Make: FormatFunction {
      let configuration: Configuration
      let fault: PlantedFault
      let base: UInt64
      let reserve: UInt64

      func callAsFunction<Format: PageTableFormat>(_ format: Format) throws -> any SimulatedTarget {
        try FaultyTable(format, configuration, fault, base: base, reserve: reserve)
      }
    }
    return ResolvedSide(.generic(configuration), word: "faulty") { base, reserve in
      try FormatList.apply(
        Make(configuration: configuration, fault: fault, base: base, reserve: reserve), to: configuration)
    }
  }
}
