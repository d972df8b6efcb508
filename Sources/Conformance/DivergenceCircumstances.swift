// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// A walk that did not end as it should.
struct GoldenWalkProblem {
  /// Where the expectation comes from.
  enum Origin: Hashable {
    /// The operations' results: what is mapped.
    case mappings
    /// The result of a lookup.
    case lookup
  }

  var origin: Origin
  /// The address walked to.
  var iova: UInt64
  /// The output address that it should have; nil for none.
  var expected: UInt64?
  /// Where the walk ended.
  var found: GoldenTranslation
  /// Whether a leaf that was found lies in its mapping.
  var fits = true
}

/// What conditions of divergences are computed from: the case and its configuration, not what implementations know.
struct DivergenceCircumstances {
  /// The steps up to the walk.
  var steps: [GoldenCase.Step]
  /// Bits of an output address.
  let outputWidth: Int
  /// The encryption bit as a mask; 0 when the configuration has none.
  let encryptionBit: UInt64
  /// Bits of an output address that the configuration admits and the words have no place for.
  let lackingBits: UInt64
  /// Whether a leaf's address field can hold its size.
  let hasSizeCodes: Bool
  /// Bits of a sign-extended IOVA as Linux checks it; nil without sign extension.
  let checkedWidth: Int?
  /// Bits of a sign-extended IOVA that the levels from the root on translate.
  let translatedWidth: Int

  init(
    _ configuration: Configuration, steps: [GoldenCase.Step] = [], outputWidth: Int, rootLevel: Int
  ) {
    self.steps = steps
    self.outputWidth = outputWidth
    let features = configuration.flags("features")
    let bit = configuration.number("cbit")
    encryptionBit = features.contains("encrypt_tables") && (1...63).contains(bit) ? Bits.bit(bit) : 0
    lackingBits = Self.lackingBits(configuration)
    hasSizeCodes = configuration.format.hasPrefix("amdv1")
    let width = configuration.number("va")
    checkedWidth = features.contains("sign_extend") && (1...64).contains(width) ? width : nil
    // Formats with sign extension have tables of 512 words and pages of 4 KiB.
    translatedWidth = min(12 + 9 * (max(0, min(rootLevel, 6)) + 1), 64)
  }

  /// DART's first version holds PA[35:12], the second PA[41:14]; Linux admits 42 bits and pages of 4 KiB with either.
  private static func lackingBits(_ configuration: Configuration) -> UInt64 {
    guard configuration.format == "dart" else { return 0 }
    let admitted = Bits.lowMask(configuration.number("oas"))
    let held = configuration.text("version") == "1" ? Bits.mask(35, 12) : Bits.mask(41, 14)
    let page = configuration.text("granule") == "4k" ? Bits.lowMask(12) : Bits.lowMask(14)
    return admitted & ~held & ~page
  }

  /// The conditions that a walk meets.
  func conditions(of problem: GoldenWalkProblem) -> Set<DivergenceCondition> {
    var met: Set<DivergenceCondition> = []
    if losesBits(problem, ~Bits.lowMask(outputWidth), mayFault: true) { met.insert(.outputRangeOverflows) }
    if losesBits(problem, lackingBits, mayFault: false) { met.insert(.addressFieldLacksBits) }
    if losesBits(problem, encryptionBit, mayFault: false) { met.insert(.outputAddressHasEncryptionBit) }
    if isInHugeLeaf(problem) { met.insert(.sizeCodeCoversEncryptionBit) }
    if checkedWidth != nil {
      if meetsHole(problem) { met.insert(.notCanonical) }
      if meetsSignBits(problem) { met.insert(.signBitsAboveTop) }
    }
    return met
  }

  // MARK: Output addresses

  /// Whether the expected address has some of the `bits`, and all that is wrong is that bits which no word can hold
  /// as an address are missing.
  private func losesBits(_ problem: GoldenWalkProblem, _ bits: UInt64, mayFault: Bool) -> Bool {
    guard let expected = problem.expected, expected & bits != 0, problem.fits else { return false }
    guard case .leaf(let address, _, _, _, _) = problem.found else {
      if case .fault = problem.found { return mayFault }
      return false
    }
    let kept = Bits.lowMask(outputWidth) & ~encryptionBit & ~lackingBits
    return address & bits == 0 && (address ^ expected) & kept == 0
  }

