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

  /// What of the lines differs from what is mapped. One configuration must explain all of them; of several that do not, that with
  /// the fewest differences is told.
  ///
  /// - Returns: the configuration, and lines for a reader, none when all is well.
  func differences(
    _ lines: [DebugfsTranslations.Line], _ mappings: [HeldMapping], isFirstStage: Bool?
  ) throws -> (configuration: String, differences: [String]) {
    var best: (configuration: String, differences: [String])?
    for configuration in Self.candidates(isFirstStage: isFirstStage) {
      let format = try reference(configuration)
      let found = differences(lines, mappings, format) + missing(lines, mappings)
      if found.count < best?.differences.count ?? Int.max { best = (configuration, found) }
    }
    return best ?? ("none", ["no configuration to compare with"])
  }

  private func differences(
    _ lines: [DebugfsTranslations.Line], _ mappings: [HeldMapping], _ format: ReferenceFormat
  ) -> [String] {
    lines.flatMap { line -> [String] in
      let iova = Numbers.hex(line.iova)
      let size = Self.size(level: line.leafLevel)
      guard let mapping = Self.mapping(at: line.iova, size: size, mappings) else {
        return ["IOVA \(iova), level \(line.leafLevel): \(Numbers.size(size)) mapped that must not be"]
      }
      let physical = mapping.physicalAddress &+ (line.iova &- mapping.iova)
      return (line.leafLevel..<5).compactMap { level in
        let word = line.words[level]
        // A page table may have fewer levels.
        if word == 0 { return nil }
        let wanted =
          level == line.leafLevel
          ? leaf(word, level, physical, size, mapping, format) : table(word, level, format)
        if wanted == word { return nil }
        let expected = wanted.map(Numbers.hex) ?? "none that the format can express"
        return "IOVA \(iova), level \(level): expected \(expected), found \(Numbers.hex(word)): "
          + format.decode(word, level: level).entryName
      }
    }
  }

  private func leaf(
    _ word: UInt64, _ level: Int, _ physical: UInt64, _ size: UInt64, _ mapping: HeldMapping,
    _ format: ReferenceFormat
  ) -> UInt64? {
    var protection: Protection = []
    if mapping.read { protection.insert(.read) }
    if mapping.write { protection.insert(.write) }
    // What the hardware may set is taken from the word.
    var state = (dirty: false, accessed: false)
    if case .leaf(let leaf) = format.decode(word, level: level).kind { state = (leaf.dirty, leaf.accessed) }
    return format.encodeLeaf(
      level: level, pa: physical, size: size, protection: protection, dirty: state.dirty,
      accessed: state.accessed)
  }

  private func table(_ word: UInt64, _ level: Int, _ format: ReferenceFormat) -> UInt64? {
    guard case .table(let child, _) = format.decode(word, level: level).kind else { return nil }
    return format.encodeTable(level: level, pa: child)
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
