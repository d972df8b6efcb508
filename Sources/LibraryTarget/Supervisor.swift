// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Selftests

/// Runs the tests of a library in processes of their own: when one crashes or hangs, the test at hand has failed, and the
/// next process goes on with those that are left.
public struct Supervisor: Sendable {
  /// The library.
  public var path: String
  /// What its process must preload, which the library itself may say; nil for nothing.
  public var preload: String?
  /// The seed of random numbers.
  public var seed: UInt64
  /// Seconds that one call of the library may take.
  public var callLimit: Double
  /// Seconds that one test may take.
  public var testLimit: Double
  /// More options of its process, which are those of `ptkit selftest`, too.
  public var options: [String] = []
  /// What commands that repeat a test call the library; nil for `lib:` and its path.
  public var target: String?
  /// Bytes of memory that a process may use.
  public var memoryLimit = Watch.memoryLimit

  public init(path: String, preload: String?, seed: UInt64, callLimit: Double = 20, testLimit: Double = 600) {
    self.path = path
    self.preload = preload ?? SanitizerRuntime.neededBy(path)
    self.seed = seed
    self.callLimit = callLimit
    self.testLimit = testLimit
  }

  /// What the library says of itself.
  public func describe() throws -> (name: String, formats: [LibraryFormat]) {
    var name = path
    var formats: [LibraryFormat] = []
    var refusal: String?
    let end = try watch.run(["library-process", "--describe", path], []) { fields in
      switch TestRecord(fields) {
      case .library(let text): name = text
      case .format(let format): formats.append(format)
      case .refused(let reason): refusal = reason
      case .start, .outcome, .finished, nil: break
      }
    }
    if let refusal { throw LibraryError(refusal) }
    if let end {
      throw LibraryError(([end.problem, "while it was loaded"] + end.details).joined(separator: "\n"))
    }
    return (name, formats)
  }

  /// Runs tests in their order, and reports each.
  public func run(_ names: [String], report: (String, SelftestOutcome) -> Void) {
    let arguments = ["library-process", "--seed", "\(seed)"] + options + [path]
    ask(arguments, names, again: "ptkit selftest --seed \(Numbers.hex(seed))") { name, outcome in
      report(name, named(outcome))
    }
  }

  /// Has a process deal with names in their order, and reports the outcome of each.
  ///
  /// - Parameters:
  ///   - arguments: those of the process.
  ///   - again: the command that repeats with a name what ended the process; nil for none.
  public func ask(
    _ arguments: [String], _ names: [String], again: String? = nil,
    report: (String, SelftestOutcome) -> Void
  ) {
    var left = names[...]
    // The last outcome of a process waits for the end of it, which can go wrong.
    var last: (name: String, outcome: SelftestOutcome)?
    func reportLast() {
      if let last { report(last.name, last.outcome) }
      last = nil
    }
    while !left.isEmpty {
      var refusal: String?
      var problem: [String]
      do {
        func ended(_ problem: String) { last?.outcome.fail(problem) }
        let end = try watch.run(arguments, Array(left), atEnd: ended) { fields in
          switch TestRecord(fields) {
          case .outcome(let name, let outcome) where name == left.first:
            left = left.dropFirst()
            reportLast()
            last = (name, outcome)
          case .refused(let reason): refusal = reason
          default: break
          }
        }
        problem = end.map { [$0.problem] + $0.details } ?? ["the process of the library left this test out"]
      } catch {
        problem = ["\(error)"]
      }
      reportLast()
      if let refusal {
        for name in left { report(name, .fail(details: [refusal])) }
        return
      }
      guard let name = left.popFirst() else { return }
      report(name, .fail(details: problem + (again.map { ["\($0) \(name)"] } ?? [])))
    }
  }

  /// A command of ptkit that runs the library.
  private func command(_ name: String, _ options: [String]) -> String {
    (["ptkit \(name) --target \(target ?? "lib:\(path)")"] + options).joined(separator: " ")
  }

  /// The options that name specifications.
  private var specificationOptions: [String] {
    zip(options, options.dropFirst()).filter { $0.0 == "--spec" }.flatMap { [$0.0, $0.1] }
  }

  /// The outcome with commands that name the library.
  private func named(_ outcome: SelftestOutcome) -> SelftestOutcome {
    guard case .fail(let details) = outcome else { return outcome }
    let commands = [("selftest", options), ("image", specificationOptions)]
    return .fail(
      details: details.map { line in
        guard let (name, options) = commands.first(where: { line.hasPrefix("ptkit \($0.0) ") }) else {
          return line
        }
        return command(name, options) + line.dropFirst("ptkit \(name)".count)
      })
  }

  var watch: Watch {
    Watch(preload: preload, callLimit: callLimit, testLimit: testLimit, memoryLimit: memoryLimit)
  }
}

extension SelftestOutcome {
  /// Makes a failure of it, for what happened after it.
  fileprivate mutating func fail(_ problem: String) {
    switch self {
    case .pass(let details), .fail(let details): self = .fail(details: details + [problem])
    case .skip, .xfail: self = .fail(details: [problem])
    }
  }
}