  /// Whether the address lies in a mapped block so large and so aligned that a leaf's size code can reach the
  /// encryption bit. A lookup is excused only if the walk finds what was mapped.
  private func isInHugeLeaf(_ problem: GoldenWalkProblem) -> Bool {
    guard hasSizeCodes, encryptionBit != 0, encryptionBit < Bits.bit(63) else { return false }
    let blockMask = (encryptionBit &<< 1) &- 1
    let first = problem.iova & ~blockMask
    for range in GoldenMappings(steps).ranges
    where range.first <= first && first | blockMask <= range.last {
      guard (range.first ^ range.address) & blockMask == 0 else { continue }
      guard problem.origin == .lookup else { return true }
      let mapped = range.address &+ (problem.iova &- range.first)
      if case .leaf(mapped, _, _, _, _) = problem.found { return true }
    }
    return false
  }

  // MARK: Sign extension

  /// Whether `iova` is no sign-extended address of the width that is translated.
  private func isInHole(_ iova: UInt64) -> Bool {
    let sign = iova &>> UInt64(translatedWidth - 1)
    return sign != 0 && sign != ~0 &>> UInt64(translatedWidth - 1)
  }

  /// The address between the two halves, from `first` to `last`, that differs from `iova` only above the width: there
  /// an operation that left its half reached the same word.
  private func holeAlias(of iova: UInt64, in first: UInt64, _ last: UInt64) -> UInt64? {
    guard translatedWidth < 64 else { return nil }
    let half = Bits.bit(translatedWidth - 1)
    let low = max(first, half)
    let high = min(last, 0 &- half &- 1)
    guard low <= high else { return nil }
    let distance = (iova &- low) & Bits.lowMask(translatedWidth)
    return distance <= high &- low ? low &+ distance : nil
  }

  private func meetsHole(_ problem: GoldenWalkProblem) -> Bool {
    if isInHole(problem.iova) { return problem.isMiss }
    return isReached(problem) { holeAlias(of: problem.iova, in: $0, $1) }
  }

  /// Linux checks fewer bits than the levels translate, and drops the sign bits before it takes the top index.
  private func meetsSignBits(_ problem: GoldenWalkProblem) -> Bool {
    guard let width = checkedWidth, width < translatedWidth else { return false }
    let upper = ~Bits.lowMask(width - 1)
    if problem.iova & upper == upper { return problem.isMiss }
    guard problem.iova & ~Bits.lowMask(width) == 0 else { return false }
    let alias = problem.iova | ~Bits.lowMask(width)
    guard alias & upper == upper else { return false }
    return isReached(problem) { $0 <= alias && alias <= $1 ? alias : nil }
  }

  /// Whether an operation reached the word of the walk through another address than the walk's: a map made what the
  /// walk finds there, or an unmap removed what it misses.
  ///
  /// - Parameter alias: that other address in a range of IOVA, if there is one.
  private func isReached(
    _ problem: GoldenWalkProblem, alias: (_ first: UInt64, _ last: UInt64) -> UInt64?
  ) -> Bool {
    for step in steps {
      if problem.isMiss, case .unmapped(let length) = step.result, length > 0,
        let first = step.operation.unmappedFrom, alias(first, Self.last(first, length)) != nil
      {
        return true
      }
      guard problem.expected == nil, case .leaf(let address, _, _, _, _) = problem.found else { continue }
      for range in GoldenMappings([step]).ranges {
        if let other = alias(range.first, range.last), range.address &+ (other &- range.first) == address {
          return true
        }
      }
    }
    return false
  }

  private static func last(_ first: UInt64, _ length: UInt64) -> UInt64 {
    let (sum, overflow) = first.addingReportingOverflow(length &- 1)
    return overflow ? .max : sum
  }
}

extension GoldenWalkProblem {
  /// Whether something should be there and a fault is.
  fileprivate var isMiss: Bool {
    guard expected != nil, case .fault = found else { return false }
    return true
  }
}

extension Operation {
  /// Where an unmap starts; nil for other operations.
  fileprivate var unmappedFrom: UInt64? {
    switch self {
    case .unmap(let iova, _), .unmapPages(let iova, _, _): iova
    default: nil
    }
  }
}
