// SPDX-License-Identifier: GPL-2.0-only

import TAP
import Testing

@Suite struct KTAPReaderTests {
  static let log = """
    TAP version 13
    1..5
    # kernel 7.3
    ok 1 amdv1.map
    # why
    #more
    ok 2 - amdv1.dirty # SKIP no dirty tracking
    not ok 3 amdv1.todo # todo later
    ok 4 amdv1.known # XFAIL
    not ok 5 amdv1.slow # TIMEOUT 3 seconds
    # Totals: pass:1 fail:0 xfail:2 xpass:0 skip:1 error:1
    """

  private func stream(_ text: String) throws -> KTAPStream {
    let document = try KTAPReader.read(text)
    try #require(document.streams.count == 1)
    return document.streams[0]
  }

  @Test func resultsHaveNamesDirectivesAndComments() throws {
    let stream = try stream(Self.log)
    #expect(stream.version == 13 && stream.plan == 5 && stream.problems.isEmpty)
    #expect(
      stream.results.map(\.name) == ["amdv1.map", "amdv1.dirty", "amdv1.todo", "amdv1.known", "amdv1.slow"])
    #expect(stream.results.map(\.outcome) == [.pass, .skip, .xfail, .xfail, .error])
    #expect(stream.results[0].comments == ["kernel 7.3"] && stream.results[1].comments == ["why", "more"])
    #expect(stream.results[1].directive == KTAPDirective(.skip, reason: "no dirty tracking"))
    #expect(stream.results[1].line == 7 && stream.results[1].number == 2)
    #expect(!stream.isSuccess)
  }

  @Test func noiseMakesNoDifference() throws {
    let noisy = """
      [    1.234567] iommu: something
      TAP version 13
      okay, starting
      1..2
      ok 1 a
        ---
        ok 2 not this one
        ...
      pragma +strict
      not okay
          ok, said the driver
      ok 2 b

      1..x
      1..4 lanes
      TAP version of a friend
      """
    let stream = try stream(noisy)
    #expect(stream.results.map(\.name) == ["a", "b"] && stream.isSuccess)
    #expect(stream.results[0].comments == ["ok 2 not this one"])
    #expect(stream.results[1].log == ["pragma +strict", "not okay", "ok, said the driver"])
  }

  @Test(arguments: [
    ("1..1\nok 1 a\nok 2 b\n", "line 3: result 2, and the plan announces 1"),
    ("ok 1 a\nok 2 b\n1..1\n", "line 3: the plan announces 1 results, and there are 2"),
    ("1..2\nok 1 a\nok 1 b\n", "line 3: a second result 1"),
    ("1..2\nok 2 a\nok 1 b\n", "line 3: result 1 after result 2"),
    (
      "1..1\nok 1 a\n# Totals: pass:0 fail:1\n",
      "line 3: 'Totals' says pass:0 where there are 1, fail:1 where there are 0"
    ),
    ("1..1\nok 1 a[    1.234567] usb 1-1\n", "line 2: a line of the kernel runs into this one"),
  ])
  func contradictionsAreProblems(text: String, problem: String) throws {
    let stream = try stream(text)
    #expect(stream.problems == [problem])
    #expect(!stream.isSuccess)
  }

  @Test(arguments: [("1..2\nok 1 a\n", 1), ("1..4\nok 3 a\n", 3), ("ok 1 a\nok 4 b\n", 2), ("1..3\n", 3)])
  func missingResultsAreCounted(text: String, count: Int) throws {
    let stream = try stream(text)
    #expect(stream.missingCount == count && !stream.isSuccess)
    let results = try KTAPReader.read(text).results()
    #expect(results.count { $0.name.hasPrefix("missing_result.") && $0.outcome == .error } == count)
  }

  @Test func aPlanOfAnySizeIsNoTrouble() throws {
    let results = try KTAPReader.read("1..9223372036854775807\nok 1 a\n").results()
    #expect(results.count == 1002 && results.last?.name == "missing_results")
  }

  @Test func anyDepthIsNoTrouble() throws {
    let signs = String(repeating: "#", count: 10_000)
    let stairs = (0..<400).map { String(repeating: " ", count: $0) + "1..1\n" }.joined()
    for text in [signs + " ok 1 a\n1..0\n", String(repeating: "# ", count: 5000) + "1..1\n1..0\n", stairs] {
      #expect(try !KTAPReader.read(text).results().isEmpty)
    }
  }

  @Test func plansMayComeLastOrNotAtAll() throws {
    #expect(try stream("ok 1 a\n1..1\n").isSuccess)
    #expect(try stream("ok 1 a\nok b\n").isSuccess)
    #expect(try stream("TAP version 14\n1..0 # SKIP no device\n").isSuccess)
  }

  @Test func bailingOutIsNoSuccess() throws {
    let stream = try stream("1..1\nok 1 a\nBail out! no memory\n")
    #expect(stream.bailOut == "no memory" && !stream.isSuccess && stream.problems.isEmpty)
  }

  @Test func resultLinesOfAllKinds() throws {
    func result(_ line: String) throws -> KTAPResult { try #require(try stream(line).results.first) }
    #expect(try result("ok").name == "")
    #expect(try result("not ok 12").number == 12)
    #expect(try result("ok 1 - 2nd name").name == "2nd name")
    #expect(try result("ok 2nd").number == nil)
    #expect(try result("ok 1 -dash").name == "-dash")
    #expect(try result("ok 1 a \\# b \\\\ # Skip").name == "a # b \\")
    #expect(try result("ok 1 a # a remark").directive == nil)
    #expect(try result("ok 1 a # a remark").comments == ["a remark"])
    #expect(try result("ok 1 # SKIP name why not").name == "name")
    #expect(try result("ok 1 # SKIP name why not").directive?.reason == "why not")
    #expect(try result("ok 1 a # SKIPPED").directive == nil)
    #expect(try result("not ok 1 a # XFAIL").outcome == .fail)
    #expect(try result("not ok 1 # error a").outcome == .error)
    #expect(try result("ok 99999999999999999999 a").number == nil)
    #expect(try result("ok 1 a # TODO").outcome == .xpass)
  }

  @Test(arguments: [
    ("", "log: no TAP in 1 lines; expected a version line, a plan or results"),
    ("a\nTAP version 99\n", "log:2: expected TAP version 12 to 14 or KTAP version 1, found version '99'"),
    ("1..99999999999999999999\n", "log:1: expected a plan such as 1..14, found '1..99999999999999999999'"),
  ])
  func whatCannotBeReadIsAnError(text: String, message: String) {
    #expect { try KTAPReader.read(text, file: "log") } throws: { "\($0)" == message }
  }

  @Test func otherBytesThanTextAreAnErrorInALineOfTAPOnly() throws {
    let noise: [UInt8] = [0xff, 0xfe, 0, UInt8(ascii: "\n")]
    #expect(try KTAPReader.read(noise + Array("1..1\nok 1 a\n".utf8), file: "log").isSuccess)
    #expect { try KTAPReader.read(Array("1..1\nok 1 ".utf8) + noise, file: "log") } throws: {
      "\($0)".hasPrefix("log:2: expected UTF-8")
    }
  }

  @Test func filesThatAreNotThereAreAnError() {
    #expect { try KTAPReader.read(contentsOf: "/no/such.log") } throws: {
      "\($0)" == "/no/such.log: cannot be read: No such file or directory"
    }
    #expect(throws: KTAPError.self) { try KTAPReader.read(contentsOf: "/") }
  }

  @Test func aStreamCanBeWrittenAgainBelowAName() throws {
    var text = ""
    let document = try KTAPReader.read(Self.log)
    let results = document.results(prefix: "host")
    let writer = TAPWriter(plan: results.count, progress: TAPProgress(nil)) {
      text += $0
      return true
    }
    for result in results { writer.report(result) }
    writer.finish(underKselftest: false)
    let merged = try stream(text)
    #expect(
      merged.problems.isEmpty
        && merged.results.map(\.name) == document.streams[0].results.map { "host.\($0.name)" })
    #expect(merged.results.map(\.isOK) == [true, true, true, true, false])
    #expect(merged.results[1].comments == ["why", "more", "skip: no dirty tracking"])
  }
}
