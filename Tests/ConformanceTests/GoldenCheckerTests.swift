// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import ReferenceSpecs
import Testing

@testable import Conformance

@Suite struct GoldenCheckerTests {
  @Test func aRightImplementationPasses() throws {
    let reports = try Tiny.check(Tiny.text)
    #expect(reports.map(\.outcome) == [.pass, .pass, .pass, .pass])
    #expect(reports.allSatisfy { $0.details.isEmpty })
    #expect(
      reports.map(\.location) == ["tiny.golden:8", "tiny.golden:9", "tiny.golden:10", "tiny.golden:12"])
  }

  /// Every bit of every word of an image and of every entry.
  @Test func oneFlippedBitOfAnExpectedWordIsFound() throws {
    let lines = Tiny.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for (number, line) in lines.enumerated() where line.hasPrefix("T") || line.contains(" = 0x") {
      var words = line.split(separator: " ").map(String.init)
      let position = try #require(line.hasPrefix("T") ? 3 : words.firstIndex(of: "=").map { $0 + 1 })
      let value = try #require(Numbers.parse(words[position]))
      for bit in 0..<64 {
        words[position] = Numbers.hex(value ^ 1 << UInt64(bit))
        var changed = lines
        changed[number] = words.joined(separator: " ")
        let failed = try Tiny.check(changed.joined(separator: "\n")).filter { $0.outcome == .fail }
        #expect(failed.count == 1, "\(changed[number])")
      }
    }
  }

  static let wrong: [(String, String, String)] = [
    (
      "0x3000 r => ok", "0x3000 r => EINVAL",
      "results: map 0x1000 0x5000 0x3000 r: expected 'EINVAL', found 'ok'"
    ),
    ("=> 0x1000  !", "=> 0x2000  !", "results: unmap 0x2000 0x1000: expected '0x2000', found '0x1000'"),
    (
      "..0x2fff", "..0x3fff",
      "notes: unmap 0x2000 0x1000: expected '! sync 0x2000..0x3fff', found '! sync 0x2000..0x2fff'"
    ),
    (
      "0x2000..0x2fff", "0x2000..0x2fff free=1",
      "notes: unmap 0x2000 0x1000: expected '! sync 0x2000..0x2fff free=1', found '! sync 0x2000..0x2fff'"
    ),
    (
      "  ! sync 0x2000..0x2fff", "",
      "notes: unmap 0x2000 0x1000: expected no note, found '! sync 0x2000..0x2fff'"
    ),
    ("phys 0x2000 => none", "phys 0x2000 => 0x6000", "results: phys 0x2000: expected '0x6000', found 'none'"),
    ("tables 5", "tables 6", "tables: expected 6 pages of tables, found 5"),
    ("[0x1] 0x5009", "[0x1] 0x500b", "image: T2 L0 [0x1]: expected 0x500b, found 0x5009"),
    ("[0x3] 0x7009", "[0x4] 0x7009", "image: T2 L0 [0x3]: expected 0x0, found 0x7009"),
    ("[0x0] 0x2 -> T2", "[0x0] 0x2 -> T2\nT1 L1 [0x9] 0x1", "image: T1 L1 [0x9]: expected 0x1, found 0x0"),
  ]

  @Test(arguments: 0..<wrong.count) func aWrongExpectationIsFound(_ index: Int) throws {
    let (right, wrong, detail) = Self.wrong[index]
    let report = try #require(try Tiny.check(Tiny.text.replacing(right, with: wrong)).last)
    #expect(report.outcome == .fail)
    #expect(report.details.contains(detail), "\(report.details)")
  }

  @Test func theReferenceSeesWhatTheImplementationHides() throws {
    func findings(_ defect: TinyDefect) throws -> String {
      let report = try #require(try Tiny.check(Tiny.text, Tiny.environment(defect: defect)).last)
      #expect(report.outcome == .fail)
      return report.details.joined(separator: "\n")
    }
    let image = try GoldenFile(text: Tiny.text, path: "f").sections[0].cases[0].image
    #expect(
      try findings(.leafBit(1 << 60)) == "image: T2 L0 [0x1]: expected 0x5009, found 0x1000000000005009")
    #expect(try findings(.pointer).contains("walk: 0x1000 is mapped, the walk ends with a fault"))
    #expect(try findings(.removesTooMuch).contains("walk: 0x3000 is mapped"))
    #expect(try findings(.writable).contains("walk: 0x1000 is mapped r, the walk ends with 0x5000 rw"))
    // An image made up by the implementation does not help it when the memory holds something else.
    let text = Tiny.text.replacing("unmap 0x2000 0x1000 => 0x1000  ! sync 0x2000..0x2fff\n", with: "")
      .replacing("phys 0x2000 => none", with: "phys 0x2000 => 0x6000")
    let report = try #require(try Tiny.check(text, Tiny.environment(defect: .lyingImage(image))).last)
    #expect(
      report.details == [
        "reference: image as the reference reads it: T2 L0 [0x2]: expected 0x0, found 0x6009"
      ])
  }

  @Test func tablesStandWhereTheWalkerReachesThem() throws {
    var bases: [UInt64] = []
    for width in [52, 34, 33, 32] {
      var environment = Tiny.environment(reference: TinyReference(outputWidth: width))
      let makeTable = environment.makeTable
      environment.makeTable = {
        bases.append($1)
        return try makeTable($0, $1)
      }
      #expect(try Tiny.check(Tiny.text, environment).last?.outcome == .pass)
    }
    #expect(bases == [0x2_0000_0000, 0x2_0000_0000, 0x1_0000_0000, 0x8000_0000])
  }

  @Test func theReferenceMustEncodeTheSamePointers() throws {
    let reference = TinyReference(wrongTableBit: 1 << 20)
    let reports = try Tiny.check(Tiny.text, Tiny.environment(reference: reference))
    #expect(reports[1].details == ["reference: expected 0x7002, found 0x107002"])
    #expect(reports[3].details.first?.hasPrefix("reference: pointer to the table at 0x200001000") == true)
  }

  @Test func everyEncoderIsBoundByEntries() throws {
    let environment = Tiny.environment(encoder: TinyReference(wrongTableBit: 4))
    #expect(try Tiny.check(Tiny.text, environment)[1].details == ["entry: expected 0x7002, found 0x7006"])
  }

  @Test func lookupsAreWalked() throws {
    // The implementation and the vector agree on something that no walk can confirm.
    struct Blind: GoldenReference {
      var base = TinyReference()
      var encodesAccessed: Bool { true }
      var outputWidth: Int { 52 }
      var wordBytes: Int { 8 }
      func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? { base.encodeLeaf(leaf) }
      func encodeTable(level: Int, address: UInt64) -> UInt64? {
        base.encodeTable(level: level, address: address)
      }
      func wordCount(level: Int, isRoot: Bool) -> Int { 512 }
      func classify(_ word: UInt64, level: Int) -> WordKind { base.classify(word, level: level) }
      func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> GoldenTranslation {
        .fault("blind")
      }
    }
    var environment = Tiny.environment()
    environment.reference = { _ in Blind() }
    let report = try #require(try Tiny.check(Tiny.text, environment).last)
    #expect(report.details.contains("walk: lookup of 0x3004 gives 0x7004, the walk ends with a fault: blind"))
  }

  @Test func withoutAnInvalidationLogNotesDoNotBind() throws {
    let text = Tiny.text.replacing("..0x2fff", with: "..0x3fff")
    #expect(try Tiny.check(text, Tiny.environment(keepsNotes: false)).last?.outcome == .pass)
  }

  // MARK: Who is bound

  @Test func legacyCasesBindOnlyWhereResultsAgree() throws {
    let legacy = Tiny.text.replacing("behaviour generic", with: "behaviour legacy")
    #expect(try Tiny.check(legacy).map(\.outcome) == [.pass, .pass, .pass, .pass])
    func last(_ right: String, _ wrong: String) throws -> GoldenItemReport {
      try #require(try Tiny.check(legacy.replacing(right, with: wrong)).last)
    }
    #expect(try last("tables 5", "tables 9").outcome == .pass)
    #expect(try last("..0x2fff", "..0x3fff").outcome == .pass)
    #expect(try last("[0x1] 0x5009", "[0x1] 0x500d").outcome == .fail)
    #expect(try last("r => ok", "r => EEXIST").outcome == .skip(.resultsDiffer))
    #expect(try last("! sync 0x2000..0x2fff", "! warn").outcome == .skip(.resultsDiffer))
    #expect(try last("va=39", "va=39 era=6.12").outcome == .skip(.notBound))
    #expect(try last("va=39", "va=39 era=7.3").outcome == .pass)
    #expect(try last("Linux 7.3", "Linux 6.12.107").outcome == .skip(.notBound))
    #expect(try last("Linux 7.3", "Linux 7.30").outcome == .skip(.notBound))
    #expect(try last("va=39", "levels=4 coherent=0").outcome == .skip(.configuration))
    #expect(try last("format tiny", "format dart").details == ["dart:va=39: unknown format 'dart'"])
  }

  @Test func entriesBindWhateverTheBehaviour() throws {
    let legacy = Tiny.text.replacing("behaviour generic", with: "behaviour legacy")
      .replacing("va=39", with: "va=39 era=6.12").replacing("= 0x500d", with: "= 0x500f")
    #expect(try Tiny.check(legacy).first?.outcome == .fail)
  }

  @Test func anUnknownConfigurationOfGenericVectorsFails() throws {
    let reports = try Tiny.check(Tiny.text.replacing("va=39", with: "va=99"))
    #expect(reports.allSatisfy { $0.outcome == .fail })
    #expect(reports.last?.details.first?.hasPrefix("configuration: tiny:va=99: tiny: 'va' takes") == true)
  }

  @Test func accessedEntriesDoNotBindAnEncoderWithoutThem() throws {
    struct Deaf: GoldenEncoder {
      var encodesAccessed: Bool { false }
      func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? { TinyReference().encodeLeaf(leaf) }
      func encodeTable(level: Int, address: UInt64) -> UInt64? { nil }
    }
    var environment = Tiny.environment()
    environment.encoder = { _ in Deaf() }
    let text = Tiny.text.replacing("prot=rw = 0x500d", with: "prot=rw accessed = 0x501d")
    #expect(try Tiny.check(text, environment).first?.outcome == .pass)
    let wrong = text.replacing("0x501d", with: "0x500d")
    #expect(try Tiny.check(wrong, environment).first?.details == ["reference: expected 0x500d, found 0x501d"])
  }

  // MARK: The kit's own witnesses

  @Test func theKitChecksItself() throws {
    let text = """
      golden 1
      source Linux 7.3 drivers/iommu/generic_pt
      behaviour generic
      format amdv1
      config va=64 oa=52 level=2 features=dynamic_top+force_coherence
      case drv-unmap-461
      map 0x0 0x1000 0x600000 rw => ok
      unmap 0x1000 0x5ff000 => 0x5ff000  ! sync 0x1000..0x5fffff free=2
      phys 0x0 => 0x1000
      image
      T0 L2 [0x0] 0x6000000000000401 -> T1
      T1 L1 [0x0] 0x6000000000000201 -> T2
      T2 L0 [0x0] 0x7000000000001001
      tables 3
      end
      """
    #expect(try Tiny.check(text, .kit(.embedded)).map(\.outcome) == [.pass])
    #expect(
      try Tiny.check(text.replacing("free=2", with: "free=1"), .kit(.embedded)).map(\.outcome) == [.fail])
    #expect(
      try Tiny.check(text.replacing("0x7000000000001001", with: "0x5000000000001001"), .kit(.embedded)).map(
        \.outcome)
        == [.fail])
  }

  /// Tables that no pointer reaches must not be used: they end early at the top of the address field, and a
  /// base that is beyond it, or contains the encryption bit, is refused.
  @Test func tableMemoryEndsWhereNoPointerReaches() throws {
    func report(_ base: String, _ config: String = "") throws -> GoldenItemReport {
      let text = """
        golden 1
        source by hand
        behaviour generic
        format x86_64
        config \(config)
        memory base=\(base)
        case everything
        map 0 0x1000 16G rw => ENOMEM  ! sync 0..0x1f9fffff free=253
        map 0 0 4K rw => ok
        image
        T0 L3 [0] 0x27 -> T1
        T1 L2 [0] 0x27 -> T2
        T2 L1 [0] 0x27 -> T3
        T3 L0 [0] 0x67
        end
        """
      return try #require(try Tiny.check(text, .kit(.embedded)).first)
    }
    // The map takes all 256 tables that are left and then fails as it should.
    #expect(try report("0xffffffff00000").outcome == .pass)
    let refused = try report("0x800000000000", "va=47 features=encrypt_tables cbit=47")
    #expect(refused.outcome == .fail && refused.details.first?.contains("beyond the reach") == true)
  }
}
