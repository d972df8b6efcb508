// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Testing

@testable import Lab

@Suite struct InitialFilesTests {
  /// The entries of an archive: name, mode and bytes.
  private func entries(_ archive: [UInt8]) throws -> [(name: String, mode: Int, bytes: [UInt8])] {
    var found: [(name: String, mode: Int, bytes: [UInt8])] = []
    var offset = 0
    func field(_ index: Int) throws -> Int {
      let start = offset + 6 + index * 8
      return try #require(Int(String(decoding: archive[start..<(start + 8)], as: UTF8.self), radix: 16))
    }
    while offset < archive.count {
      try #require(Array(archive[offset..<(offset + 6)]) == Array("070701".utf8))
      let (mode, size, length) = (try field(1), try field(6), try field(11))
      let name = String(decoding: archive[(offset + 110)..<(offset + 110 + length - 1)], as: UTF8.self)
      let start = (offset + 110 + length + 3) & ~3
      found.append((name, mode, Array(archive[start..<(start + size)])))
      offset = (start + size + 3) & ~3
    }
    return found
  }

  @Test func filesHaveTheirFolders() throws {
    var files = InitialFiles()
    files.add(folder: "dev")
    files.add(file: "lib/modules/x", [1, 2, 3])
    files.add(file: "lib/y", [], isExecutable: true)
    files.add(folder: "lib")
    let found = try entries(files.finished())
    #expect(found.map(\.name) == ["dev", "lib", "lib/modules", "lib/modules/x", "lib/y", "TRAILER!!!"])
    #expect(found.map(\.mode) == [0o040755, 0o040755, 0o040755, 0o100644, 0o100755, 0])
    #expect(found[3].bytes == [1, 2, 3])
  }

  @Test func aGuestGetsTheModulesThatTestsNeed() throws {
    let folder = "/tmp/ptkit-modules-\(getpid())-\(Deadline.now)"
    let home = "\(folder)/lib/modules/7.2.1"
    try HostFile.makeFolder("\(home)/a")
    defer { _ = try? LabScript(["rm", "-rf", folder]) }
    let dependencies = """
      a/vfio-pci.ko: a/vfio.ko
      a/vfio.ko:
      a/vfio_iommu_type1.ko: a/vfio.ko
      a/unrelated.ko:

      """
    try HostFile.write(Array(dependencies.utf8), to: "\(home)/modules.dep")
    for name in ["vfio-pci", "vfio", "vfio_iommu_type1", "unrelated"] {
      try HostFile.write(Array(name.utf8), to: "\(home)/a/\(name).ko")
    }
    try HostFile.write([7], to: "\(folder)/more.ko")
    let image = try KernelImage(file: "\(folder)/more.ko", modules: folder)
    var files = InitialFiles()
    try image.addModules(to: &files, excluded: ["vfio-iommu-type1"], more: ["\(folder)/more.ko"])
    let found = try entries(files.finished())
    let names = found.filter { $0.mode & 0o100000 != 0 }.map(\.name)
    #expect(
      names
        == ["a/vfio-pci.ko", "a/vfio.ko", "extra/more.ko", "modules.dep"].map { "lib/modules/7.2.1/\($0)" })
    #expect(
      found.first { $0.name.hasSuffix("modules.dep") }.map { String(decoding: $0.bytes, as: UTF8.self) }
        == "a/vfio-pci.ko: a/vfio.ko\na/vfio.ko:\nextra/more.ko:\n")
    #expect(throws: LabError.self) {
      try KernelImage(file: "\(folder)/more.ko", modules: "\(folder)/lib/modules/7.2.1/a")
    }
    #expect(throws: LabError.self) { try KernelImage(file: "\(folder)/nothing", modules: nil) }
  }

  @Test func namesOfFoldersAreRead() {
    // Inode and offset, a record of 24 bytes, a type, "ab"; then a record that ends too early.
    let record: [UInt8] = [UInt8](repeating: 0, count: 16) + [24, 0, 8, 0x61, 0x62, 0, 0, 0]
    #expect(AgentMachine.names(record) == ["ab"])
    #expect(AgentMachine.names(record + record.prefix(20)) == ["ab"])
    #expect(AgentMachine.names([UInt8](repeating: 0, count: 64)) == [])
  }

  @Test func figuresTakeTheGrowthFromItsTest() {
    let figures = LabFigures()
    figures.release = "7.2.1"
    figures.pages = 12
    figures.totals.count(.pass)
    figures.note(.init("x", .pass, details: ["growth per TiB: 2052 MiB, by a file", "more"]))
    let line = figures.line(LabRow(name: "row"), seconds: 3)
    #expect(line.hasPrefix("row: Linux 7.2.1; Totals: pass:1 "))
    #expect(line.hasSuffix("; growth per TiB 2052 MiB; 12 pages compared; 3 s"))
  }
}
