// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Simulator

/// What stays the same over all sessions that compare two sides of one configuration. To be used by one thread.
final class CompareWorld {
  let configuration: Configuration
  let left: ResolvedSide
  let right: ResolvedSide
  let reference: ReferenceFormat
  /// The compared configuration, for addresses and sizes.
  let subject: Subject
  /// The right side's, where it is a configuration of the generic algorithms.
  let rightSubject: Subject
  /// Learns of all operations; nil for none.
  var journal: (any OperationJournal)?
  /// How often rules applied so far.
  var tally = RuleTally()
  /// The rules about words that can apply.
  private let wordRules: [(name: String, transform: WordTransform)]
  /// The rules about operations that can apply.
  let operationRules: Set<String>
  private var rightMeanings: [UInt64: LeafMeaning] = [:]

  /// Bytes of table memory at most, on each side.
  static let reserve: UInt64 = 256 << 20

  convenience init(
    _ configuration: Configuration, left: ResolvedSide, right: ResolvedSide, library: SpecificationLibrary
  ) throws {
    let subject = try Subject(configuration, try library.format(configuration))
    var rightSubject = subject
    if case .generic(let other) = right.kind, other != configuration {
      rightSubject = try Subject(other, try library.format(other))
    }
    self.init(subject, rightSubject, left: left, right: right)
  }

  init(_ subject: Subject, _ rightSubject: Subject, left: ResolvedSide, right: ResolvedSide) {
    configuration = subject.configuration
    self.left = left
    self.right = right
    reference = subject.reference
    self.subject = subject
    self.rightSubject = rightSubject
    let rules = CompareRule.all.filter { $0.applies(left, right) }
    tally.expect(rules.map(\.name))
    operationRules = Set(rules.filter { $0.word == nil }.map(\.name))
    let leftConfiguration = left.configuration ?? configuration
    let rightConfiguration = right.configuration ?? configuration
    wordRules = rules.compactMap { rule in
      rule.word.map { (rule.name, $0(leftConfiguration, rightConfiguration)) }
    }
  }

  /// Where table memory starts.
  var physicalBase: UInt64 { Self.physicalBase(configuration, subject.shape) }

  /// The same for any configuration. Linux gives v7s tables memory below 4 GiB.
  static func physicalBase(_ configuration: Configuration, _ shape: FormatShape) -> UInt64 {
    configuration.format == "armv7s" ? 1 << 30 : min(1 << 32, Bits.bit(shape.geometry.outputBits - 1))
  }

  /// A rule about an operation applied.
  func note(_ rule: String) { tally.note(rule) }

  /// The word that the right side must have where the left one has `word`.
  func expected(_ word: UInt64, _ context: WordContext, notes: Bool = true) -> UInt64 {
    var word = word
    for rule in wordRules {
      let changed = rule.transform(word, context)
      if changed != word, notes { tally.note(rule.name) }
      word = changed
    }
    return word
  }

  /// Whether the right side is not asked for the translation of an IOVA.
  func skipsTranslation(of iova: UInt64) -> Bool {
    iova == .max && operationRules.contains(LegacyRule.lastByte.rawValue)
  }

  var hasWordRules: Bool { !wordRules.isEmpty }

  /// What a leaf means to the hardware on the right side: the left side's word as the rules change it.
  func rightMeaning(size: UInt64, _ protection: Protection) -> LeafMeaning? {
    guard hasWordRules, let level = rightSubject.level(ofSize: size) else {
      return rightSubject.meaning(size: size, protection)
    }
    let key = size | UInt64(protection.rawValue)
    if let known = rightMeanings[key] { return known }
    func leaf(dirty: Bool) -> DecodedLeaf? {
      guard
        let word = rightSubject.reference.encodeLeaf(
          level: level, pa: 0, size: size, protection: protection, dirty: dirty)
      else { return nil }
      let mapped = LeafList.Leaf(start: 0, size: size, pa: 0, protection: protection, isDirty: dirty)
      let context = WordContext(reference: reference, level: level, index: 0, leaf: mapped)
      guard
        case .leaf(let leaf) = reference.decode(expected(word, context, notes: false), level: level).kind
      else { return nil }
      return leaf
    }
    guard let clean = leaf(dirty: false), let dirty = leaf(dirty: true) else { return nil }
    let meaning = LeafMeaning(
      protection: clean.protection, isBornDirty: clean.dirty, becomesDirty: dirty.dirty)
    rightMeanings[key] = meaning
    return meaning
  }

  /// An IOVA as callers write it, from one whose bits above the address space are 0.
  func canonical(_ iova: UInt64) -> UInt64 {
    let geometry = subject.shape.geometry
    let bits = geometry.iovaBits
    guard bits < 64 else { return iova }
    if geometry.features.contains(.upperHalf) { return iova | ~Bits.lowMask(bits) }
    guard geometry.features.contains(.signExtend), iova & Bits.bit(bits - 1) != 0 else { return iova }
    return iova | ~Bits.lowMask(bits)
  }
}
