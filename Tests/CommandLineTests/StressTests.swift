// SPDX-License-Identifier: GPL-2.0-only

import Testing

@Suite("ptkit stress")
struct StressTests {
  /// The fields of iova_stress's result line, or nil for another line.
  private func result(_ line: String) -> (size: Int, space: Int, megabytes: Int)? {
    let pattern =
      /dma_size: +(\d+)K iova space: (\d+)T iommu: ~ *(\d+)M time: +\d+\.\d{3}s/
    guard line.count >= 66, let match = line.wholeMatch(of: pattern), let size = Int(match.1),
      let space = Int(match.2), let megabytes = Int(match.3)
    else { return nil }
    return (size, space, megabytes)
  }

  @Test("without reclaim, 1 TiB leaves about 2 GiB of empty tables behind")
  func never() throws {
    let run = try Run.ptkit("stress -s 1 --reclaim never --format x86_64".words)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.lines.count == 1)
    let found = try #require(result(run.lines[0]), "\(run.output)")
    #expect(found.size == 4)
    #expect(found.space == 1)
    #expect((2048...2070).contains(found.megabytes))
  }

  @Test("with reclaim, nothing worth a megabyte is left", arguments: ["bounded:64"])
  func bounded(reclaim: String) throws {
    let run = try Run.ptkit(["stress", "-s", "1", "--reclaim", reclaim, "-v", "--format", "vtdss"])
    #expect(run.status == 0)
    #expect(run.lines.first?.hasPrefix("iova space:     0T\ttable memory: ") == true)
    #expect(result(run.lines[1])?.megabytes == 0)
    let peak = try #require(run.lines.last?.firstMatch(of: /(\d+) at most/)).1
    #expect(try #require(Int(peak)) < 100)
  }

  @Test("-S runs a second time with its size")
  func second() throws {
    let run = try Run.ptkit("stress -s 1 -S 1024 --reclaim eager".words)
    #expect(run.lines.compactMap { result($0)?.size } == [4, 1 << 20])
  }

  @Test("a format with less address space has all of it used")
  func narrow() throws {
    let run = try Run.ptkit("stress -s 2 --format amdv1_mock --reclaim eager".words)
    #expect(run.status == 0)
    #expect(run.lines.count == 2)
    #expect(run.lines[0].hasPrefix("# ") && run.lines[0].contains("256G"))
  }

  @Test(
    "what cannot be is refused",
    arguments: [
      ("-s 0", 64), ("-s x", 64), ("--reclaim bounded", 64), ("--reclaim bounded:x", 64),
      ("--reclaim nevr", 64),
      ("--format x86", 65), ("-s 8388609", 64),
    ])
  func refused(arguments: String, status: Int) throws {
    let run = try Run.ptkit(["stress"] + arguments.words)
    #expect(Int(run.status) == status)
    #expect(run.output == "")
    #expect(run.errors != "")
  }
}
