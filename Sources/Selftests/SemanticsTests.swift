// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable

/// One rule of map and unmap, by name.
struct SemanticsCase: Sendable {
  /// The last word of the test's name.
  let name: String
  /// Whether a configuration can show it.
  let applies: @Sendable (FormatShape) -> Bool
  /// What the target must be able to do.
  let needs: TargetCapabilities
  /// What becomes of empty tables.
  let reclaim: Reclaim
  /// Whether requests that damage a target are kept from it.
  let isGuarded: Bool
  /// Shows it on a new page table; throws what is wrong.
  let body: @Sendable (Session) throws -> SelftestOutcome

  init(
    _ name: String, if applies: @escaping @Sendable (FormatShape) -> Bool = { _ in true },
    needs: TargetCapabilities = [], reclaim: Reclaim = .never, isGuarded: Bool = true,
    body: @escaping @Sendable (Session) throws -> Void
  ) {
    self.init(known: name, if: applies, needs: needs, reclaim: reclaim, isGuarded: isGuarded) { session in
      try body(session)
      return .pass
    }
  }

  /// A rule that the target may break in a known way.
  init(
    known name: String, if applies: @escaping @Sendable (FormatShape) -> Bool = { _ in true },
    needs: TargetCapabilities = [], reclaim: Reclaim = .never, isGuarded: Bool = true,
    body: @escaping @Sendable (Session) throws -> SelftestOutcome
  ) {
    self.name = name
    self.applies = applies
    self.needs = needs
    self.reclaim = reclaim
    self.isGuarded = isGuarded
    self.body = body
  }
}

/// The rules of map and unmap, each by name, as Linux 7.3's generic page table has them. On drivers' own code the same
/// operations have the results of that code; those that its contract leaves open are not run.
enum SemanticsTests {
  static let cases =
    SizeCases.all + BusyCases.all + UnmapCases.all + TableCases.all + BoundaryCases.all + ErrorCases.all
    + DirtyCases.all + SyncCases.all

  /// Tests for one configuration of each shape: what else differs changes words, not rules.
  static func tests(
    _ configurations: [Configuration],
    shape: (Configuration) throws -> FormatShape = { try FormatShape($0) }
  ) -> [Selftest] {
    var seen: Set<FormatShape> = []
    return configurations.flatMap { configuration -> [Selftest] in
      guard let shape = try? shape(configuration), seen.insert(shape).inserted else { return [] }
      return tests(configuration, shape)
    }
  }

  /// Which cases a configuration can show is known from its shape, without its reference.
  private static func tests(_ configuration: Configuration, _ shape: FormatShape) -> [Selftest] {
    cases.filter { $0.applies(shape) }.map { semantics in
      Selftest(.semantics, [configuration.slug, semantics.name], configuration: configuration) { context in
        try context.target.require(semantics.needs)
        let subject = try context.subject(configuration)
        var options = subject.options
        options.reclaim = semantics.reclaim
        options.isGuarded = semantics.isGuarded
        let session = try Session(subject, context.target, options)
        let outcome = try semantics.body(session)
        try session.checkAll()
        return session.outcome(outcome)
      }
    }
  }
}
