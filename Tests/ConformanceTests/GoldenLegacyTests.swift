// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@testable import Conformance

/// Cases of legacy behaviour bind the drivers' own code of their era.
@Suite struct GoldenLegacyTests {
  static let text = """
    golden 1
    source Linux 7.3 tiny.c
    behaviour legacy
    format tiny
    config bits=39

    case map-unmap
    map 0x1000 0x5000 0x3000 r => ok
    unmap 0x2000 0x1000 => 0x1000
    phys 0x2000 => none
    image
    T0 L2 [0x0] 0x2 -> T1
    T1 L1 [0x0] 0x2 -> T2
    T2 L0 [0x1] 0x5009
    T2 L0 [0x3] 0x7009
    tables 3
    end

    """

  func report(
    _ text: String = text, legacy: TinyDefect = .none, generic: TinyDefect = .none
  ) throws -> GoldenItemReport {
    var environment = Tiny.environment(defect: generic)
    environment.legacy = Tiny.legacy(legacy)
    return try #require(try Tiny.check(text, environment).first)
  }

  @Test func bothImplementationsAreBound() throws {
    let report = try report()
    #expect(report.outcome == .pass)
    #expect(report.bindsBoth)
    #expect(GoldenTally([report]).summary.contains("1 of legacy code bind the generic code, too"))
  }

  static let wrong: [(String, String, String)] = [
    (
      "0x3000 r => ok", "0x3000 r => EEXIST",
      "legacy: map 0x1000 0x5000 0x3000 r: expected 'EEXIST', found 'ok'"
    ),
    ("=> 0x1000", "=> 0x1000  ! warn", "legacy: unmap 0x2000 0x1000: expected a warning"),
    ("0x5009", "0x500d", "legacy: T2 L0 [0x1]: expected 0x500d, found 0x5009"),
    ("tables 3", "tables 4", "legacy: expected 4 pages of tables, found 3"),
  ]

  @Test(arguments: 0..<wrong.count) func aWrongExpectationIsFound(_ index: Int) throws {
    let (right, wrong, detail) = Self.wrong[index]
    let report = try report(Self.text.replacing(right, with: wrong))
    #expect(report.outcome == .fail)
    #expect(report.details.contains(detail), "\(report.details)")
  }

  @Test func aDefectOfEitherSideIsFound() throws {
    #expect(try report(legacy: .leafBit(1 << 60)).outcome == .fail)
    #expect(try report(legacy: .warns).outcome == .fail)
    #expect(try report(generic: .leafBit(1 << 60)).outcome == .fail)
    // Where the generic code returns something else, the image of legacy code is nothing to it.
    let other = try report(Self.text.replacing("0x5000 0x3000 r => ok", with: "0x5000 0x3000 r => EEXIST"))
    #expect(!other.bindsBoth)
  }

  @Test func anEraWithoutAModelBindsNothing() throws {
    for text in [
      Self.text.replacing("bits=39", with: "va=39 era=6.12"),
      Self.text.replacing("7.3 tiny", with: "6.12.107 tiny"),
    ] {
      #expect(try report(text, legacy: .warns).outcome == .skip(.notBound))
    }
  }

  @Test func aConfigurationThatTheDriverDoesNotHaveFails() throws {
    #expect(try report(Self.text.replacing("bits=39", with: "bits=99")).outcome == .fail)
  }
}
