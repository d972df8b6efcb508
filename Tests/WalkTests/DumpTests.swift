// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Walk

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A file that a test writes, gone after it.
final class TestFile {
  let path: String

  init(_ bytes: [UInt8], _ suffix: String = "dump") {
    path = "/tmp/ptkit-walk-\(getpid())-\(UInt64.random(in: 0...(.max))).\(suffix)"
    let file = fopen(path, "w")
    if let file {
      fwrite(bytes, 1, bytes.count, file)
      fclose(file)
    }
  }

  deinit { unlink(path) }
}

/// An ELF-64 core file, written by hand from the format's description.
struct TestELF {
  struct Segment {
    var physical: UInt64
    var bytes: [UInt8]
    var type: UInt32 = 1
    /// The file offset that the header says, where it is not the true one.
    var offset: UInt64?
  }

  var segments: [Segment]
  var elfClass: UInt8 = 2
  var encoding: UInt8 = 1
  var type: UInt16 = 4
  var headerSize: UInt16 = 56

  /// All pages of a memory, those that abut in one segment.
  static func segments(of memory: SparseMemory) -> [Segment] {
    var segments: [Segment] = []
    for page in memory.pageAddresses {
      let bytes = memory.read(at: page, count: 4096) ?? []
      if let last = segments.last, last.physical + UInt64(last.bytes.count) == page {
        segments[segments.count - 1].bytes += bytes
      } else {
        segments.append(Segment(physical: page, bytes: bytes))
      }
    }
    return segments
  }

  private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }

  var bytes: [UInt8] {
    // x86-64, version 1; no entry, program headers behind the header, no sections.
    var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, elfClass, encoding, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    file += Self.bytes(type) + Self.bytes(62 as UInt16) + Self.bytes(1 as UInt32) + Self.bytes(0 as UInt64)
    file +=
      Self.bytes(64 as UInt64) + Self.bytes(0 as UInt64) + Self.bytes(0 as UInt32) + Self.bytes(64 as UInt16)
    file += Self.bytes(headerSize) + Self.bytes(UInt16(segments.count)) + [0, 0, 0, 0, 0, 0]
    var offset = UInt64(4096)
    for segment in segments {
      let count = UInt64(segment.bytes.count)
      file += Self.bytes(segment.type) + Self.bytes(7 as UInt32) + Self.bytes(segment.offset ?? offset)
      file += Self.bytes(0 as UInt64) + Self.bytes(segment.physical) + Self.bytes(count) + Self.bytes(count)
      file += Self.bytes(4096 as UInt64)
      offset += count
    }
    file += Array(repeating: 0, count: 4096 - file.count)
    return file + segments.flatMap(\.bytes)
  }
}

@Suite("dumps") struct DumpTests {
  /// A dump of a machine with Intel tables, and its registers.
  static func intel() throws -> (machine: TestMachine, registers: RegisterValues) {
    let machine = TestMachine()
    let root = try machine.build("vtdss:level=3")
    machine.clear(0x10_0000)
    machine.clear(0x10_1000)
    machine.write([0x10_1001, 0], at: 0x10_0000)
    machine.write([root.physical | 1, 0x202], at: 0x10_1000 + 0x200)
    let registers = try RegisterValues(
      .intel, ["CAP": 0x2f_0e00, "ECAP": 1, "GSTS": 0xc000_0000, "RTADDR": 0x10_0000])
    return (machine, registers)
  }

  private func compare(_ memory: any MachineMemory, _ registers: RegisterValues) throws -> TableComparison {
    let walker = IOMMUWalker(registers: registers, memory: memory, specifications: .embedded)
    return try walker.only(TestMachine.usual).comparison
  }

  @Test("what the kit's own reader finds in a dump is what was in memory")
  func ownReader() throws {
    let (machine, registers) = try Self.intel()
    let file = TestFile(TestELF(segments: TestELF.segments(of: machine.memory)).bytes)
    let dump = try ELFDump(file.path)
    #expect(try compare(dump, registers).isEqual)
    #expect(dump.ranges.first == 0x10_0000...0x10_1fff)
    // Across the end of a segment, before the first and behind the last.
    #expect(dump.read(at: 0x10_1ff8, count: 16) == nil && dump.read(at: 0xf_fff8, count: 8) == nil)
    #expect(dump.read(at: .max - 7, count: 8) == nil && dump.read(at: 0x10_0fff, count: 2)?.count == 2)
    #expect(try Dump.open(file.path) is ELFDump)
  }

