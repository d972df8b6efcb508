// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import PageTable
import Reference

/// Why a test was not run: the fixed, short reasons that test results may show.
public enum SkipReason: String, Hashable, Sendable, CaseIterable {
  /// The target cannot do what the test needs; the detail says what.
  case target = "not supported by the target"
  /// The vectors bind another implementation or Linux version.
  case notBound = "not bound"
  /// A legacy vector whose operations have other results on the target.
  case resultsDiffer = "results differ"
  /// A vector of a configuration that the target does not have.
  case configuration = "configuration"
  /// Golden files are not where they are looked for.
  case goldenFiles = "no golden files"
  /// What the contract of the IOMMU API leaves to the implementation, or forbids its callers.
  case undefined = "undefined by the contract"
  /// A configuration or a format that other code never had.
  case noSuchSide = "no such side"
}

/// How a test came out.
public enum SelftestOutcome: Hashable, Sendable {
  /// As it must be; `details` are lines worth printing all the same.
  case pass(details: [String])
  /// Not as it must be; lines that say what was expected, what was found, and how to see it again.
  case fail(details: [String])
  /// Not run.
  case skip(SkipReason, detail: String)
  /// It failed in a way that is known and explained.
  case xfail(detail: String)

  /// A pass about which there is nothing to say.
  public static var pass: SelftestOutcome { .pass(details: []) }

  /// Whether it is a failure.
  public var isFailure: Bool { if case .fail = self { true } else { false } }
}

/// The groups of tests; the raw value is the first word of their names.
public enum SelftestTheme: String, Hashable, Sendable, CaseIterable {
  case golden
  case roundtrip
  case walker
  case semantics
  case events
  case concurrency
  case allocfail
  case compare
  case iovaStress = "iova_stress"
}

/// One test: one point of the results.
public struct Selftest: Sendable {
  /// `THEME.CONFIGURATION[.CASE]`: words of `[A-Za-z0-9_-]` joined by dots, the same in every release.
  public let name: String
  /// The group it belongs to.
  public let theme: SelftestTheme
  /// The configuration it runs on, as text; empty where it has none.
  public let configuration: String
  private let body: @Sendable (SelftestContext) throws -> SelftestOutcome

  init(
    _ theme: SelftestTheme, _ words: [String], configuration: Configuration,
    body: @escaping @Sendable (SelftestContext) throws -> SelftestOutcome
  ) {
    let name = ([theme.rawValue] + words).joined(separator: ".")
    self.init(name: name, theme, configuration: configuration.description, body: body)
  }

  init(
    name: String, _ theme: SelftestTheme, configuration: String,
    body: @escaping @Sendable (SelftestContext) throws -> SelftestOutcome
  ) {
    self.name = name
    self.theme = theme
    self.configuration = configuration
    self.body = body
  }

  /// Runs the test; what it throws is a failure. A failure says how to run it again.
  public func run(_ context: SelftestContext) -> SelftestOutcome {
    let outcome = outcome(context)
    guard case .fail(let details) = outcome, theme != .golden else { return outcome }
    return .fail(details: details + ["ptkit selftest --seed \(Numbers.hex(context.seed)) \(name)"])
  }

  private func outcome(_ context: SelftestContext) -> SelftestOutcome {
    do {
      return try body(context)
    } catch let failure as SelftestFailure {
      return .fail(details: failure.details)
    } catch let open as UndefinedByContract {
      return .skip(.undefined, detail: open.detail)
    } catch let gap as TargetGap {
      return .skip(.target, detail: gap.description)
    } catch {
      return .fail(details: ["\(error)"])
    }
  }

  /// The line of a machine-readable list: name, theme and configuration, separated by tabs.
  public var listLine: String { "\(name)\t\(theme.rawValue)\t\(configuration)" }
}

/// What a test found wrong; ends the test.
struct SelftestFailure: Error {
  var details: [String]

  init(_ details: String...) { self.details = details }
  init(details: [String]) { self.details = details }
}

/// What the tests of one run have in common. To be used by one thread.
public final class SelftestContext {
  /// All random numbers follow from it.
  public let seed: UInt64
  /// What is tested.
  public let target: any TargetFactory
  /// The specifications for the reference.
  public let library: SpecificationLibrary
  /// How often a failing sequence of operations is tried with fewer of them.
  public let shrinkLimit: Int
  /// The reports of golden files that have been checked, by name.
  var goldenReports: [String: GoldenGroupReport] = [:]
  /// How often rules of comparisons applied, and the comparisons that were run, by name.
  var tally = RuleTally()
  var compared: Set<String> = []
  private var subjects: [Configuration: Subject] = [:]

  public init(
    seed: UInt64, target: any TargetFactory, library: SpecificationLibrary, shrinkLimit: Int = 600
  ) {
    self.seed = seed
    self.library = library
    self.target = target
    self.shrinkLimit = shrinkLimit
  }

  /// A configuration with all that tests need to know of it.
  ///
  /// - Throws: `SpecError` when the reference does not know it, `ConfigurationError` when it is refused.
  func subject(_ configuration: Configuration) throws -> Subject {
    if let known = subjects[configuration] { return known }
    let subject = try Subject(configuration, library.format(configuration))
    subjects[configuration] = subject
    return subject
  }
}
