// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Walk

@Suite("registers, expectations, devices in text") struct InputTests {
  private func error(_ text: String, _ kind: IOMMUKind = .intel) -> String {
    do {
      _ = try RegisterValues(kind, text: text, file: "regs")
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  @Test("registers are read by name or offset, and written so that they can be read again")
  func registers() throws {
    let text = "# saved\ncap 0x2f0e00\n0x10 1 # ECAP\n\nGSTS 0xc0000000\nRTADDR\t4096\n"
    let values = try RegisterValues(.intel, text: text, file: "regs")
    #expect(values["CAP"] == 0x2f_0e00 && values["ECAP"] == 1 && values["RTADDR"] == 4096)
    #expect(try RegisterValues(.intel, text: values.text, file: "again") == values)
    // GBPA may be left out.
    let names = IOMMUKind.smmuv3.registers.filter { $0.fallback == nil }.map { "\($0.name) 0" }
    #expect(error(names.joined(separator: "\n"), .smmuv3) == "accepted")
  }

  @Test("wrong lines are told with file, line and what was expected")
  func wrongRegisters() {
    let known = "expected are CAP (0x8), ECAP (0x10), GSTS (0x1c), RTADDR (0x20)"
    #expect(error("CAP") == "regs:1: expected 'NAME VALUE' or 'OFFSET VALUE', found 1 words")
    #expect(error("\nFOO 1") == "regs:2: unknown register 'FOO'; \(known)")
    #expect(error("0x24 1") == "regs:1: no register at offset 0x24; \(known)")
    #expect(error("CAP zwei") == "regs:1: expected a number such as 0x1000 for CAP, found 'zwei'")
    #expect(error("CAP 1\n8 1") == "regs:2: CAP is given twice")
    #expect(error("GSTS 0x100000000") == "regs:1: GSTS has 32 bits, found 0x100000000")
    #expect(
      error("CAP 1\nECAP 1\nGSTS 1")
        == "regs: Intel VT-d: the register RTADDR (offset 0x20) is missing; \(known)")
  }

  @Test("device names, both ways")
  func devices() {
    #expect(DeviceTables.name(0x20) == "00:04.0" && DeviceTables.name(0xfffb) == "ff:1f.3")
    #expect(DeviceTables.name(0x1_0000) == "0x10000")
    #expect(DeviceTables.id("00:04.0") == 0x20 && DeviceTables.id("0000:ff:1f.3") == 0xfffb)
    #expect(DeviceTables.id("0x10000") == 0x1_0000 && DeviceTables.id("4294967296") == nil)
    for text in ["", "1:2", "00:20.0", "00:04.8", "100:04.0", "0001:00:04.0", "a:b:c:d.e", "00:04.", "x:0.0"]
    {
      #expect(DeviceTables.id(text) == nil, "\(text)")
    }
  }

  @Test("expectations belong to the device above them")
  func expectations() throws {
    let text = """
      allow 0xfee00000 1M      # of every device
      device 00:04.0
      map 0x100000 0x20000000 12K rw
      map 2M 4M 2M r,cache
      allow 0 64K identity
      device 0x28
      map 0 0 4K w
      """
    let read = try Expectations(text: text, file: "expect")
    let (mappings, allowed) = read.of(0x20)
    #expect(mappings.map(\.length) == [0x3000, 2 << 20] && mappings.map(\.flags) == [nil, .cache])
    #expect(
      allowed == [.init(iova: 0xfee0_0000, length: 1 << 20), .init(iova: 0, length: 65536, isIdentity: true)])
    #expect(read.of(0x28).mappings.map(\.read) == [false] && read.of(1).mappings.isEmpty)
  }

  @Test(
    "wrong expectations are told with file and line",
    arguments: [
      ("mop", "expected 'device', 'map' or 'allow', found 'mop'"), ("device", "expected 'device BDF'"),
      ("map 1 2 3", "expected 'map IOVA PHYSICAL LENGTH rw[,flags]'"), ("map x 2 3 rw", "expected an IOVA"),
      ("map 0 0 0 rw", "the length 0x0 is 0"), ("map 0xffffffffffffffff 0 2 rw", "ends beyond 64 bits"),
      ("map 0 0 4K x", "expected r, w or rw"), ("map 0 0 4K cache", "expected r, w or rw"),
      ("allow 0", "expected 'allow IOVA LENGTH [identity]'"), ("allow 0 4K here", "expected 'allow"),
    ])
  func wrongExpectations(line: String, text: String) {
    let error = #expect(throws: WalkInputError.self) { try Expectations(text: "\n" + line, file: "expect") }
    #expect(error?.description.hasPrefix("expect:2: ") == true && error?.description.contains(text) == true)
  }

  @Test("mappings that overlap are told")
  func overlappingExpectations() {
    let runs = ExpectedRuns([
      ExpectedMapping(iova: 0, physical: 0, length: 0x2000),
      ExpectedMapping(iova: 0x1000, physical: 0, length: 0x1000),
      ExpectedMapping(iova: .max - 0xfff, physical: 0x1000, length: 0x1000),
    ])
    #expect(runs.overlaps.map(\.iova) == [0x1000] && runs.runs.count == 2)
    #expect(
      runs.run(holding: .max - 0xfff, through: .max) != nil
        && runs.run(holding: 0x2000, through: 0x2000) == nil)
  }
}
