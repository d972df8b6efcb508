// SPDX-License-Identifier: GPL-2.0-only
//
// ELF-64 object file format: file header, program headers. Such dumps come from QEMU's dump-guest-memory and from
// /proc/vmcore.

import PageTable

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A dump in ELF: its PT_LOAD segments hold the memory at their physical addresses.
public final class ELFDump: MachineMemory {
  private struct Segment {
    var index: Int
    var physical: UInt64
    var count: UInt64
    var offset: Int
    var last: UInt64 { physical + (count - 1) }
  }

  private let file: MappedFile
  private let segments: [Segment]

  static func isELF(_ file: MappedFile) -> Bool {
    file.bytes.count >= 4 && file.bytes.prefix(4).elementsEqual([0x7f, 0x45, 0x4c, 0x46])
  }

  /// - Throws: `DumpError` for what is no little-endian ELF-64 dump, is cut short, or contradicts itself.
  public convenience init(_ path: String) throws { try self.init(MappedFile(path)) }

  init(_ file: MappedFile) throws {
    self.file = file
    segments = try Self.segments(file)
    try checkOverlaps()
  }

  /// The ranges of physical addresses that the dump holds, ascending.
  public var ranges: [ClosedRange<UInt64>] { segments.map { $0.physical...$0.last } }

  public func read(at physical: UInt64, count: Int) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    var address = physical
    while result.count < count {
      guard let segment = segments.first(where: { $0.physical <= address && address <= $0.last }) else {
        return nil
      }
      let skipped = address - segment.physical
      let part = min(count - result.count, Int(clamping: segment.count - skipped))
      let start = segment.offset + Int(skipped)
      result += file.bytes[start..<(start + part)]
      guard !address.addingReportingOverflow(UInt64(part)).overflow || result.count == count else {
        return nil
      }
      address = address &+ UInt64(part)
    }
    return result
  }

  // MARK: Headers

  private static func segments(_ file: MappedFile) throws -> [Segment] {
    guard isELF(file) else {
      throw DumpError(file.path, "expected an ELF file (7f 45 4c 46), found \(file.magic)")
    }
    guard file.bytes.count >= 64 else {
      throw DumpError(file.path, "cut short: expected an ELF header of 64 bytes, found \(file.bytes.count)")
    }
    guard file.bytes[4] == 2 else {
      throw DumpError(file.path, "expected ELF class 2 (64 bits), found class \(file.bytes[4])")
    }
    guard file.bytes[5] == 1 else {
      throw DumpError(file.path, "expected ELF data encoding 1 (little-endian), found \(file.bytes[5])")
    }
    guard let type = file.number(UInt16.self, at: 16), type == 4 else {
      throw DumpError(
        file.path, "expected an ELF core file (type 4), found type \(file.number(UInt16.self, at: 16) ?? 0)")
    }
    let (first, size, count) = try programHeaders(file)
    var segments: [Segment] = []
    for index in 0..<count {
      let header = first + index * size
      guard file.number(UInt32.self, at: header) == 1 else { continue }
      if let segment = try segment(file, header: header, index: index) { segments.append(segment) }
    }
    guard !segments.isEmpty else { throw DumpError(file.path, "no PT_LOAD segment holds memory") }
    return segments.sorted { ($0.physical, $0.index) < ($1.physical, $1.index) }
  }

  /// Where the program headers are, the size of one, and how many there are.
  private static func programHeaders(_ file: MappedFile) throws -> (first: Int, size: Int, count: Int) {
    let offset = file.number(UInt64.self, at: 32) ?? 0
    let size = Int(file.number(UInt16.self, at: 54) ?? 0)
    var count = Int(file.number(UInt16.self, at: 56) ?? 0)
    // 0xffff: the number stands in the first section header's sh_info.
    if count == 0xffff, let sections = Int(exactly: file.number(UInt64.self, at: 40) ?? 0),
      sections <= file.bytes.count, let number = file.number(UInt32.self, at: sections + 44)
    {
      count = Int(number)
    }
    guard size >= 56 else {
      throw DumpError(file.path, "expected program headers of 56 bytes, found \(size)")
    }
    guard let first = Int(exactly: offset), first <= file.bytes.count,
      count <= (file.bytes.count - first) / size
    else {
      throw DumpError(
        file.path,
        "cut short: \(count) program headers at \(Numbers.hex(offset)) do not fit \(file.bytes.count) bytes")
    }
    return (first, size, count)
  }

  private static func segment(_ file: MappedFile, header: Int, index: Int) throws -> Segment? {
    let offset = file.number(UInt64.self, at: header + 8) ?? 0
    let physical = file.number(UInt64.self, at: header + 24) ?? 0
    let count = file.number(UInt64.self, at: header + 32) ?? 0
    // /proc/kcore has segments that are nowhere in physical memory; pages left out of a dump have no bytes in it.
    guard count > 0, physical != .max else { return nil }
    guard let start = Int(exactly: offset), count <= UInt64(file.bytes.count),
      start <= file.bytes.count - Int(count)
    else {
      throw DumpError(
        file.path,
        "cut short: segment \(index) has \(Numbers.hex(count)) bytes at file offset \(Numbers.hex(offset)), "
          + "the file has \(Numbers.hex(UInt64(file.bytes.count)))")
    }
    guard !physical.addingReportingOverflow(count - 1).overflow else {
      throw DumpError(file.path, "segment \(index) ends beyond 64 bits of physical address")
    }
    return Segment(index: index, physical: physical, count: count, offset: start)
  }

  /// Segments may hold the same memory twice, as /proc/vmcore does with the kernel, but not differently.
  private func checkOverlaps() throws {
    for (position, segment) in segments.enumerated() {
      for other in segments[(position + 1)...] {
        guard other.physical <= segment.last else { break }
        let count = Int(min(segment.last, other.last) - other.physical) + 1
        let left = segment.offset + Int(other.physical - segment.physical)
        guard let base = file.bytes.baseAddress, left != other.offset else { continue }
        guard memcmp(base + left, base + other.offset, count) == 0 else {
          throw DumpError(
            file.path,
            "segments \(segment.index) and \(other.index) overlap from physical address \(Numbers.hex(other.physical)) "
              + "for \(Numbers.hex(UInt64(count))) bytes and hold different bytes there")
        }
      }
    }
  }
}
