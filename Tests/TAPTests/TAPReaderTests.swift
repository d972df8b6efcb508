// SPDX-License-Identifier: GPL-2.0-only

import TAP
import Testing

@Suite struct TAPReaderTests {
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

  @Test func resultsHaveNamesDirectivesAndDiagnostics() {
    let stream = TAPReader.read(Self.log)
    #expect(stream.version == 13 && stream.plan == 5 && stream.problems.isEmpty && stream.noiseLines == 0)
    #expect(
      stream.results.map(\.name) == ["amdv1.map", "amdv1.dirty", "amdv1.todo", "amdv1.known", "amdv1.slow"])
    #expect(stream.results.map(\.outcome) == [.pass, .skip, .xfail, .xfail, .error])
    #expect(
      stream.results[0].diagnostics == ["kernel 7.3"] && stream.results[1].diagnostics == ["why", "more"])
    #expect(stream.results[1].directive == TAPStream.Directive(word: "SKIP", reason: "no dirty tracking"))
    #expect(stream.results[1].line == 7 && stream.results[1].number == 2)
    #expect(stream.closingComments == ["Totals: pass:1 fail:0 xfail:2 xpass:0 skip:1 error:1"])
    #expect(stream.totals.description == stream.closingComments[0])
    #expect(!stream.isSuccess)
  }

  @Test func carriageReturnsMakeNoDifference() {
    let plain = TAPReader.read(Self.log)
    #expect(TAPReader.read(Self.log.split(separator: "\n").joined(separator: "\r\n") + "\r\n") == plain)
  }

  @Test func noiseMakesNoDifference() {
    let noisy = """
      [    1.234567] iommu: something
      TAP version 13
      okay, starting
      1..2
          ok 1 nested
      ok 1 a
        ---
        message: yaml
        ...
      pragma +strict
      not okay
      ok 2 b

      1..x
      """
    let stream = TAPReader.read(noisy)
    #expect(stream.results.map(\.name) == ["a", "b"] && stream.problems.isEmpty && stream.isSuccess)
    #expect(stream.noiseLines == 9)
  }

  @Test(arguments: [
    ("1..2\nok 1 a\n", "the plan announces 2 results, and there are 1"),
    ("1..1\nok 1 a\nok 2 b\n", "the plan announces 1 results, and there are 2"),
    ("ok 1 a\n", "there is no plan"), ("", "there is no plan"),
    ("1..1\n1..1\nok 1 a\n", "line 2: a second plan"),
    ("1..2\nok 1 a\nok 1 b\n", "line 3: a second result 1"),
    ("1..2\nok 2 a\nok 1 b\n", "line 2: result 2 where 1 was due"),
    ("1..1\nok a\n", "line 2: a result without number"),
  ])
  func contradictionsAreProblems(text: String, problem: String) {
    let stream = TAPReader.read(text)
    #expect(stream.problems.contains(problem))
    #expect(!stream.isSuccess)
  }

  @Test func plansMayComeLast() {
    #expect(TAPReader.read("ok 1 a\n1..1\n").isSuccess)
    #expect(TAPReader.read("TAP version 14\n1..0 # SKIP no device\n").isSuccess)
  }

  @Test func bailingOutIsNoSuccess() {
    let stream = TAPReader.read("1..1\nok 1 a\nBail out! no memory\n")
    #expect(stream.bailOut == "no memory" && !stream.isSuccess && stream.problems.isEmpty)
  }

  @Test func resultLinesOfAllKinds() throws {
    func result(_ line: String) throws -> TAPStream.Result {
      try #require(TAPReader.read(line).results.first)
    }
    #expect(try result("ok").name == "")
    #expect(try result("not ok 12").number == 12)
    #expect(try result("ok 1 - 2nd name").name == "2nd name")
    #expect(try result("ok 2nd").number == nil)
    #expect(try result("ok 1 -dash").name == "-dash")
    #expect(try result("ok 1 a \\# b \\\\ # Skip").name == "a # b \\")
    #expect(try result("ok 1 a # a remark").directive == nil)
    #expect(try result("ok 1 # SKIP name why not").name == "name")
    #expect(try result("ok 1 # SKIP name why not").directive?.reason == "why not")
    #expect(try result("ok 1 a # SKIPPED").directive == nil)
    #expect(try result("not ok 1 a # XFAIL").outcome == .fail)
    #expect(try result("ok 99999999999999999999 a").number == nil)
    #expect(try result("ok 1 a # TODO").outcome == .xpass)
  }

  @Test func aStreamCanBeWrittenAgainBelowAName() {
    var text = ""
    let stream = TAPReader.read(Self.log)
    let writer = TAPWriter(plan: stream.results.count, progress: TAPProgress(nil)) {
      text += $0
      return true
    }
    for result in stream.results { writer.report(result.result(prefix: "host")) }
    writer.finish(underKselftest: false)
    let merged = TAPReader.read(text)
    #expect(merged.problems.isEmpty && merged.results.map(\.name) == stream.results.map { "host.\($0.name)" })
    #expect(merged.results.map(\.diagnostics) == stream.results.map(\.diagnostics))
    #expect(merged.results[1].directive?.reason == "no dirty tracking")
  }
}
