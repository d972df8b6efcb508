// SPDX-License-Identifier: GPL-2.0-only

import Selftests

/// What the process of a library tells its supervisor.
enum TestRecord {
  case format(LibraryFormat)
  case library(String)
  /// The library cannot be tested.
  case refused(String)
  case start(String)
  case outcome(String, SelftestOutcome)
  case finished

  var fields: [String] {
    switch self {
    case .format(let format):
      ["format", format.name, format.behaviour.rawValue, format.era] + format.configurations
    case .library(let name): ["library", name]
    case .refused(let reason): ["refused", reason]
    case .start(let name): ["start", name]
    case .outcome(let name, .pass(let details)): ["pass", name] + details
    case .outcome(let name, .fail(let details)): ["fail", name] + details
    case .outcome(let name, .skip(let reason, let detail)): ["skip", name, reason.rawValue, detail]
    case .outcome(let name, .xfail(let detail)): ["xfail", name, detail]
    case .finished: ["finished"]
    }
  }

  /// Reads a record; nil for what is none.
  init?(_ fields: [String]) {
    let first = fields.count > 1 ? fields[1] : ""
    switch fields.first {
    case "format" where fields.count >= 4:
      guard let behaviour = LibraryBehaviour(rawValue: fields[2]) else { return nil }
      self = .format(
        LibraryFormat(name: first, behaviour: behaviour, era: fields[3], configurations: Array(fields[4...])))
    case "library": self = .library(first)
    case "refused": self = .refused(first)
    case "start": self = .start(first)
    case "pass": self = .outcome(first, .pass(details: Array(fields.dropFirst(2))))
    case "fail": self = .outcome(first, .fail(details: Array(fields.dropFirst(2))))
    case "skip" where fields.count >= 4:
      self = .outcome(first, .skip(SkipReason(rawValue: fields[2]) ?? .target, detail: fields[3]))
    case "xfail" where fields.count >= 3: self = .outcome(first, .xfail(detail: fields[2]))
    case "finished": self = .finished
    default: return nil
    }
  }

  /// Writes the record; false when nobody reads.
  @discardableResult
  func write(to descriptor: Int32) -> Bool { Fields.write(fields, to: descriptor) }
}
