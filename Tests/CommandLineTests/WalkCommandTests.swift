// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

/// A dump of six pages, written by hand: a root table (D51397, section 9.1) and a context table (9.3), then four levels of
/// second-stage tables (9.8) that map one page of 00:04.0.
@Suite("ptkit walk")
struct WalkCommandTests {
  private let scratch: Scratch
  private let registers: String

  init() throws {
    scratch = try Scratch()
    // 48 bits, 4 levels, walks that snoop, translation enabled, root table at 0.
    registers = try scratch.write("CAP 0x2f0400\nECAP 1\nGSTS 0xc0000000\nRTADDR 0\n", to: "registers")
  }

  private static let pages: [(page: Int, index: Int, words: [UInt64])] = [
    (0, 0, [0x1001, 0]), (1, 0x40, [0x2001, 0x202]), (2, 0, [0x3003]), (3, 0, [0x4003]), (4, 0, [0x5003]),
    (5, 1, [0x1234_5003]),
  ]

  /// Writes the dump, with the leaf or the context entry in another form.
  private func dump(leaf: UInt64 = 0x1234_5003, context: UInt64 = 0x2001, dropping count: Int = 0) throws
    -> String
  {
    func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
      withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
    var memory = [UInt64](repeating: 0, count: 6 * 512)
    for (page, index, words) in Self.pages {
      for (offset, word) in words.enumerated() { memory[page * 512 + index + offset] = word }
    }
    memory[5 * 512 + 1] = leaf
    memory[512 + 0x40] = context
    // ELF-64, little-endian, a core file of an x86-64 machine with one program header, PT_LOAD.
    var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + Array(repeating: 0, count: 9)
    file += bytes(4 as UInt16) + bytes(62 as UInt16) + bytes(1 as UInt32) + bytes(0 as UInt64)
    file += bytes(64 as UInt64) + bytes(0 as UInt64) + bytes(0 as UInt32) + bytes(64 as UInt16)
    file += bytes(56 as UInt16) + bytes(1 as UInt16) + [0, 0, 0, 0, 0, 0]
    file += bytes(1 as UInt32) + bytes(6 as UInt32) + bytes(120 as UInt64) + bytes(0 as UInt64)
    file +=
      bytes(0 as UInt64) + bytes(UInt64(memory.count * 8)) + bytes(UInt64(memory.count * 8))
      + bytes(0 as UInt64)
    file += memory.flatMap(bytes)
    let path = scratch.path("dump")
    try Data(file.dropLast(count)).write(to: path)
    return path.path
  }

  private func walk(_ dump: String, _ rest: String = "") throws -> Run {
    try Run.ptkit(["walk", dump, "--iommu", "intel", "--registers", registers] + rest.words)
  }

  @Test(
    "mappings of a device that is not translated are missing",
    arguments: ["device 00:04.0\nmap 0x1000 0x12345000 4K rw\n", "map 0x1000 0x12345000 4K rw\n"],
    [true, false])
  func absentMappings(text: String, isPassThrough: Bool) throws {
    let expectations = try scratch.write(text, to: "expect")
    // TT, bits 3:2 of a context entry, is 2 for pass-through (9.3).
    let dump = try dump(context: isPassThrough ? 0x2009 : 0x2001)
    for device in ["", " --device 00:04.0"] {
      let run = try walk(dump, "--expect \(expectations)" + device)
      let problems: Int32 = isPassThrough ? 1 : 0
      #expect(run.status == problems && run.lines.last == "problems \(problems)", "\(run.output)")
    }
  }

  @Test("tables that are as they should be: each fact, and status 0")
  func pass() throws {
    let run = try walk(dump(), "--iova 0x1008 --words")
    #expect(run.status == 0 && run.errors == "", "\(run.errors)")
    #expect(run.lines.first == "iommu Intel VT-d" && run.lines.last == "problems 0")
    #expect(run.lines.contains("mapping 00:04.0 0x1000..0x1fff to 0x12345000 4K rw 1x4K"))
    #expect(run.lines.contains("translation 00:04.0 0x1008 to 0x12345008 rw, leaf of 4K"))
    #expect(
      run.lines.contains {
        $0.hasPrefix("compared 00:04.0 vtdss:va=48,level=3,features=flush_range leaves 1 ")
      })
  }

  @Test("a reserved bit, and a mapping that should be another: status 1")
  func problems() throws {
    let reserved = try walk(dump(leaf: 0x4000_0000_1234_5003))
    #expect(
      reserved.status == 1
        && reserved.lines.contains { $0.hasPrefix("problem malformed 00:04.0 IOVA 0x1000 level 0") })
    let expectations = try scratch.write("device 00:04.0\nmap 4K 0x12346000 4K rw\n", to: "expectations")
    let other = try walk(dump(), "--device 00:04.0 --expect \(expectations)")
    #expect(other.status == 1 && other.lines.last == "problems 1")
    #expect(other.lines.contains { $0.hasPrefix("problem word") && $0.contains("expected 0x12346003") })
  }

  @Test("files that cannot be used: status 65, and what was expected")
  func badInput() throws {
    let short = try walk(dump(dropping: 1))
    #expect(short.status == 65 && short.errors.contains("cut short") && short.output == "")
    let missing = try walk(scratch.path("nothing").path)
    #expect(missing.status == 65 && missing.errors.contains("No such file or directory"))
    let device = try walk(dump(), "--device 00:05.0")
    #expect(device.status == 65 && device.errors.contains("there are 00:04.0"))
    let wrong = try scratch.write("CAP\n", to: "wrong")
    let run = try Run.ptkit(["walk", try dump(), "--iommu", "intel", "--registers", wrong])
    #expect(run.status == 65 && run.errors.contains("wrong:1: expected 'NAME VALUE'"))
    let expectations = try scratch.write("map 1\n", to: "expectations")
    #expect(
      try walk(dump(), "--expect \(expectations)").errors.contains("expectations:1: expected 'map IOVA"))
  }

  @Test(
    "wrong usage: status 64",
    arguments: [
      "walk --iommu intel", "walk file --iommu intel", "walk file --iommu none --registers f",
      "walk file --iommu intel --registers f --device x", "walk file --iommu amd --registers f --cbit 12",
    ])
  func usage(line: String) throws {
    let run = try Run.ptkit(line.words)
    #expect(run.status == 64 && run.output == "" && !run.errors.isEmpty)
  }

  @Test("each IOMMU's registers are listed", arguments: ["intel", "amd", "smmuv3", "riscv"])
  func registers(kind: String) throws {
    let run = try Run.ptkit(["walk", "--iommu", kind, "--list-registers"])
    #expect(run.status == 0 && run.lines.count > 3 && run.lines[0].contains("QEMU has them at 0x"))
  }
}
