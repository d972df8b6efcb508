// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference

/// Every word that the reference encodes must read back as what it was made from, and the target's encoder must
/// make the same words.
enum RoundTripTests {
  static func tests(_ configuration: Configuration) -> [Selftest] {
    [
      Selftest(.roundtrip, [configuration.slug], configuration: configuration) { context in
        let subject = try context.subject(configuration)
        let encoder =
          context.target.capabilities.contains(.encoder) ? try context.target.encoder(configuration) : nil
        var check = RoundTrip(
          subject: subject, encoder: encoder,
          random: RandomNumbers(seed: context.seed, name: configuration.slug))
        try check.run()
        return .pass
      }
    ]
  }
}

/// One configuration's words.
private struct RoundTrip {
  let subject: Subject
  let encoder: GenericEncoder?
  var random: RandomNumbers

  private var reference: ReferenceFormat { subject.reference }

  mutating func run() throws {
    try checkGeometry()
    for level in 0..<reference.levelCount {
      let sizes = reference.leafSizes(level: level)
      for size in sizes {
        let isExtreme = size == sizes.first || size == sizes.last
        for pa in addresses(aligned: size) {
          try checkLeaves(level, size, pa, protections(all: isExtreme && pa.nonzeroBitCount > 20))
        }
      }
      guard level > 0, subject.isDynamic || level <= reference.rootLevel else { continue }
      for pa in addresses(aligned: tableSize(level)) { try checkTable(level, pa) }
    }
  }

  /// The reference and the target's format must have the same shape.
  private func checkGeometry() throws {
    let geometry = subject.shape.geometry
    let level = geometry.topLevel
    try require(
      reference.rootLevel == level, "the reference starts at level \(reference.rootLevel), not \(level)")
    try require(
      reference.outputWidth == geometry.outputBits,
      "the reference's output addresses have \(reference.outputWidth) bits, not \(geometry.outputBits)")
    guard !subject.isDynamic else { return }
    let bits = reference.inputWidth(rootLevel: level)
    try require(
      bits == geometry.iovaBits, "the reference's IOVAs have \(bits) bits, not \(geometry.iovaBits)")
  }

  private func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    if !condition { throw SelftestFailure(problem()) }
  }

  // MARK: Addresses

  /// The size of a table that an entry of `level` points to, or of the smallest leaf.
  private func tableSize(_ level: Int) -> UInt64 {
    UInt64(max(1, reference.wordCount(level: max(0, level - 1), isRoot: false))) * UInt64(reference.wordBytes)
  }

  /// Zero, the last one, each single bit, alternating bits, and some others.
  private mutating func addresses(aligned size: UInt64) -> [UInt64] {
    let mask = subject.outputMask & ~(size - 1)
    var addresses: Set<UInt64> = [0, mask, 0x5555_5555_5555_5555 & mask, 0xaaaa_aaaa_aaaa_aaaa & mask]
    for bit in 0..<64 where Bits.bit(bit) & mask != 0 { addresses.insert(Bits.bit(bit)) }
    for _ in 0..<4 { addresses.insert(random.next() & mask) }
    return addresses.sorted()
  }

  /// Every combination of flags, or the usual one and one at random.
  private mutating func protections(all: Bool) -> [Protection] {
    all
      ? (0..<64).map { Protection(rawValue: $0) }
      : [[.read, .write], Protection(rawValue: UInt32(random.below(64)))]
  }

  // MARK: Leaves

  private func checkLeaves(_ level: Int, _ size: UInt64, _ pa: UInt64, _ protections: [Protection]) throws {
    let isOffered = subject.sizes.contains(size)
    for protection in protections {
      for dirty in subject.tracksDirty ? [false, true] : [false] {
        let word = reference.encodeLeaf(
          level: level, pa: pa, size: size, protection: protection, dirty: dirty)
        let name =
          "leaf level=\(level) pa=\(Numbers.hex(pa)) size=\(Numbers.size(size)) prot=\(protection.text)"
          + (dirty ? " dirty" : "")
        if let encoder, isOffered {
          let other = encoder.encodeLeaf(level, pa, size, protection, dirty)
          try require(word == other, "\(name): the reference makes \(text(word)), the target \(text(other))")
        }
        if let word { try checkDecoding(word, level, size, pa, protection, dirty, name) }
      }
    }
  }

  private func checkDecoding(
    _ word: UInt64, _ level: Int, _ size: UInt64, _ pa: UInt64, _ protection: Protection, _ dirty: Bool,
    _ name: String
  ) throws {
    let decoded = reference.decode(word, level: level)
    guard case .leaf(let leaf) = decoded.kind else {
      throw SelftestFailure("\(name): \(Numbers.hex(word)) reads as '\(decoded.entryName)'")
    }
    try require(
      leaf.pa == pa && leaf.size == size,
      "\(name): \(Numbers.hex(word)) reads as \(Numbers.size(leaf.size)) at \(Numbers.hex(leaf.pa))")
    let flaws = decoded.reservedSet + decoded.problems
    try require(flaws.isEmpty, "\(name): \(Numbers.hex(word)): \(flaws.joined(separator: "; "))")
    let access = protection.intersection([.read, .write])
    try require(
      leaf.protection.isSuperset(of: access),
      "\(name): \(Numbers.hex(word)) grants \(leaf.protection.text) only")
    // What it reads as must encode to a word that reads the same: what is lost is what the format cannot express.
    guard leaf.protection != protection else { return }
    let again = reference.encodeLeaf(
      level: level, pa: pa, size: size, protection: leaf.protection, dirty: leaf.dirty,
      accessed: leaf.accessed)
    try require(
      again == word || again.map { reference.decode($0, level: level).kind == decoded.kind } ?? false,
      "\(name): \(Numbers.hex(word)) reads as \(leaf.protection.text), which makes \(text(again))")
  }

  // MARK: Tables

  private func checkTable(_ level: Int, _ pa: UInt64) throws {
    let name = "table level=\(level) pa=\(Numbers.hex(pa))"
    let word = reference.encodeTable(level: level, pa: pa)
    if let encoder, level <= subject.shape.maximumLevel {
      let other = encoder.encodeTable(level, pa)
      try require(
        word == other || other.map { isSame($0, word, level) } ?? false,
        "\(name): the reference makes \(text(word)), the target \(text(other))")
    }
    guard let word else { return }
    guard case .table(let child, level - 1) = reference.decode(word, level: level).kind, child == pa else {
      throw SelftestFailure(
        "\(name): \(Numbers.hex(word)) reads as '\(reference.decode(word, level: level).entryName)'")
    }
  }

  /// Whether the target's word says the same but for bits that hardware ignores (software's mark of a flushed entry).
  private func isSame(_ other: UInt64, _ word: UInt64?, _ level: Int) -> Bool {
    guard subject.isIncoherent, let word else { return false }
    let decoded = reference.decode(other, level: level)
    let differing = decoded.fields.filter { field in
      (word ^ other) & Bits.mask(field.high, field.low) != 0
    }
    return (word ^ other).nonzeroBitCount == 1 && differing.allSatisfy { $0.role == .ignored }
      && decoded.kind == reference.decode(word, level: level).kind
  }

  private func text(_ word: UInt64?) -> String { word.map(Numbers.hex) ?? "nothing" }
}
