// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import TAP
import Testing

/// A writer that keeps its lines.
private final class Recorder {
  private(set) var text = ""
  private(set) var writes = 0
  private(set) var writer: TAPWriter!

  init(plan: Int, progress: TAPProgress = TAPProgress(nil)) {
    writer = TAPWriter(plan: plan, progress: progress) { [unowned self] in
      text += $0
      writes += 1
      return true
    }
  }

  /// The lines but for the version and the plan.
  var lines: [String] { Array(text.split(separator: "\n").map(String.init).dropFirst(2)) }
}

@Suite struct TAPWriterTests {
  @Test func theDialectIsTheOneThatAllConsumersRead() {
    let recorder = Recorder(plan: 4)
    recorder.writer.comment("ptkit: simulator")
    recorder.writer.pass("amdv1.map_simple")
    recorder.writer.skip("amdv1.dirty", details: ["amdv1.dirty: skip: no dirty tracking"])
    recorder.writer.expectedFailure("amdv1.lvl2", reason: "known hardware bug")
    recorder.writer.fail("vtdss.map_simple", details: ["expected 0x1", "found 0x2"])
    #expect(recorder.writer.finish(underKselftest: false) == .failure)
    #expect(
      recorder.text == """
        TAP version 13
        1..4
        # ptkit: simulator
        ok 1 amdv1.map_simple
        # amdv1.dirty: skip: no dirty tracking
        ok 2 amdv1.dirty # SKIP
        ok 3 amdv1.lvl2 # XFAIL known hardware bug
        # expected 0x1
        # found 0x2
        not ok 4 vtdss.map_simple
        # Totals: pass:1 fail:1 xfail:1 xpass:0 skip:1 error:0

        """)
    #expect(recorder.writes == 11)
  }

  @Test(arguments: ["", "a b", "a/b", "a..b", ".a", "a.", "a#b", "é", "a:b", "a\n", "ok 1"])
  func namesThatConsumersCannotReadFail(name: String) {
    #expect(!TAPName.isValid(name))
    let recorder = Recorder(plan: 1)
    recorder.writer.pass(name)
    #expect(recorder.lines.last == "not ok 1 invalid_name.1")
    #expect(recorder.writer.finish(underKselftest: false) == .failure)
  }

  @Test(arguments: ["a", "armv8.s2.16k.ias40.oas44", "A-b_9.-", "0"])
  func namesInTheGrammarPass(name: String) {
    let recorder = Recorder(plan: 1)
    recorder.writer.pass(name)
    #expect(recorder.lines == ["ok 1 \(name)"])
    #expect(recorder.writer.finish(underKselftest: false) == .pass)
  }

  @Test func namesAreUniqueWhenDotsBecomeUnderscores() {
    let recorder = Recorder(plan: 3)
    recorder.writer.pass("a.b_c")
    recorder.writer.pass("a_b.c")
    recorder.writer.pass("a.b.d")
    #expect(
      recorder.lines.filter { !$0.hasPrefix("#") } == [
        "ok 1 a.b_c", "not ok 2 repeated_name.2", "ok 3 a.b.d",
      ])
    #expect(recorder.writer.totals[.error] == 1)
  }

  @Test func wordsOfNamesAreMadeFromAnyText() {
    #expect(TAPName.word("drv/unmap 461.golden") == "drv-unmap-461-golden")
    #expect(TAPName.word("") == "-" && TAPName.isValid(TAPName.word("é\n")))
  }

  @Test func detailsStayInComments() throws {
    let recorder = Recorder(plan: 1)
    recorder.writer.fail(
      "a", details: ["one\ntwo\r\n\nok 1 b", "# not ok 2", "1..3", "Bail out!", "\u{1b}[31m\0\ttab"])
    #expect(
      recorder.lines == [
        "# one", "# two", "#", "# > ok 1 b", "# > # not ok 2", "# > 1..3", "# > Bail out!", "# ?[31m?\ttab",
        "not ok 1 a",
      ])
    let read = try KTAPReader.read(recorder.text).streams[0]
    #expect(read.results.map(\.name) == ["a"] && read.bailOut == nil)
  }

  @Test func reasonsThatVaryOrBreakTheLineBecomeDetails() {
    for reason in ["two\nlines", "a # b", String(repeating: "x", count: 81), "", "é"] {
      let recorder = Recorder(plan: 1)
      recorder.writer.skip("a", reason: reason)
      #expect(recorder.lines.last == "ok 1 a # SKIP")
    }
  }

  @Test func missingResultsFail() throws {
    let recorder = Recorder(plan: 3)
    recorder.writer.expect(["a", "b.c"])
    recorder.writer.pass("a")
    #expect(recorder.writer.finish(underKselftest: false) == .failure)
    let results = try KTAPReader.read(recorder.text).streams[0]
    #expect(results.problems.isEmpty)
    #expect(results.results.map(\.name) == ["a", "b.c", "missing_result.3"])
    #expect(results.results.map(\.isOK) == [true, false, false])
    #expect(recorder.lines.last == "# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:2")
  }

  @Test func resultsBeyondThePlanFail() {
    let recorder = Recorder(plan: 1)
    recorder.writer.pass("a")
    recorder.writer.pass("b")
    #expect(recorder.lines.last == "not ok 2 b")
    #expect(recorder.writer.finish(underKselftest: false) == .failure)
  }

  @Test func theEndComesOnce() {
    let recorder = Recorder(plan: 1)
    recorder.writer.pass("a")
    #expect(recorder.writer.finish(underKselftest: false) == .pass)
    let text = recorder.text
    #expect(recorder.writer.finish(underKselftest: false) == .pass && recorder.text == text)
    recorder.writer.fail("b", details: [])
    #expect(recorder.lines.last?.hasPrefix("#") == true)
  }

  @Test func anUnexpectedPassFails() {
    let recorder = Recorder(plan: 1)
    recorder.writer.report(TAPResult("a", .xpass))
    #expect(recorder.lines == ["not ok 1 a"])
    #expect(recorder.writer.finish(underKselftest: true) == .failure)
    #expect(recorder.lines.last == "# Totals: pass:0 fail:0 xfail:0 xpass:1 skip:0 error:0")
  }

  @Test func anInputErrorIsAStreamToo() {
    var text = ""
    let status = TAPWriter.reportInputError("golden.parse", message: "a.golden:3: expected a number") {
      text += $0
      return true
    }
    #expect(status == .badInput)
    #expect(
      text == """
        TAP version 13
        1..1
        # a.golden:3: expected a number
        not ok 1 golden.parse
        # Totals: pass:0 fail:0 xfail:0 xpass:0 skip:0 error:1

        """)
  }

  @Test func lostOutputIsAFailure() {
    let writer = TAPWriter(plan: 1, progress: TAPProgress(nil)) { _ in false }
    writer.pass("a")
    #expect(writer.finish(underKselftest: false) == .failure)
  }

  @Test func linesReachADescriptorAtOnce() throws {
    let pipe = Pipe()
    let writer = TAPWriter(
      plan: 1, fileDescriptor: pipe.fileHandleForWriting.fileDescriptor, progress: TAPProgress(nil))
    #expect(pipe.fileHandleForReading.availableData == Data("TAP version 13\n1..1\n".utf8))
    writer.pass("a")
    #expect(pipe.fileHandleForReading.availableData == Data("ok 1 a\n".utf8))
    let closed = TAPWriter(plan: 1, fileDescriptor: -1, progress: TAPProgress(nil))
    closed.pass("a")
    #expect(closed.finish(underKselftest: false) == .failure)
  }

  @Test func progressIsRemovedBeforeEachLine() {
    var screen = ""
    let progress = TAPProgress { screen += $0 }
    let recorder = Recorder(plan: 2, progress: progress)
    recorder.writer.start("a")
    #expect(screen == "\r[1/2] a\u{1b}[K")
    recorder.writer.pass("a")
    #expect(screen == "\r[1/2] a\u{1b}[K\r\u{1b}[K")
    recorder.writer.pass("b")
    #expect(screen == "\r[1/2] a\u{1b}[K\r\u{1b}[K")
  }
}

