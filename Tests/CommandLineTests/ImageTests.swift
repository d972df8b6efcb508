// SPDX-License-Identifier: GPL-2.0-only

import Testing

@Suite("ptkit image")
struct ImageTests {
  @Test("operations, results and image come out in the golden grammar")
  func image() throws {
    let run = try Run.ptkit([
      "image", "amdv1", "map 0x0 0x1000 0x600000 rw", "unmap 0x1000 0x5ff000", "phys 0x0",
    ])
    #expect(run.status == 0)
    #expect(
      run.lines == [
        "map 0x0 0x1000 0x600000 rw => ok",
        "unmap 0x1000 0x5ff000 => 0x5ff000  ! sync 0x1000..0x5fffff free=2",
        "phys 0x0 => 0x1000", "image", "T0 L2 [0x0] 0x6000000000000401 -> T1",
        "T1 L1 [0x0] 0x6000000000000201 -> T2", "T2 L0 [0x0] 0x7000000000001001", "tables 3",
      ])
  }

  @Test("the reference reads the same image", arguments: FormatsTests.names)
  func reference(format: String) throws {
    let operations = ["map 0x0 0x40000000 6M rw", "map 0x40001000 0x1000 4K r", "unmap 0x200000 2M"]
    let generic = try Run.ptkit(["image", format] + operations)
    let reference = try Run.ptkit(["image", "--impl", "reference", format] + operations)
    #expect(generic.status == 0, "\(generic.errors)")
    #expect(reference.output == generic.output)
    #expect(generic.lines.count >= 8)
  }

  @Test("a case can be put into a golden file, which then passes")
  func goldenCase() throws {
    let run = try Run.ptkit([
      "image", "--case", "first-page", "--base", "0x200000000", "x86_64:va=57,level=4", "map 0x1000 4K 4K rw",
      "allocbudget 0", "map 1G 1G 4K r", "dirty 0x0 2M keep",
    ])
    #expect(run.status == 0)
    #expect(run.lines.contains("case first-page"))
    let scratch = try Scratch()
    let file = try scratch.write("golden 1\nsource ptkit image\n\(run.output)", to: "pasted.golden")
    let check = try Run.ptkit(["golden", "check", file], environment: ["PTKIT_GOLDEN": Places.golden.path])
    #expect(check.status == 0, "\(check.output)")
    #expect(check.points.count == 1)
  }

  @Test(
    "an operation that does not parse is named, with what was expected",
    arguments: [("mop 0x0", "map"), ("map 0x0 0x1000 4K", "a protection"), ("unmap 0x0 4Q", "a length")])
  func badOperation(text: String, hint: String) throws {
    let run = try Run.ptkit(["image", "amdv1", "phys 0x0", text])
    #expect(run.status == 65)
    #expect(run.errors.contains("operation 2, '\(text)'"))
    #expect(run.errors.contains(hint))
    #expect(run.output == "")
  }

  @Test("an arena base that cannot be is refused")
  func badBase() throws {
    let run = try Run.ptkit(["image", "amdv1", "--base", "0x123", "phys 0x0"])
    #expect(run.status == 65)
    #expect(run.output == "")
  }
}
