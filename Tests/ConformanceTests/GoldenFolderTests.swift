// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import PageTable
import ReferenceSpecs
import Testing

@testable import Conformance

/// The vectors in the folder Golden, checked as `make check` does, and the proof that a wrong bit in any of
/// its files is found.
@Suite struct GoldenFolderTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Golden").path
  static let paths = (try? GoldenPaths.expand([folder])) ?? []

  @Test func thereAreFiles() {
    #expect(Self.paths.count > 10)
  }

  @Test(arguments: paths) func aFlippedBitInAFileIsFound(_ path: String) throws {
    let file = try GoldenFile(contentsOf: path)
    let divergences = try Divergences(contentsOf: "\(Self.folder)/DIVERGENCES.md")
    var found = 0
    var generator = SplitMix(state: UInt64(path.utf8.count))
    for section in Self.sample(file.sections) {
      for picked in Self.picks(section) {
        func outcome(_ section: GoldenSection) -> GoldenOutcome? {
          var plan = GoldenPlan()
          plan.add(GoldenFile(path: path, sections: [section]), environment: .kit(.embedded))
          let checker = GoldenChecker(environment: .kit(.embedded), divergences: divergences)
          return checker.check(plan).first?.outcome
        }
        // Items that do not bind or are known to diverge prove nothing.
        guard outcome(picked) == .pass else { continue }
        guard let flipped = Self.flipped(picked, &generator) else { continue }
        #expect(outcome(flipped) == .fail, "\(path): \(flipped.cases.first?.name ?? "entry")")
        found += 1
      }
    }
    #expect(found > 0, "\(path)")
  }

  @Test func everyDivergenceNamesCases() throws {
    let divergences = try Divergences(contentsOf: "\(Self.folder)/DIVERGENCES.md")
    var names: Set<String> = []
    for path in Self.paths where path.contains("case") || path.contains("linux") {
      for section in try GoldenFile(contentsOf: path).sections { names.formUnion(section.cases.map(\.name)) }
    }
    for row in divergences.rows where row.condition == nil {
      let pattern = row.pattern.split(separator: "/").last.map(String.init) ?? ""
      #expect(names.contains { Divergences.matches($0, pattern: pattern) }, "\(row.pattern)")
    }
  }

  /// Up to three members: the first, the middle, the last.
  private static func sample<Element>(_ all: [Element]) -> [Element] {
    all.count <= 3 ? all : [all[0], all[all.count / 2], all[all.count - 1]]
  }

  /// Sections of one item each.
  private static func picks(_ section: GoldenSection) -> [GoldenSection] {
    let entries = sample(section.entries.filter { $0.word != nil }).map { entry in
      var picked = section
      picked.entries = [entry]
      picked.cases = []
      return picked
    }
    // Of the cases with words, so that there is a bit to flip.
    let cases = sample(section.cases.filter { !$0.image.words.isEmpty }).map { item in
      var picked = section
      picked.entries = []
      picked.cases = [item]
      return picked
    }
    return entries + cases
  }

  /// The section with one bit of one expected word changed.
  private static func flipped(_ section: GoldenSection, _ generator: inout SplitMix) -> GoldenSection? {
    var section = section
    let bit = UInt64(1) << UInt64.random(in: 0..<64, using: &generator)
    if let word = section.entries.first?.word {
      section.entries[0].word = word ^ bit
    } else if let count = section.cases.first?.image.words.count {
      let index = Int.random(in: 0..<count, using: &generator)
      section.cases[0].image.words[index].value ^= bit
    } else {
      return nil
    }
    return section
  }
}

/// A small generator of repeatable random numbers.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
