// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Reads the structures of an IOMMU and collects what they say.
final class StructureReader {
  let registers: RegisterValues
  let memory: any MachineMemory
  var state: IOMMUState

  init(_ registers: RegisterValues, _ memory: any MachineMemory) {
    self.registers = registers
    self.memory = memory
    state = IOMMUState(kind: registers.kind)
  }

  func fact(_ text: String) { state.facts.append(text) }

  /// One more entry that says `text`, beyond the devices listed.
  func count(_ text: String, _ number: Int = 1) {
    if let index = state.others.firstIndex(where: { $0.text == text }) {
      state.others[index].count += number
    } else {
      state.others.append((text, number))
    }
  }

  func problem(
    _ text: String, device: String = "", _ structure: Structure? = nil, kind: Finding.Kind = .structure
  ) {
    state.findings.append(
      Finding(
        kind, device: device, physical: structure?.physical, text,
        details: structure.map { [$0.description] + $0.explanation } ?? []))
  }

  /// The words of a table of structures; nil, and a problem, where it is not in memory.
  func table(_ name: String, at physical: UInt64, wordCount: Int, device: String = "") throws -> [UInt64]? {
    if let words = try memory.words(at: physical, count: wordCount) { return words }
    state.findings.append(
      Finding(
        .pointer, device: device, physical: physical,
        "the \(name) (\(wordCount * 8) bytes) is not in memory"))
    return nil
  }

  /// The structure number `index` of a table; its reserved bits that are set become a problem.
  func structure(
    _ layout: StructureLayout, in table: [UInt64], at physical: UInt64, index: Int, device: String
  ) -> Structure {
    let start = index * layout.wordCount
    let words = (0..<layout.wordCount).map { start + $0 < table.count ? table[start + $0] : 0 }
    let structure = Structure(
      layout: layout, physical: physical &+ UInt64(start * 8), words: words)
    for (word, bits) in structure.reservedSet {
      state.findings.append(
        Finding(
          .structure, device: device, physical: structure.physical &+ UInt64(word * 8), word: words[word],
          "reserved bits \(Numbers.hex(bits)) are set in word \(word) of the \(layout.name) [\(layout.section)]",
          details: [structure.description] + structure.explanation))
    }
    return structure
  }

  /// A structure that stands alone; nil, and a problem, where it is not in memory.
  func structure(_ layout: StructureLayout, at physical: UInt64, device: String) throws -> Structure? {
    guard let words = try table(layout.name, at: physical, wordCount: layout.wordCount, device: device) else {
      return nil
    }
    return structure(layout, in: words, at: physical, index: 0, device: device)
  }

  func add(_ device: DeviceTables) { state.devices.append(device) }
}