  #if Kdumpfile
    @Test("libkdumpfile finds the same")
    func library() throws {
      let (machine, registers) = try Self.intel()
      let file = TestFile(TestELF(segments: TestELF.segments(of: machine.memory)).bytes)
      let dump = try KdumpFile(file.path)
      #expect(try compare(dump, registers).isEqual)
      #expect(try dump.read(at: 0x2000, count: 8) == nil)
    }

    @Test("what libkdumpfile does not know is said in its words")
    func unknownFormat() {
      let file = TestFile(Array(repeating: 0x55, count: 8192))
      let error = #expect(throws: DumpError.self) { try Dump.open(file.path) }
      #expect(error?.description.contains("libkdumpfile") == true)
      let flat = TestFile(Array("makedumpfile".utf8) + Array(repeating: 0, count: 4096))
      let flatError = #expect(throws: DumpError.self) { try Dump.open(flat.path) }
      #expect(flatError?.description.contains("it is flattened") == true)
    }
  #endif

  @Test("dumps that are no dumps are refused with what was expected")
  func badDumps() throws {
    func error(_ elf: TestELF, dropping count: Int = 0) -> String {
      let file = TestFile(Array(elf.bytes.dropLast(count)))
      do {
        _ = try ELFDump(file.path)
        return "accepted"
      } catch {
        return "\(error)".replacing(file.path, with: "FILE")
      }
    }
    let page = [UInt8](repeating: 1, count: 4096)
    let good = TestELF(segments: [.init(physical: 0x1000, bytes: page)])
    #expect(error(good) == "accepted")
    #expect(
      error(good, dropping: 1)
        == "FILE: cut short: segment 0 has 0x1000 bytes at file offset 0x1000, the file has 0x1fff")
    #expect(error(good, dropping: 8192 - 100).hasPrefix("FILE: cut short: 1 program headers at 0x40"))
    #expect(
      error(good, dropping: 8192 - 40) == "FILE: cut short: expected an ELF header of 64 bytes, found 40")
    #expect(error(good, dropping: 8192).contains("the file is empty"))
    var other = good
    other.elfClass = 1
    #expect(error(other) == "FILE: expected ELF class 2 (64 bits), found class 1")
    other = good
    other.encoding = 2
    #expect(error(other) == "FILE: expected ELF data encoding 1 (little-endian), found 2")
    other = good
    other.type = 2
    #expect(error(other) == "FILE: expected an ELF core file (type 4), found type 2")
    other = good
    other.headerSize = 8
    #expect(error(other) == "FILE: expected program headers of 56 bytes, found 8")
    #expect(error(TestELF(segments: [.init(physical: 0, bytes: page, type: 4)])).hasSuffix("holds memory"))
    #expect(
      error(TestELF(segments: [.init(physical: .max - 8, bytes: page)])).hasSuffix("of physical address"))
    #expect(
      error(TestELF(segments: [.init(physical: 0, bytes: page, offset: .max - 8)])).contains("cut short"))
    let file = TestFile(page)
    #expect(throws: DumpError(file.path, "expected an ELF file (7f 45 4c 46), found 01 01 01 01 01 01 01 01"))
    {
      try ELFDump(file.path)
    }
    #expect(throws: DumpError.self) { try Dump.open("/tmp") }
    #expect(throws: DumpError("/nonexistent", "No such file or directory")) { try Dump.open("/nonexistent") }
  }

  @Test("segments that overlap must hold the same bytes")
  func overlaps() throws {
    let page = [UInt8](repeating: 1, count: 4096)
    let same = TestFile(
      TestELF(segments: [.init(physical: 0x1000, bytes: page + page), .init(physical: 0x1800, bytes: page)])
        .bytes)
    #expect(try ELFDump(same.path).read(at: 0x1000, count: 0x2000)?.count == 0x2000)
    var other = page
    other[4095] = 2
    let different = TestFile(
      TestELF(segments: [.init(physical: 0x1000, bytes: page + page), .init(physical: 0x1800, bytes: other)])
        .bytes)
    let error = #expect(throws: DumpError.self) { try ELFDump(different.path) }
    #expect(
      error?.description.contains("segments 0 and 1 overlap from physical address 0x1800 for 0x1000 bytes")
        == true)
  }
}
