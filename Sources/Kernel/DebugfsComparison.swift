// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// Compares what the kernel prints of its tables with the reference, word for word.
struct DebugfsComparison {
  /// Makes the reference of a configuration, for example `vtdss:va=57,level=4`.
  let reference: @Sendable (_ configuration: String) throws -> ReferenceFormat

  /// The configurations that a device's tables may have: features of the hardware that debugfs does not tell.
  static func candidates(isFirstStage: Bool?) -> [String] {
    let first = ["", "+dma_incoherent"].map { "x86_64:va=57,level=4,features=flush_range+sign_extend\($0)" }
    let second = ["", "+dma_incoherent", "+force_coherence", "+dma_incoherent+force_coherence"].map {
      "vtdss:va=57,level=4,features=flush_range\($0)"
    }
    return isFirstStage.map { $0 ? first : second } ?? second + first
  }

  /// A word that is not as it must be.
  private struct Difference {
    var iova: UInt64
    var level: Int
    /// nil where nothing may be mapped, or the format cannot express what is.
    var expected: UInt64?
    var found: UInt64
    /// Whether something is mapped there at all.
    var isMapped = true

    func text(_ format: ReferenceFormat) -> String {
      let place = "IOVA \(Numbers.hex(iova)), level \(level)"
      if !isMapped { return "\(place): \(Numbers.hex(found)) maps what must not be mapped" }
      let wanted = expected.map(Numbers.hex) ?? "none that the format can express"
      return "\(place): expected \(wanted), found \(Numbers.hex(found)): "
        + format.decode(found, level: level).entryName
    }
  }

  /// What of the lines differs from what is mapped. One configuration must explain all of them; of several that do not, that with
  /// the fewest differences is told.
  ///
  /// - Returns: the configuration, how many differences there are, and lines for a reader about the first of them.
  func differences(
    _ lines: [DebugfsTranslations.Line], _ mappings: [HeldMapping], isFirstStage: Bool?
  ) throws -> (configuration: String, count: Int, texts: [String]) {
    let missing = missing(lines, mappings)
    var best: (configuration: String, differences: [Difference], format: ReferenceFormat)?
    for configuration in Self.candidates(isFirstStage: isFirstStage) {
      let format = try reference(configuration)
      let found = differences(lines, mappings, format)
      if found.count < best?.differences.count ?? Int.max { best = (configuration, found, format) }
      if found.isEmpty { break }
    }
    guard let best else { return ("none", 1, ["no configuration to compare with"]) }
    let texts = best.differences.prefix(16).map { $0.text(best.format) } + missing.prefix(16)
    return (best.configuration, best.differences.count + missing.count, texts)
  }

  private func differences(
    _ lines: [DebugfsTranslations.Line], _ mappings: [HeldMapping], _ format: ReferenceFormat
  ) -> [Difference] {
    var differences: [Difference] = []
    for line in lines {
      let leaf = line.leafLevel
      let size = Self.size(level: leaf)
      guard let mapping = Self.mapping(at: line.iova, size: size, mappings) else {
        differences.append(
          Difference(iova: line.iova, level: leaf, found: line.words[leaf], isMapped: false))
        continue
      }
      let physical = mapping.physicalAddress &+ (line.iova &- mapping.iova)
      // A page table may have fewer levels.
      for level in leaf..<5 where line.words[level] != 0 {
        let word = line.words[level]
        let wanted =
          level == leaf
          ? self.leaf(word, level, physical, size, mapping, format)
          : format.encodeTable(level: level, pa: word & Self.tableAddress)
        if wanted != word {
          differences.append(Difference(iova: line.iova, level: level, expected: wanted, found: word))
        }
      }
    }
    return differences
  }

  /// Where the address lies in table entries of both stages (Intel Virtualization Technology for Directed I/O, 9.7 and 9.8).
  private static let tableAddress: UInt64 = 0x000f_ffff_ffff_f000

  private func leaf(
    _ word: UInt64, _ level: Int, _ physical: UInt64, _ size: UInt64, _ mapping: HeldMapping,
    _ format: ReferenceFormat
  ) -> UInt64? {
    var protection: Protection = []
    if mapping.read { protection.insert(.read) }
    if mapping.write { protection.insert(.write) }
    let wanted = format.encodeLeaf(level: level, pa: physical, size: size, protection: protection)
    if wanted == word { return wanted }
    // What the hardware may set is taken from the word.
    guard case .leaf(let leaf) = format.decode(word, level: level).kind, leaf.dirty || leaf.accessed else {
      return wanted
    }
    return format.encodeLeaf(
      level: level, pa: physical, size: size, protection: protection, dirty: leaf.dirty,
      accessed: leaf.accessed)
  }

  /// What is mapped and not printed.
  private func missing(_ lines: [DebugfsTranslations.Line], _ mappings: [HeldMapping]) -> [String] {
    var ends: [UInt64: UInt64] = [:]
    for line in lines { ends[line.iova] = line.iova &+ Self.size(level: line.leafLevel) }
    return mappings.compactMap { mapping in
      var place = mapping.iova
      while place &- mapping.iova < mapping.length {
        guard let end = ends[place], end != place else {
          return "IOVA \(Numbers.hex(place)): mapped, and not in the tables"
        }
        place = end
      }
      return nil
    }
  }

  private static func size(level: Int) -> UInt64 { 1 << UInt64(12 + 9 * level) }

  /// The mapping in which a leaf lies as a whole; `mappings` ascend.
  private static func mapping(at iova: UInt64, size: UInt64, _ mappings: [HeldMapping]) -> HeldMapping? {
    var low = 0
    var high = mappings.count
    while low < high {
      let middle = (low + high) / 2
      if mappings[middle].iova <= iova { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return nil }
    let mapping = mappings[low - 1]
    let offset = iova &- mapping.iova
    return offset < mapping.length && size <= mapping.length &- offset ? mapping : nil
  }
}
