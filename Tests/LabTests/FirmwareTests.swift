// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

@testable import Lab

/// The script that makes an AMD IOMMU claim v2 tables, on tables of a file.
@Suite struct FirmwareTests {
  /// An IVRS table of one IOMMU: a block of each type, of which 11h and 40h have a copy of the features.
  static func table(types: [UInt8]) -> [UInt8] {
    var bytes = Array("IVRS".utf8) + [0, 0, 0, 0, 1, 0] + Array("BOCHS BXPC    ".utf8)
    bytes +=
      [1, 0, 0, 0] + Array("BXPC".utf8) + [1, 0, 0, 0] + [0, 0x28, 0, 0] + [UInt8](repeating: 0, count: 8)
    for type in types {
      let length: UInt8 = type == 0x10 ? 28 : 44
      var block = [type, 0, length, 0] + [UInt8](repeating: 0, count: Int(length) - 4)
      if type != 0x10 { block[24] = 0xc3 }
      bytes += block
    }
    bytes[4] = UInt8(bytes.count)
    bytes[9] = bytes.reduce(0, &-)
    return bytes
  }

  /// Runs the script on a table; the archive, or nil, and what it said last.
  private func run(_ table: [UInt8]) throws -> (archive: [UInt8]?, words: String) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ptkit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (input, output) = (folder.appendingPathComponent("table"), folder.appendingPathComponent("archive"))
    // What is before the table must not matter.
    try Data([1, 2, 3] + table).write(to: input)
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("lab/ivrs")
    let run = try LabScript([script.path, output.path, "--table=\(input.path)"])
    return (run.status == 0 ? [UInt8](try Data(contentsOf: output)) : nil, run.lastWords)
  }

  @Test func theCopiesOfTheFeaturesAreChangedAndTheSumIsRight() throws {
    let old = Self.table(types: [0x10, 0x11, 0x40])
    let archive = try #require(try run(old).archive)
    let name = Array("kernel/firmware/acpi/IVRS.aml".utf8)
    #expect(archive.starts(with: Array("070701".utf8)) && archive.count % 4 == 0)
    #expect(Array(archive[110..<110 + name.count]) == name)
    let start = (110 + name.count + 1 + 3) & ~3
    let new = Array(archive[start..<start + old.count])
    #expect(new.reduce(0, &+) == 0 && old.reduce(0, &+) == 0)
    var expected = old
    for block in [48 + 28, 48 + 28 + 44] {
      expected[block + 24] = 0xd3
      expected[block + 25] = 0x40
      expected[block + 30] = 0x01
    }
    (expected[24], expected[36], expected[9]) = (2, 1, new[9])
    #expect(new == expected)
  }

  @Test func bitsThatAreSetStay() throws {
    let once = Self.table(types: [0x11])
    var twice = once
    (twice[48 + 24], twice[48 + 25], twice[48 + 30], twice[36]) = (0xd3, 0x40, 1, 1)
    let (one, other) = (try run(once).archive, try run(twice).archive)
    #expect(one == other && one != nil)
  }

  @Test func whatIsNoTableIsSaid() throws {
    #expect(try run(Array("nothing".utf8)).words == "lab/ivrs: the table was not changed")
    #expect(try run(Self.table(types: [0x10])).archive == nil)
    #expect(try run(Array(Self.table(types: [0x11]).prefix(60))).archive == nil)
  }
}
