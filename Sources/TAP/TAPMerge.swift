// SPDX-License-Identifier: GPL-2.0-only

/// Results of nested streams made flat: each gets the names of the suites and tests that it is in, joined by dots.
///
/// Only results that sum up no others are counted; one that does shows where it says more than these. Whatever should be there
/// and is not becomes a failing result.
public struct TAPMerge {
  /// The results so far, with names that differ in all consumers' eyes.
  public private(set) var results: [TAPResult] = []
  /// Whether results that passed keep the comments before them.
  public var keepsComments = false

  private var names: Set<String> = []
  private static let mostMissing = 1000

  public init() {}

  /// Adds the results of a document, below a prefix in the grammar of `TAPName` where one is given.
  public mutating func add(_ document: KTAPDocument, prefix: String? = nil) {
    for stream in document.streams {
      var path = prefix.map { [$0] } ?? []
      if let name = stream.name { path += Self.words(name) }
      let before = results.count
      add(stream, path: path)
      if results.count == before {
        // Its plan is of no results.
        let why = stream.planRemark.isEmpty ? [] : ["plan: \(stream.planRemark)"]
        append(path.isEmpty ? ["all"] : path, .skip, why)
      }
    }
  }

  /// The words of a name: `selftests: iommu: iommufd` gives `iommu` and `iommufd`, and so does `/iommu/iommufd`.
  static func words(_ name: String) -> [String] {
    if TAPName.isValid(name) { return [name] }
    var parts = [name[...]]
    if let rest = name[...].after("selftests: ") { parts = rest.split(separator: ": ") }
    if name.hasPrefix("/"), name.count > 1 { parts = name.split(separator: "/") }
    return parts.map { part in
      let words = part.split(separator: ".").map { short(TAPName.word($0)) }
      return words.isEmpty ? "-" : words.joined(separator: ".")
    }
  }

  /// A word with one dash for each run of them, and none at its ends.
  private static func short(_ word: String) -> String {
    let parts = word.split(separator: "-")
    return parts.isEmpty ? "-" : parts.joined(separator: "-")
  }

  // MARK: Streams

  private mutating func add(_ stream: KTAPStream, path: [String]) {
    for (index, result) in stream.results.enumerated() {
      let name = result.name.isEmpty ? ["\(result.number ?? index + 1)"] : Self.words(result.name)
      add(result, path: path + name)
    }
    if let reason = stream.bailOut {
      append(path + ["bail_out"], .error, ["the test bails out: \(reason.isEmpty ? "no reason" : reason)"])
    }
    addMissing(of: stream, path: path)
    if !stream.problems.isEmpty { append(path + ["stream"], .error, stream.problems) }
  }

  private mutating func addMissing(of stream: KTAPStream, path: [String]) {
    let numbers = stream.missingNumbers(limit: Self.mostMissing)
    let plan =
      stream.plan.map { "the plan announces \($0) results" }
      ?? "the stream that starts at line \(stream.line) has later ones"
    for number in numbers {
      append(path + ["missing_result", "\(number)"], .error, ["there is no result \(number); \(plan)"])
    }
    let rest = stream.missingCount - numbers.count
    if rest > 0 { append(path + ["missing_results"], .error, ["\(rest) more results are missing; \(plan)"]) }
  }

  private mutating func add(_ result: KTAPResult, path: [String]) {
    guard let children = result.children else { return append(path, result.outcome, details(of: result)) }
    let before = results.count
    add(children, path: path)
    if results.count == before {
      // Nothing ran.
      let isSkip = result.outcome == .pass && children.plan == 0
      let why = children.planRemark.isEmpty ? [] : ["plan: \(children.planRemark)"]
      return append(path, isSkip ? .skip : result.outcome, details(of: result) + why)
    }
    switch result.outcome {
    case .error, .xpass: append(path, result.outcome, details(of: result))
    case .fail where results[before...].allSatisfy(\.outcome.isOK):
      append(
        path, .fail, details(of: result) + ["line \(result.line) says not ok, and nothing below it failed"])
    case .fail, .pass, .xfail, .skip: break
    }
  }

  // MARK: Results

  private func details(of result: KTAPResult) -> [String] {
    var details: [String]
    switch result.outcome {
    case .pass: details = keepsComments ? result.comments : []
    case .skip, .xfail: details = result.comments
    case .fail, .xpass, .error: details = result.log + result.comments.filter { !result.log.contains($0) }
    }
    // A reason may differ from run to run, and what follows a directive is part of a test's name to some consumers.
    if let directive = result.directive, !directive.reason.isEmpty {
      details.append("\(directive.word.rawValue.lowercased()): \(directive.reason)")
    }
    return details
  }

  private mutating func append(_ path: [String], _ outcome: TAPOutcome, _ details: [String]) {
    let wanted = path.joined(separator: ".")
    var (name, count) = (wanted, 1)
    while !names.insert(TAPName.identity(name)).inserted {
      count += 1
      name = "\(wanted)-\(count)"
    }
    let repeated = count > 1 ? ["result \(count) of the name \(wanted)"] : []
    results.append(TAPResult(name, outcome, details: details + repeated))
  }
}

extension KTAPDocument {
  /// The results, flat, below a prefix in the grammar of `TAPName` where one is given.
  public func results(prefix: String? = nil) -> [TAPResult] {
    var merge = TAPMerge()
    merge.add(self, prefix: prefix)
    return merge.results
  }
}
