// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import PageTable
import Reference
import TAP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

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

/// A command that has said all it has to say ends with the status that it throws.
extension ExitStatus: Error {}

/// The end of a command that did not succeed.
enum Failure {
  /// Says what went wrong on standard error and ends the process. A command whose output is TAP leaves a
  /// stream with a plan on standard output, also where nothing could be run.
  static func end(with error: any Error, arguments: [String]) -> Never {
    if let status = error as? ExitStatus { finish(status) }
    let (status, message) = describe(error)
    guard status != .pass else { PTKit.exit(withError: error) }
    ErrorStream.put(message + "\n")
    guard let name = tapCommand(arguments) else { finish(status) }
    finish(
      TAPWriter.reportInputError(
        "\(name).\(status == .usage ? "usage" : "input")", message: message, status: status))
  }

  private static func describe(_ error: any Error) -> (status: ExitStatus, message: String) {
    switch error {
    case let error as UsageError:
      (.usage, "Error: \(error)\nSee 'ptkit --help' for more information.")
    case is InputError, is ConfigurationError, is GrammarError, is GoldenParseError, is SpecError,
      is KTAPError:
      (.badInput, "Error: \(error)")
    default:
      (ExitStatus(rawValue: PTKit.exitCode(for: error).rawValue) ?? .failure, PTKit.fullMessage(for: error))
    }
  }

  /// The name in test results of the command that a command line calls, if its output is TAP.
  private static func tapCommand(_ arguments: [String]) -> String? {
    switch arguments.first {
    case "selftest": "selftest"
    case "compare": "compare"
    case "tap": "tap"
    case "lab": arguments.contains("--list") ? nil : "lab"
    case "golden": arguments.dropFirst().first == "propose" ? nil : "golden"
    default: nil
    }
  }

  private static func finish(_ status: ExitStatus) -> Never {
    fflush(nil)
    exit(status.rawValue)
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