@Suite struct ExitStatusTests {
  private func status(_ outcomes: [TAPOutcome], underKselftest: Bool) -> Int32 {
    let recorder = Recorder(plan: outcomes.count)
    for (index, outcome) in outcomes.enumerated() { recorder.writer.report(TAPResult("t\(index)", outcome)) }
    return recorder.writer.finish(underKselftest: underKselftest).rawValue
  }

  @Test func skipsHaveAStatusOfTheirOwnUnderKselftestOnly() {
    #expect(status([.skip, .skip], underKselftest: false) == 0)
    #expect(status([.skip, .skip], underKselftest: true) == 4)
    #expect(status([], underKselftest: true) == 4 && status([], underKselftest: false) == 0)
    for other in TAPOutcome.allCases where other != .skip {
      #expect(status([.skip, other], underKselftest: true) == (other.isOK ? 0 : 1))
    }
  }

  @Test func noStatusIsReadAsXfailOrXpass() {
    #expect(ExitStatus(rawValue: 2) == nil && ExitStatus(rawValue: 3) == nil)
    #expect([ExitStatus.usage.rawValue, ExitStatus.badInput.rawValue] == [64, 65])
  }

  @Test func anEmptyPlanIsASkip() {
    let recorder = Recorder(plan: 0)
    #expect(recorder.text == "TAP version 13\n1..0 # SKIP\n")
    #expect(Recorder(plan: -1).text == recorder.text)
  }
}
