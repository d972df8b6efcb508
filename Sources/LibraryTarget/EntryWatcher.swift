// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import PageTable
import Reference
import Simulator

/// Finds out what a library wrote to its tables by comparing them with what they held at the last look: at each cache
/// flush, invalidation, release and top change, and at the end of each operation. So the log has every entry before
/// whatever must come after it.
final class EntryWatcher {
  private struct Table {
    var bytes: Int
    /// Where it stands; nil while no pointer to it is known.
    var level: Int?
    var seen: [UInt8]
    /// The table that points to it.
    var parent: UInt64?
  }

  private let reference: ReferenceFormat
  private let recorder: RecordingMemory
  private var tables: [UInt64: Table] = [:]

  init(_ reference: ReferenceFormat, _ recorder: RecordingMemory) {
    self.reference = reference
    self.recorder = recorder
  }

  func allocated(_ physical: UInt64, sizeLog2: Int) {
    guard SimulatedMachine.tableSizes.contains(sizeLog2) else { return }
    tables[physical] = Table(
      bytes: 1 << sizeLog2, level: nil, seen: Array(repeating: 0, count: 1 << sizeLog2))
  }

  func release(_ physical: UInt64) {
    if let parent = tables[physical]?.parent { scan(parent) }
    tables[physical] = nil
  }

  /// Looks at the table that holds a byte.
  func scan(around physical: UInt64) {
    if tables[physical] != nil { return scan(physical) }
    for size in SimulatedMachine.tableSizes {
      let start = physical & ~Bits.lowMask(size)
      if let table = tables[start], physical &- start < UInt64(table.bytes) { return scan(start) }
    }
  }

  /// Looks at all tables; first at those that nothing points to yet.
  func scanAll() {
    let known = tables.sorted { ($0.value.level ?? -1, $0.key) < ($1.value.level ?? -1, $1.key) }
    for (physical, _) in known { scan(physical) }
  }

  /// A pointer to a table of `level` is there now.
  func install(_ physical: UInt64, level: Int) {
    guard let table = tables[physical], table.level != level else { return }
    tables[physical]?.level = level
    for index in 0..<table.bytes / reference.wordBytes {
      link(physical, index, Self.word(table.seen, index, reference.wordBytes))
    }
  }

  private func scan(_ physical: UInt64) {
    guard var table = tables[physical] else { return }
    let offset = physical &- recorder.physicalBase
    guard offset &+ UInt64(table.bytes) <= recorder.machine.reservedBytes else { return }
    let now = UnsafeRawBufferPointer(start: recorder.arena + Int(offset), count: table.bytes)
    if table.seen.withUnsafeBytes({ memcmp($0.baseAddress!, now.baseAddress!, table.bytes) }) == 0 { return }
    let size = reference.wordBytes
    let old = table.seen
    table.seen = Array(now)
    tables[physical] = table
    var first: Int?
    var changed: [Int] = []
    for index in 0...table.bytes / size {
      let isNew =
        index < table.bytes / size
        && isChange(Self.word(old, index, size), Self.word(table.seen, index, size), table.level)
      if isNew {
        changed.append(index)
        first = first ?? index
      } else if let start = first {
        recorder.recordEntryWrites(
          at: physical &+ UInt64(start * size), count: index - start, wordBytes: size)
        first = nil
      }
    }
    for index in changed { link(physical, index, Self.word(table.seen, index, size)) }
  }

  /// Whether a write means something to hardware: what software marks in a pointer does not.
  private func isChange(_ old: UInt64, _ new: UInt64, _ level: Int?) -> Bool {
    guard old != new else { return false }
    guard let level, level > 0, case .table(let before, _) = reference.wordKind(old, level: level),
      case .table(let after, _) = reference.wordKind(new, level: level)
    else { return true }
    return before != after
  }

  private func link(_ physical: UInt64, _ index: Int, _ word: UInt64) {
    guard word != 0, let level = tables[physical]?.level, level > 0,
      case .table(let child, _) = reference.wordKind(word, level: level), tables[child] != nil
    else { return }
    recorder.recordTableInstall(child, at: physical &+ UInt64(index * reference.wordBytes))
    tables[child]?.parent = physical
    install(child, level: level - 1)
  }

  private static func word(_ bytes: [UInt8], _ index: Int, _ size: Int) -> UInt64 {
    bytes.withUnsafeBytes { bytes in
      size == 4
        ? UInt64(bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
        : bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
    }
  }
}
