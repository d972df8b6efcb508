// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// Which contract an implementation other than the kit's keeps.
public enum ForeignContract: Hashable, Sendable {
  /// That of Linux's generic algorithms.
  case generic
  /// That of drivers' own code.
  case driver
  /// That of the IOMMU API, with errors of its own.
  case own
}

extension Selftests {
  /// The tests of an implementation other than the kit's, of one format. What the suite has for the format and the
  /// implementation lacks is there, too, as a test that is skipped.
  ///
  /// - Parameters:
  ///   - format: the format's name.
  ///   - contract: what its operations return.
  ///   - own: configurations of the implementation's own, for formats that the kit does not know.
  ///   - golden: the golden files.
  ///   - library: the specifications; those that were added make formats known, too.
  ///   - choose: those of the suite's configurations that the implementation has.
  public static func foreign(
    format: String, _ contract: ForeignContract, configurations own: [String], golden: GoldenSource?,
    library: SpecificationLibrary, choose: ([Configuration]) -> [Configuration]
  ) -> [Selftest] {
    let laws = (own.isEmpty ? [format] : own).map(LawTests.test)
    guard let entry = try? library.entry(named: format) else { return laws }
    let isAdded = library.hasAdded(format)
    let all = entry.testConfigurations
    let known = choose(all)
    let missing = all.filter { !known.contains($0) }
    let vectors = (golden.map(GoldenTests.tests) ?? []).filter { test in
      test.configuration == format || test.configuration.hasPrefix("\(format):")
    }
    let themes: [SelftestTheme] = [.walker, .semantics, .events, .allocfail, .compare, .concurrency]
    let tests = themes.flatMap { theme in
      self.tests(theme, known, contract, library) + (isAdded && theme == .walker ? laws : [])
        + missing.map { gap("\(theme.rawValue).\($0.slug)", theme, .noSuchSide, "\($0)") }
    }
    // That an added specification agrees with itself is tested where the kit's own tests do not.
    let roundtrip =
      isAdded
      ? all.flatMap(RoundTripTests.tests)
      : [gap("roundtrip.\(format)", .roundtrip, .target, "golden vectors and walks see its words")]
    return vectors + roundtrip + tests
      + IOVAStressTests.foreignTests(known, isBound: contract != .own)
  }

  private static func tests(
    _ theme: SelftestTheme, _ configurations: [Configuration], _ contract: ForeignContract,
    _ library: SpecificationLibrary
  ) -> [Selftest] {
    switch theme {
    case .walker: configurations.flatMap(WalkerTests.tests)
    case .semantics: SemanticsTests.tests(configurations) { try FormatShape($0, library.format($0)) }
    case .events: configurations.flatMap(EventTests.tests) + configurations.flatMap(GatherTests.tests)
    case .allocfail: configurations.flatMap(AllocationFailureTests.tests)
    case .compare where contract == .own:
      // Comparisons know the differences of Linux's generic page table from other code, and of no other code.
      configurations.prefix(1).map {
        gap("compare.\($0.format)", .compare, .target, "what it does with mistakes is its own")
      }
    case .compare: CompareTests.foreignTests(configurations, isDriver: contract == .driver)
    case .concurrency: configurations.flatMap(ConcurrencyTests.tests)
    case .golden, .roundtrip, .iovaStress: []
    }
  }

  /// A test that is not run, which shows that it is missing.
  static func gap(_ name: String, _ theme: SelftestTheme, _ reason: SkipReason, _ detail: String) -> Selftest
  {
    Selftest(name: name, theme, configuration: "") { _ in .skip(reason, detail: detail) }
  }
}
