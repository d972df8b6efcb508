// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import ReferenceSpecs
import Testing

@testable import Conformance

/// A vector that fails in one check, as a condition says.
struct DivergenceExample: Sendable, CustomTestStringConvertible {
  var condition: DivergenceCondition
  var format: String
  var config: String
  var behaviour = "generic"
  var item: String

  var testDescription: String { String(item.prefix { $0 != "\n" }) }

  var head: String {
    "golden 1\nsource Linux 7.3\nbehaviour \(behaviour)\nformat \(format)\nconfig \(config)\n"
  }

  var text: String { head + item + "\nend\n" }

  /// Whether images are equal for the condition also without a line of the expected one.
  func isOptional(_ line: String) -> Bool {
    condition == .onlyEmptyTablesDiffer && (line.hasSuffix("-> T1") || line.hasSuffix("-> T2"))
  }

  /// A table of divergences with one row for each condition.
  static func table(_ rows: [DivergenceCondition], format: String? = nil) -> String {
    let scope = format.map { "\($0)/" } ?? ""
    return "| case | check | reason |\n|---|---|---|\n"
      + rows.map { "| \(scope)\($0.rawValue) | \($0.check.rawValue) | Linux |\n" }.joined()
  }

  func report(
    text: String? = nil, rows: [DivergenceCondition]? = nil, format: String? = nil,
    environment: GoldenEnvironment = .kit(.embedded)
  ) throws -> GoldenItemReport {
    let divergences = try Divergences(
      text: Self.table(rows ?? [condition], format: format), path: "D.md")
    return try #require(try Tiny.check(text ?? self.text, environment, divergences: divergences).first)
  }
}

extension DivergenceExample {
  static let all = [
    overflow, encryptionBit, sizeCode, pastLowerHalf, unmapPastLowerHalf, lookupBelowUpperHalf, signBits,
    emptyTables, lackingBits,
  ]

  static let lackingBits = DivergenceExample(
    condition: .addressFieldLacksBits, format: "dart", config: "version=2 granule=4k oas=42",
    behaviour: "legacy",
    item: """
      case lacking-bits
      mappages 0x1000 0x123457000 0x1000 1 rw => ok 0x1000
      mappages 0x2000 0x3fffffff000 0x1000 1 r => ok 0x1000
      phys 0x1000 => 0x123454000
      image
      T0 L1 [0x0] 0x1 -> T1
      T1 L0 [0x1] 0xfff0012345403
      T1 L0 [0x2] 0xfff3ffffffc07
      """)

  static let overflow = DivergenceExample(
    condition: .outputRangeOverflows, format: "x86_64", config: "",
    item: """
      case overflow
      map 0x0 0xffffffffff000 0x2000 rw => ok
      phys 0x1fff => 0xfff
      image
      T0 L3 [0x0] 0x27 -> T1
      T1 L2 [0x0] 0x27 -> T2
      T2 L1 [0x0] 0x27 -> T3
      T3 L0 [0x0] 0xffffffffff067
      T3 L0 [0x1] 0x67
      """)

  static let encryptionBit = DivergenceExample(
    condition: .outputAddressHasEncryptionBit, format: "amdv1", config: "cbit=47",
    item: """
      case encryption-bit
      map 0x0 0xffffffffff000 0x1000 rw => ok
      map 0x1000 0x1000 0x1000 rw => ok
      phys 0xfff => 0xf7fffffffffff
      image
      T0 L2 [0x0] 0x6000800000000401 -> T1
      T1 L1 [0x0] 0x6000800000000201 -> T2
      T2 L0 [0x0] 0x700ffffffffff001
      T2 L0 [0x1] 0x7000800000001001
      """)

  static let sizeCode = DivergenceExample(
    condition: .sizeCodeCoversEncryptionBit, format: "amdv1", config: "cbit=47",
    item: """
      case size-code
      map 0xc000000000000 0x4000000000000 0x4000000000000 rw => ok  ! top level=4
      phys 0xc000000000000 => 0x5000000000000
      image
      T0 L4 [0x0] 0x6000800000000801 -> T1
      T0 L4 [0xc..0xf] 0x7005fffffffffe01
      T1 L3 [0x0] 0x6000800000000601 -> T2
      """)

  private static let sv39 = "va=39 features=sign_extend+flush_range+detailed_gather+svnapot_64k"

  static let pastLowerHalf = DivergenceExample(
    condition: .notCanonical, format: "riscv64", config: sv39,
    item: """
      case past-lower-half
      map 0x3ffffff000 0x1000 0x2000 rw => ok
      phys 0xffffffc000000000 => 0x2000
      phys 0xffffffc000001000 => none
      image
      T0 L2 [0xff] 0x1 -> T1
      T0 L2 [0x100] 0x1 -> T3
      T1 L1 [0x1ff] 0x1 -> T2
      T2 L0 [0x1ff] 0x4df
      T3 L1 [0x0] 0x1 -> T4
      T4 L0 [0x0] 0x8df
      """)

