// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// Writes one TAP stream in the dialect that all consumers read alike: TAP 13, flat, the plan first, `ok N name`
/// without dash, details in comment lines before the result, kselftest's totals at the end.
///
/// A wrong use (a name that is not one, or used twice, a result too many or too few) shows as a failing result.
public final class TAPWriter {
  /// How many results the plan announces.
  public let plan: Int
  /// The results so far.
  public private(set) var totals = TAPTotals()

  private let output: (String) -> Bool
  private let progress: TAPProgress
  private var names: Set<String> = []
  private var plannedNames: [String]
  private var isFinished = false
  /// Whether nobody takes what is written any more.
  public private(set) var isOutputLost = false

  /// Starts a stream and writes its version and plan.
  ///
  /// - Parameters:
  ///   - plan: how many results there will be.
  ///   - progress: where to say what is running; standard error, if it is a terminal, by default.
  ///   - output: takes each line, newline included, and returns false when it takes no more.
  public init(plan: Int, progress: TAPProgress = TAPProgress(), output: @escaping (String) -> Bool) {
    self.plan = max(0, plan)
    self.progress = progress
    self.output = output
    plannedNames = []
    emit("TAP version 13")
    emit(self.plan == 0 ? "1..0 # SKIP" : "1..\(self.plan)")
  }

  /// Starts a stream on a file descriptor; each line is one write(2).
  public convenience init(
    plan: Int, fileDescriptor: Int32 = STDOUT_FILENO, progress: TAPProgress = TAPProgress()
  ) {
    let output = LineOutput(descriptor: fileDescriptor)
    self.init(plan: plan, progress: progress) { output.write($0) }
  }

  /// The names of the tests, where they are known in advance: one that has no result at the end fails by its name.
  public func expect(_ names: some Sequence<String>) { plannedNames += names }

  /// Shows on the progress line that a test runs.
  public func start(_ name: String) {
    progress.show("[\(totals.count + 1)/\(plan)] \(name)")
  }

  /// Writes comment lines.
  public func comment(_ text: String) {
    for line in TAPText.comments(text) { emit(line) }
  }

  // MARK: Results

  /// Writes a result: its details, then its line.
  public func report(_ result: TAPResult) {
    var result = result
    if isFinished {
      return comment("the result of \(result.name) comes after the end of the stream")
    }
    checkName(of: &result)
    checkReason(of: &result)
    if totals.count >= plan {
      result.details.append("this result is one more than the plan announces")
      result.outcome = .error
    }
    totals.count(result.outcome)
    for detail in result.details { comment(detail) }
    var line = "\(result.outcome.isOK ? "ok" : "not ok") \(totals.count) \(result.name)"
    if let directive = result.outcome.directive {
      line += " # \(directive)" + (result.reason.map { " \($0)" } ?? "")
    }
    emit(line)
  }

  /// Writes that a test passed.
  public func pass(_ name: String, details: [String] = []) {
    report(TAPResult(name, .pass, details: details))
  }

  /// Writes that a test failed.
  public func fail(_ name: String, details: [String]) {
    report(TAPResult(name, .fail, details: details))
  }

  /// Writes that a test could not run here; `reason` is short and always the same.
  public func skip(_ name: String, reason: String? = nil, details: [String] = []) {
    report(TAPResult(name, .skip, reason: reason, details: details))
  }

  /// Writes that a test failed as expected; `reason` is short and always the same.
  public func expectedFailure(_ name: String, reason: String? = nil, details: [String] = []) {
    report(TAPResult(name, .xfail, reason: reason, details: details))
  }

  private func checkName(of result: inout TAPResult) {
    let number = totals.count + 1
    if !TAPName.isValid(result.name) {
      result.details.append(
        "'\(result.name)' is no name of a test; names are words of [A-Za-z0-9_-] joined by '.'")
      result.name = "invalid_name.\(number)"
      result.outcome = .error
    } else if names.contains(TAPName.identity(result.name)) {
      result.details.append("there already is a result of \(result.name), dots read as underscores")
      result.name = "repeated_name.\(number)"
      result.outcome = .error
    }
    names.insert(TAPName.identity(result.name))
  }

  private func checkReason(of result: inout TAPResult) {
    guard let reason = result.reason, !TAPText.isReason(reason) else { return }
    if !reason.isEmpty { result.details.append(reason) }
    result.reason = nil
  }

  // MARK: End

  /// Ends the stream: results that are missing fail, and the totals follow. Calls after the first change nothing.
  ///
  /// - Returns: the status that the process should exit with.
  @discardableResult
  public func finish(underKselftest: Bool = ExitStatus.isUnderKselftest) -> ExitStatus {
    if !isFinished {
      var missing = plannedNames.filter { !names.contains(TAPName.identity($0)) }[...]
      while totals.count < plan {
        let name = missing.popFirst() ?? "missing_result.\(totals.count + 1)"
        report(TAPResult(name, .error, details: ["there is no result of this test"]))
      }
      isFinished = true
      emit("# \(totals)")
    }
    return isOutputLost ? .failure : ExitStatus(totals, underKselftest: underKselftest)
  }

  /// Writes the whole stream of a run that cannot start because its input is wrong: one failing result.
  ///
  /// - Returns: the status that the process should exit with.
  public static func reportInputError(
    _ name: String, message: String, status: ExitStatus = .badInput, output: @escaping (String) -> Bool
  ) -> ExitStatus {
    let writer = TAPWriter(plan: 1, progress: TAPProgress(nil), output: output)
    writer.report(TAPResult(name, .error, details: [message]))
    writer.finish()
    return status
  }

  /// As above, on a file descriptor.
  public static func reportInputError(
    _ name: String, message: String, status: ExitStatus = .badInput, fileDescriptor: Int32 = STDOUT_FILENO
  ) -> ExitStatus {
    let output = LineOutput(descriptor: fileDescriptor)
    return reportInputError(name, message: message, status: status) { output.write($0) }
  }

  private func emit(_ line: String) {
    progress.clear()
    if !output(line + "\n") { isOutputLost = true }
  }
}
