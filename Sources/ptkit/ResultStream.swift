// SPDX-License-Identifier: GPL-2.0-only

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// How a point of a TAP stream came out.
enum PointOutcome {
  case pass
  case fail
  /// Not run, for one of a few fixed reasons.
  case skip(String)
  /// It failed as expected.
  case xfail
}

/// The TAP stream on standard output.
struct ResultStream {
  private var number = 0
  private(set) var passed = 0
  private(set) var failed = 0
  private(set) var skipped = 0
  private(set) var expected = 0

  /// Starts a stream of `count` points.
  init(count: Int) {
    Self.put("TAP version 13\n1..\(count)\n")
  }

  /// Writes the result of the next point; `details` stand before it.
  mutating func put(_ name: String, _ outcome: PointOutcome, details: [String] = []) {
    number += 1
    for line in details { Self.put("# \(line)\n") }
    switch outcome {
    case .pass:
      passed += 1
      Self.put("ok \(number) \(name)\n")
    case .fail:
      failed += 1
      Self.put("not ok \(number) \(name)\n")
    case .skip(let reason):
      skipped += 1
      Self.put("ok \(number) \(name) # SKIP \(reason)\n")
    case .xfail:
      expected += 1
      Self.put("ok \(number) \(name) # XFAIL\n")
    }
  }

  /// Ends the stream; returns the process's exit status.
  mutating func finish(notes: [String] = []) -> Int32 {
    for note in notes { Self.put("# \(note)\n") }
    Self.put("# Totals: pass:\(passed) fail:\(failed) xfail:\(expected) xpass:0 skip:\(skipped) error:0\n")
    if failed > 0 { return ExitStatus.failure }
    let allSkipped = passed + expected == 0
    return allSkipped && getenv("kselftest_timeout") != nil ? ExitStatus.skipped : 0
  }

  private static func put(_ text: String) {
    print(text, terminator: "")
    fflush(nil)
  }
}
