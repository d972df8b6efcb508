// SPDX-License-Identifier: GPL-2.0-only

import LegacyPT
import PageTable
import Testing

@testable import Conformance

/// Two vocabularies for the same page tables.
@Suite struct LegacyVocabularyTests {
  static let pairs: [(generic: String, legacy: [String])] = [
    ("amdv1", ["amdv1"]),
    ("amdv1:features=dynamic_top+flush_range+force_coherence+encrypt_tables,cbit=47", ["amdv1:cbit=47"]),
    ("x86_64", ["x86_64", "x86_64:use=vtdfs"]),
    ("x86_64:va=57,level=4", ["x86_64:levels=5", "x86_64:use=vtdfs,levels=5"]),
    (
      "x86_64:features=flush_range+dma_incoherent+sign_extend", ["x86_64:use=vtdfs,coherent=0"]
    ),
    ("vtdss", ["vtdss"]),
    ("vtdss:va=39,level=2,features=flush_range+force_coherence", ["vtdss:levels=3,snoop=1"]),
    ("riscv64:va=57", ["riscv64:levels=5"]),
    (
      "armv8:stage=2,granule=16k,ias=40,oas=44",
      [
        "armv8:stage=2,granule=16k,ias=40,oas=44", "armv8:stage=2,granule=16k,ias=40,oas=44,era=6.12",
      ]
    ),
    ("dart:version=2,oas=42", ["dart:version=2,oas=42"]),
    (
      "armv7s:quirks=no_perms+mtk_ext,oas=35",
      [
        "armv7s:oas=35,quirks=no_perms+mtk_ext", "armv7s:oas=35,quirks=no_perms+mtk_ext,era=6.12",
      ]
    ),
  ]

  @Test(arguments: 0..<pairs.count) func genericConfigurationsHaveDrivers(_ index: Int) throws {
    let (generic, legacy) = Self.pairs[index]
    let found = try LegacyVocabulary.legacy(of: try FormatList.configuration(generic))
    #expect(found.map(\.slug) == (try legacy.map { try LegacyList.configuration($0).slug }))
  }

  /// A driver's configuration means the same after a way through the generic words.
  @Test func driversConfigurationsComeBack() throws {
    var returned = 0
    for legacy in LegacyList.testConfigurations {
      guard let generic = LegacyVocabulary.generic(of: legacy) else { continue }
      let back = try LegacyVocabulary.legacy(of: generic)
      #expect(back.contains { $0.slug == legacy.slug }, "\(legacy) is \(generic), which is \(back)")
      returned += 1
    }
    #expect(returned > 50)
  }

  @Test(arguments: [
    "amdv1:va=48", "amdv1:features=dynamic_top", "amdv1_mock", "vtdss:features=force_writeable",
    "vtdss:va=40,level=3", "riscv64:features=sign_extend+svpbmt", "x86_64:features=flush_range",
  ]) func someHaveNoDriver(_ text: String) throws {
    let schema = try FormatList.entry(named: String(text.prefix { $0 != ":" })).schema
    let pairs = text.split(separator: ":").dropFirst().flatMap { $0.split(separator: ",").map(String.init) }
    let configuration = try schema.configuration(pairs, permissive: true)
    #expect(throws: ConfigurationError.self) { try LegacyVocabulary.legacy(of: configuration) }
  }

  @Test(arguments: ["vtdss:superpages=1", "vtdss:ias=42", "amdv1:pgsizes=0x1000"])
  func someHaveNoGenericWords(_ text: String) throws {
    #expect(LegacyVocabulary.generic(of: try LegacyList.configuration(text)) == nil)
  }

  @Test func textInEitherVocabularyIsRead() throws {
    #expect(try LegacyVocabulary.configuration("vtdss:levels=3").number("levels") == 3)
    #expect(try LegacyVocabulary.configuration("vtdss:va=39,level=2").number("levels") == 3)
    #expect(throws: ConfigurationError.self) { try LegacyVocabulary.configuration("vtdss:height=3") }
    #expect(throws: ConfigurationError.self) { try LegacyVocabulary.configuration("vtdsss") }
  }
}
