// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Glibc
import PageTable
import Reference
import Selftests

/// What runs in the process of a library: its tests, one after the other, with their outcomes on a pipe.
public enum LibraryProcess {
  /// The pipe to the supervisor, where a library is not likely to write.
  static let stream: Int32 = {
    let high = fcntl(3, F_DUPFD_CLOEXEC, 200)
    close(3)
    return high
  }()
  /// The exit status when the pipe is gone.
  static let lostPipe: Int32 = 74

  /// The memory shared with the supervisor. Taken before a library is loaded; nil where there is none.
  static func takeCalls() -> CallPage? {
    // The supervisor's end is this process's end.
    ptkit_end_with_parent()
    guard stream >= 0 else { return nil }
    defer { close(4) }
    return CallPage(descriptor: 4)
  }

  /// Loads the library and says what it has.
  public static func describe(path: String) {
    guard let calls = takeCalls(), let library = load(path, calls) else { return }
    TestRecord.library(library.name).write(to: stream)
    for format in library.formats { TestRecord.format(format).write(to: stream) }
    if !TestRecord.finished.write(to: stream) { exit(lostPipe) }
  }

  /// Runs the tests whose names standard input has, a line each.
  ///
  /// - Parameter registry: finds tests by name.
  public static func run(
    path: String, seed: UInt64, specifications: SpecificationLibrary,
    registry: (_ formats: [LibraryFormat], _ names: [String]) throws -> [Selftest]
  ) throws {
    var names: [String] = []
    while let line = readLine() { names.append(line) }
    guard let calls = takeCalls(), let library = load(path, calls) else { return }
    let target = LibraryFactory(name: "lib:\(path)", library, calls: calls, specifications)
    let context = SelftestContext(seed: seed, target: target, library: specifications)
    let tests = Dictionary(try registry(library.formats, names).map { ($0.name, $0) }) { first, _ in first }
    for name in names {
      TestRecord.start(name).write(to: stream)
      let outcome = tests[name]?.run(context) ?? .fail(details: ["there is no such test"])
      guard TestRecord.outcome(name, outcome).write(to: stream) else { exit(lostPipe) }
    }
    TestRecord.finished.write(to: stream)
  }

  static func load(_ path: String, _ calls: CallPage) -> Library? {
    calls.begin(106)
    defer { calls.end() }
    do {
      return try Library(path: path)
    } catch {
      if !TestRecord.refused("\(error)").write(to: stream) { exit(lostPipe) }
      return nil
    }
  }
}
