// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import PageTable

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Exit statuses. 2 and 3 are never used: kselftest reads them as XFAIL and XPASS.
enum ExitStatus {
  static let failure: Int32 = 1
  /// All was skipped, under kselftest's runner.
  static let skipped: Int32 = 4
  /// EX_USAGE of sysexits.h.
  static let usage: Int32 = 64
  /// EX_DATAERR of sysexits.h.
  static let badInput: Int32 = 65
}

/// A command line that names something that does not exist: exit status 64.
struct UsageError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A configuration, operation, word or file that cannot be used: exit status 65.
struct InputError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// The end of a command that did not succeed.
enum Failure {
  /// Says what went wrong on standard error and ends the process. A command whose output is TAP leaves a
  /// stream with a plan on standard output, also where nothing could be run.
  static func end(with error: any Error, arguments: [String]) -> Never {
    if let code = error as? ExitCode { finish(code.rawValue) }
    let (status, message) = describe(error)
    guard status != 0 else { PTKit.exit(withError: error) }
    ErrorStream.put(message + "\n")
    if let name = tapCommand(arguments) {
      var stream = ResultStream(count: 1)
      let lines = message.split(separator: "\n").map { String($0) }
      stream.put("\(name).\(status == ExitStatus.usage ? "usage" : "input")", .fail, details: lines)
      _ = stream.finish()
    }
    finish(status)
  }

  private static func describe(_ error: any Error) -> (status: Int32, message: String) {
    switch error {
    case let error as UsageError:
      (ExitStatus.usage, "Error: \(error)\nSee 'ptkit --help' for more information.")
    case is InputError, is ConfigurationError, is GrammarError, is GoldenParseError:
      (ExitStatus.badInput, "Error: \(error)")
    default: (PTKit.exitCode(for: error).rawValue, PTKit.fullMessage(for: error))
    }
  }

  /// The name in test results of the command that a command line calls, if its output is TAP.
  private static func tapCommand(_ arguments: [String]) -> String? {
    switch arguments.first {
    case "selftest": "selftest"
    case "golden": arguments.dropFirst().first == "propose" ? nil : "golden"
    default: nil
    }
  }

  private static func finish(_ status: Int32) -> Never {
    fflush(nil)
    exit(status)
  }
}

/// Standard error, unbuffered.
enum ErrorStream {
  static func put(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}
