// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// The memory of a machine, read from outside: of a virtual machine, or in a dump.
public protocol MachineMemory: AnyObject {
  /// The `count` bytes from the physical address `physical` on; nil when one of them is no memory.
  ///
  /// - Throws: what keeps memory from being read at all, for example a connection that ended.
  func read(at physical: UInt64, count: Int) throws -> [UInt8]?
}

extension MachineMemory {
  /// `count` little-endian words of 8 bytes from `physical` on; nil when one of them is not in memory.
  public func words(at physical: UInt64, count: Int) throws -> [UInt64]? {
    guard count > 0, let bytes = try read(at: physical, count: count * 8), bytes.count >= count * 8 else {
      return count == 0 ? [] : nil
    }
    return bytes.withUnsafeBytes { buffer in
      (0..<count).map { UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
    }
  }
}

/// Machine memory as the reference's walk reads it, kept by blocks, so that each is read once.
///
/// Not for use by several threads at once.
public final class MemoryCache: PhysicalMemoryReader {
  private let memory: any MachineMemory
  private let blockBytes: UInt64
  private var kept: [Span: UnsafeMutableRawBufferPointer] = [:]
  /// What the first read that failed threw; those reads look as if there was no memory.
  public private(set) var failure: (any Error)?

  private struct Span: Hashable {
    var physical: UInt64
    var count: Int
  }

  /// - Parameter blockLog2: log2 of the bytes of a block, 3 to 30.
  public init(_ memory: any MachineMemory, blockLog2: Int = 12) {
    self.memory = memory
    blockBytes = 1 << UInt64(min(max(blockLog2, 3), 30))
  }

  deinit { discard() }

  /// Forgets all blocks, for memory that may have changed.
  public func discard() {
    for buffer in kept.values { buffer.deallocate() }
    kept = [:]
  }

  public func bytes(at physical: UInt64, count: Int) -> UnsafeRawBufferPointer? {
    guard count > 0 else { return nil }
    let start = physical & ~(blockBytes &- 1)
    let offset = physical &- start
    if offset &+ UInt64(count) <= blockBytes, let block = span(start, Int(blockBytes)) {
      return UnsafeRawBufferPointer(
        rebasing: UnsafeRawBufferPointer(block)[Int(offset)..<(Int(offset) + count)])
    }
    // Across blocks, or where memory ends inside of a block.
    return span(physical, count).map { UnsafeRawBufferPointer($0) }
  }

  private func span(_ physical: UInt64, _ count: Int) -> UnsafeMutableRawBufferPointer? {
    let key = Span(physical: physical, count: count)
    if let buffer = kept[key] { return buffer }
    do {
      guard let bytes = try memory.read(at: physical, count: count), bytes.count >= count else { return nil }
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
      buffer.copyBytes(from: bytes.prefix(count))
      kept[key] = buffer
      return buffer
    } catch {
      failure = failure ?? error
      return nil
    }
  }
}

/// Memory that a program writes by itself: pages of 4 KiB that exist once they were written.
public final class SparseMemory: MachineMemory {
  private static let pageBytes: UInt64 = 4096
  private var pages: [UInt64: [UInt8]] = [:]

  public init() {}

  /// The addresses of the pages that exist, ascending.
  public var pageAddresses: [UInt64] { pages.keys.sorted() }

  public func read(at physical: UInt64, count: Int) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    var address = physical
    while result.count < count {
      let offset = Int(address % Self.pageBytes)
      guard let page = pages[address &- UInt64(offset)] else { return nil }
      let part = page[offset..<min(page.count, offset + count - result.count)]
      result += part
      address = address &+ UInt64(part.count)
    }
    return result
  }

  /// Writes `bytes` from `physical` on; pages that did not exist are zero elsewhere.
  public func write(_ bytes: [UInt8], at physical: UInt64) {
    var address = physical
    var rest = bytes[...]
    while !rest.isEmpty {
      let offset = Int(address % Self.pageBytes)
      let part = rest.prefix(Int(Self.pageBytes) - offset)
      let page = address &- UInt64(offset)
      pages[page, default: Array(repeating: 0, count: Int(Self.pageBytes))]
        .replaceSubrange(offset..<(offset + part.count), with: part)
      rest = rest.dropFirst(part.count)
      address = address &+ UInt64(part.count)
    }
  }

  /// Writes a little-endian word of 8 bytes.
  public func write(word: UInt64, at physical: UInt64) {
    write((0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }, at: physical)
  }
}
