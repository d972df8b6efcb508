// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import TAP

/// `ptkit tap`
struct TapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tap",
    abstract: "Make logs of nested TAP and KTAP one flat stream of TAP.",
    discussion: """
      Reads TAP 12 to 14 and KTAP as tests of kernels write them, in logs of dmesg, of a console, of kselftest's runner and \
      in KUnit's files below /sys/kernel/debug/kunit. A result gets the names of its suite, its test and its parameter, \
      joined by dots. What should be there and is not (a result that the plan announces, the end of a suite or program) is a \
      failing result. What stands behind SKIP is moved to the line before, for consumers make it part of a test's name.

      Example: dmesg | ptkit tap --prefix kunit
      Example: ptkit tap --prefix kunit --prefix kselftest dmesg.log kselftest.log
      """)

  @Option(
    name: .long,
    help: "The first words of the results' names: one for all files, or one for each.")
  var prefix: [String] = []

  @Flag(help: "Keep the comments of results that passed.")
  var comments = false

  @Argument(help: "The logs; - or none is standard input.", completion: .file())
  var files: [String] = []

  func validate() throws {
    let count = max(1, files.count)
    guard prefix.count <= 1 || prefix.count == count else {
      throw ValidationError("expected one --prefix, or \(count) for as many files, found \(prefix.count)")
    }
    for each in prefix where !TAPName.isValid(each) {
      throw ValidationError("'--prefix \(each)': expected words of [A-Za-z0-9_-] joined by '.'")
    }
  }

  func run() throws {
    var merge = TAPMerge()
    merge.keepsComments = comments
    var notes: [String] = []
    for (index, file) in (files.isEmpty ? ["-"] : files).enumerated() {
      let document = try KTAPReader.read(contentsOf: file)
      let before = merge.results.count
      merge.add(document, prefix: prefix.count > 1 ? prefix[index] : prefix.first)
      notes.append("\(document.file): \(merge.results.count - before) results")
    }
    let writer = TAPWriter(plan: merge.results.count)
    for note in notes { writer.comment(note) }
    for result in merge.results { writer.report(result) }
    let status = writer.finish()
    if status != .pass { throw status }
  }
}
