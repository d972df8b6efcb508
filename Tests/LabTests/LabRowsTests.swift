// SPDX-License-Identifier: GPL-2.0-only

import Testing

@testable import Lab

@Suite struct LabRowsTests {
  private static let architecture = """
    # a comment
    architecture amd64
      program q
      options -M q35
      words   console=ttyS0

    """
  private static let row = """
    row one default
      about  The first
      machine amd64
      kernel 7.2
      qemu   11.1
      options -device a,b=c  -device d
      options -x
      words  w=1
      iommu  intel
      tables vtdss
      device 0000:00:04.0

    """

  private func read(_ text: String) throws -> LabRows { try LabRows(text, file: "rows") }

  @Test func aRowIsRead() throws {
    let rows = try read(Self.architecture + Self.row).rows
    let row = try #require(rows.first)
    #expect(rows.count == 1 && row.isDefault && row.name == "one" && row.about == "The first")
    #expect(row.options == ["-M", "q35", "-device", "a,b=c", "-device", "d", "-x"])
    #expect(row.words == ["console=ttyS0", "w=1"] && row.program == "q")
    #expect(row.iommu == "intel" && row.mapper == .vfio)
  }

  @Test(arguments: [
    ("row a b\n", "rows:1: expected 'default' or nothing after the name, found 'b'"),
    ("row a.b\n", "rows:1: expected a name of letters, digits, '_' and '-', found 'a.b'"),
    ("row\n", "rows:1: expected a value after 'row'"),
    (
      "\nkernel 7.2\n",
      "rows:2: unknown key 'kernel'; here are known: architecture, row, program, options, words"
    ),
    ("row a\nrow a\n", "rows:2: there already is a row 'a'"),
    ("row a\n  mapper fvio\n", "rows:2: expected a mapper, vfio or module, found 'fvio'"),
    (
      "row a\n  iommu inter\n", "rows:2: expected a kind of IOMMU, intel, amd, smmuv3 or riscv, found 'inter'"
    ),
    ("# x\nrow a\n", "rows:2: row a has no machine"),
    ("row a\n  machine z80\n", "rows:1: row a: there is no architecture 'z80'"),
    ("architecture amd64\nrow a\n  machine amd64\n", "rows:2: row a has no kernel"),
  ])
  func errorsNameTheLine(text: String, expected: String) {
    let error = #expect(throws: LabRowError.self) { try read(text) }
    #expect(error?.description == expected)
  }

  @Test func anUnknownKeyHasANeighbour() {
    let error = #expect(throws: LabRowError.self) { try read("row a\n  kernle 7.2\n") }
    #expect(error?.description.hasPrefix("rows:2: unknown key 'kernle'") == true)
    #expect(error?.description.contains("kernel") == true)
  }

  @Test func rowsAreSelected() throws {
    let second = Self.row.split(separator: "\n").joined(separator: "\n").replacing("one default", with: "two")
    let rows = try read(Self.architecture + Self.row + second)
    #expect(rows.selection([]).rows.map(\.name) == ["one"])
    #expect(rows.selection(["all"]).rows.map(\.name) == ["one", "two"])
    #expect(rows.selection(["two"]).rows.map(\.name) == ["two"])
    #expect(rows.selection(["three", "two"]).unknown == ["three"])
  }

  @Test func theRowsOfTheRepositoryCanBeRead() throws {
    let home = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
    let text = String(decoding: try HostFile.read("\(home)/lab/rows"), as: UTF8.self)
    let rows = try LabRows(text, file: "lab/rows")
    #expect(!rows.selection([]).rows.isEmpty)
  }
}