  static let unmapPastLowerHalf = DivergenceExample(
    condition: .notCanonical, format: "riscv64", config: sv39,
    item: """
      case unmap-past-lower-half
      map 0x1000 0x1000 0x1000 rw => ok
      map 0x3ffffff000 0x1000 0x1000 rw => ok
      map 0xffffffc000000000 0x2000 0x2000 rw => ok
      unmap 0x3ffffff000 0x2000 => 0x2000  ! sync 0x3ffffff000..0x4000000fff
      phys 0xffffffc000001000 => 0x3000
      image
      T0 L2 [0x0] 0x1 -> T1
      T0 L2 [0xff] 0x1 -> T3
      T0 L2 [0x100] 0x1 -> T5
      T1 L1 [0x0] 0x1 -> T2
      T2 L0 [0x1] 0x4df
      T3 L1 [0x1ff] 0x1 -> T4
      T5 L1 [0x0] 0x1 -> T6
      T6 L0 [0x1] 0xcdf
      """)

  static let lookupBelowUpperHalf = DivergenceExample(
    condition: .notCanonical, format: "riscv64", config: sv39,
    item: """
      case lookup-below-upper-half
      map 0x3ffffff000 0x1000 0x1000 rw => ok
      phys 0xffffffbffffff000 => 0x1000
      image
      T0 L2 [0xff] 0x1 -> T1
      T1 L1 [0x1ff] 0x1 -> T2
      T2 L0 [0x1ff] 0x4df
      """)

  static let signBits = DivergenceExample(
    condition: .signBitsAboveTop, format: "x86_64", config: "va=48 level=4",
    item: """
      case sign-bits
      map 0xffffffffffe00000 0x71445dea00000 0x200000 rw => ok
      map 0x1000 0x5000 0x1000 rw => ok
      phys 0xffffffffffffffff => 0x71445debfffff
      image
      T0 L4 [0x0] 0x27 -> T1
      T1 L3 [0x0] 0x27 -> T2
      T1 L3 [0x1ff] 0x27 -> T5
      T2 L2 [0x0] 0x27 -> T3
      T3 L1 [0x0] 0x27 -> T4
      T4 L0 [0x1] 0x5067
      T5 L2 [0x1ff] 0x27 -> T6
      T6 L1 [0x1ff] 0x71445dea000e7
      """)

  static let emptyTables = DivergenceExample(
    condition: .onlyEmptyTablesDiffer, format: "armv8",
    config: "stage=2 granule=4k pgsizes=0x40201000 ias=36 oas=36 coherent=1", behaviour: "legacy",
    item: """
      case empty-tables
      mappages 0x40000000 0x400000000 0x1000 512 rw => ok 0x200000
      unmappages 0x40000000 0x1000 512 => 0x200000
      mappages 0x80000000 0x400000000 0x1000 1 rw => ok 0x1000
      image
      T0 L2 [0x1] 0x3 -> T1
      T0 L2 [0x2] 0x3 -> T3
      T1 L1 [0x0] 0x3 -> T2
      T3 L1 [0x0] 0x3 -> T4
      T4 L0 [0x0] 0x4000006d7
      """)
}

extension GoldenTranslation {
  /// A page at `iova`.
  static func page(_ iova: UInt64, at address: UInt64, writable: Bool = true) -> GoldenTranslation {
    .leaf(address: address, first: iova, last: iova | 0xfff, readable: true, writable: writable)
  }
}

/// A reference whose walks to one page all end in the same way.
private struct SkewedReference: GoldenReference {
  let base: any GoldenReference
  let iova: UInt64
  let translation: GoldenTranslation

  var encodesAccessed: Bool { base.encodesAccessed }
  var outputWidth: Int { base.outputWidth }
  var wordBytes: Int { base.wordBytes }
  func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? { base.encodeLeaf(leaf) }
  func encodeTable(level: Int, address: UInt64) -> UInt64? {
    base.encodeTable(level: level, address: address)
  }
  func wordCount(level: Int, isRoot: Bool) -> Int { base.wordCount(level: level, isRoot: isRoot) }
  func classify(_ word: UInt64, level: Int) -> WordKind { base.classify(word, level: level) }

  func walk(_ iova: UInt64, roots: [TableRoot], memory: any PhysicalMemoryReader) -> GoldenTranslation {
    guard iova & ~0xfff == self.iova else { return base.walk(iova, roots: roots, memory: memory) }
    guard case .leaf(let address, let first, let last, let readable, let writable) = translation else {
      return translation
    }
    return .leaf(
      address: address | iova & 0xfff, first: first, last: last, readable: readable, writable: writable)
  }
}

extension GoldenEnvironment {
  /// The kit's witnesses, with walks to the page at `iova` that end in `translation`.
  static func skewed(at iova: UInt64, _ translation: GoldenTranslation) -> GoldenEnvironment {
    var environment = GoldenEnvironment.kit(.embedded)
    environment.reference = {
      SkewedReference(
        base: try SpecificationLibrary.embedded.format($0), iova: iova, translation: translation)
    }
    return environment
  }
}
