// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension ReferenceFormat {
  /// Explains `word` as an entry of a table of `level`.
  public func decode(_ word: UInt64, level: Int) -> DecodedWord {
    guard levels.indices.contains(level) else {
      return DecodedWord(
        word: word, level: level, levelName: "none", entryName: "none", kind: .malformed, fields: [],
        reservedSet: [], problems: ["the format has levels 0 to \(levels.count - 1)"])
    }
    if isAbsent(word) { return absent(word, level) }
    if let index = entryIndex(of: word, level: level) { return decoded(word, level, index) }
    return malformed(word, level)
  }

  private func absent(_ word: UInt64, _ level: Int) -> DecodedWord {
    let low = absentMask.trailingZeroBitCount
    let high = 63 - absentMask.leadingZeroBitCount
    var fields: [DecodedField] = []
    func free(_ high: Int, _ low: Int) {
      guard high >= low else { return }
      fields.append(
        DecodedField(
          name: "free", high: high, low: low, value: (word & Bits.mask(high, low)) &>> UInt64(low),
          role: .ignored,
          meaning: "free for software in a word that is not present", section: spec.absent.section,
          isWrong: false))
    }
    free(spec.wordBits - 1, high + 1)
    fields.append(
      DecodedField(
        name: "present", high: high, low: low, value: (word & absentMask) &>> UInt64(low), role: .used,
        meaning: spec.absent.text, section: spec.absent.section, isWrong: false))
    free(low - 1, 0)
    return DecodedWord(
      word: word, level: level, levelName: levels[level].name, entryName: "not present", kind: .empty,
      fields: fields, reservedSet: [], problems: [])
  }

  private func decoded(_ word: UInt64, _ level: Int, _ index: Int) -> DecodedWord {
    let entry = entries[index]
    let address = address(in: word, index)
    var problems = (entry.firstCheck..<(entry.firstCheck + entry.checkCount))
      .filter { holds(checks[$0].test, word) }
      .map { checks[$0].why }
    if address > Bits.lowMask(outputWidth) {
      problems.append("the address \(Numbers.hex(address)) has more than \(outputWidth) bits")
    }
    let kind: EntryKind =
      entry.isTable ? .table(child: address, level: entry.child) : .leaf(leaf(word, entry, address))
    return DecodedWord(
      word: word, level: level, levelName: levels[level].name, entryName: details[index].spec.name,
      kind: kind,
      fields: fields(word, index), reservedSet: reservedNames(word, index), problems: problems)
  }

  private func leaf(_ word: UInt64, _ entry: CompiledEntry, _ address: UInt64) -> DecodedLeaf {
    let flags: [(WordTest, Protection)] = [
      (entry.read, .read), (entry.write, .write), (entry.cache, .cache), (entry.noexec, .noexec),
      (entry.mmio, .mmio), (entry.priv, .priv),
    ]
    var protection: Protection = []
    for (test, flag) in flags where holds(test, word) { protection.insert(flag) }
    return DecodedLeaf(
      pa: address, size: 1 &<< UInt64(entry.sizeLog2), wordCount: 1 << entry.countLog2,
      isConsecutive: entry.consecutive, protection: protection, dirty: holds(entry.dirty, word),
      accessed: holds(entry.accessed, word))
  }

  /// A present word that is no entry: shown as the kind whose fixed bits differ least.
  private func malformed(_ word: UInt64, _ level: Int) -> DecodedWord {
    let distance = { [entries] (index: Int) in
      ((word ^ entries[index].fixedValue) & entries[index].fixedMask).nonzeroBitCount
    }
    let nearest = levels[level].entries.min { distance($0) < distance($1) }
    let fields = nearest.map { self.fields(word, $0) } ?? []
    return DecodedWord(
      word: word, level: level, levelName: levels[level].name,
      entryName: nearest.map { details[$0].spec.name } ?? "none", kind: .malformed, fields: fields,
      reservedSet: nearest.map { reservedNames(word, $0) } ?? [],
      problems: fields.filter { $0.isWrong && $0.role == .used }.map {
        "\($0.name) holds \(Numbers.hex($0.value)), which no entry of this level has"
      })
  }

  /// The fields of `word` read as an entry of kind `index`, from the highest bit down.
  private func fields(_ word: UInt64, _ index: Int) -> [DecodedField] {
    let entry = entries[index]
    return details[index].fields.flatMap { field in
      // A field that surrounds another one shows as several runs of bits.
      Self.runs(field.mask).map { high, low in
        let mask = Bits.mask(high, low)
        let value = (word & mask) &>> UInt64(low)
        let isFixed = field.spec.fixed != nil
        let wrong =
          isFixed
          ? (word ^ entry.fixedValue) & mask != 0
          : (field.spec.role == .reserved || field.spec.role == .res0) && value != 0
        return DecodedField(
          name: field.spec.name, high: high, low: low, value: value, role: field.spec.role,
          meaning: meaning(of: value, field), section: field.spec.section, isWrong: wrong)
      }
    }.sorted { $0.high > $1.high }
  }

  private func meaning(of value: UInt64, _ field: ResolvedField) -> String {
    if let text = field.meanings.first(where: { $0.value == value })?.text { return text }
    switch field.spec.role {
    case .reserved, .res0:
      let base = field.spec.text.isEmpty ? "reserved" : field.spec.text
      return value == 0 ? base : "\(base): must be 0"
    case .ignored: return field.spec.text.isEmpty ? "ignored by hardware" : field.spec.text
    case .used: return field.spec.text
    }
  }

  /// The names of the fields of kind `index` that must be 0 and are not.
  func reservedNames(_ word: UInt64, _ index: Int) -> [String] {
    details[index].fields.compactMap { field in
      guard field.spec.role == .reserved || field.spec.role == .res0, word & field.mask != 0 else {
        return nil
      }
      return "\(field.spec.name) (\(EntryCompiler.ranges(word & field.mask)))"
    }
  }

  func reservedText(_ word: UInt64, _ index: Int) -> String {
    "reserved bits set: " + reservedNames(word, index).joined(separator: ", ")
  }

  /// The runs of set bits in a mask, highest first.
  private static func runs(_ mask: UInt64) -> [(high: Int, low: Int)] {
    var rest = mask
    var runs: [(high: Int, low: Int)] = []
    while rest != 0 {
      let high = 63 - rest.leadingZeroBitCount
      var low = high
      while low > 0, rest & Bits.bit(low - 1) != 0 { low -= 1 }
      runs.append((high, low))
      rest &= ~Bits.mask(high, low)
    }
    return runs
  }
}
