// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Findings of one check: of each set of conditions the first, up to one that meets no condition. A finding that a
/// divergence may excuse so does not hide one that it does not.
struct GoldenFindingList {
  private(set) var findings: [GoldenFinding] = []

  /// Whether more can be added.
  var isOpen: Bool { findings.last?.conditions.isEmpty != true }

  mutating func add(_ finding: GoldenFinding) {
    guard isOpen, !findings.contains(where: { $0.conditions == finding.conditions }) else { return }
    findings.append(finding)
  }
}

extension GoldenReferenceCheck {
  /// What is wrong with a walk to an IOVA whose lookup gave `expected`.
  func lookupFinding(_ iova: UInt64, _ expected: UInt64?) -> GoldenFinding? {
    let found = walk(iova)
    switch (found, expected) {
    case (.leaf(let address, _, _, _, _), _) where address == expected: return nil
    // A lookup answers for a leaf that permits nothing; a walk does not.
    case (.fault, nil), (.refused, .some): return nil
    default:
      let wanted = expected.map(Numbers.hex) ?? "none"
      return finding(
        "lookup of \(Numbers.hex(iova)) gives \(wanted), the walk ends with \(describe(found))",
        GoldenWalkProblem(origin: .lookup, iova: iova, expected: expected, found: found))
    }
  }

  /// What is wrong with walks to both ends of every mapped leaf and to the bytes beside every range.
  ///
  /// - Parameter leafLimit: how many leaves there can be at most; one word makes one leaf at most.
  func walkFindings(_ mappings: GoldenMappings, leafLimit: Int) -> [GoldenFinding] {
    var list = GoldenFindingList()
    var leaves = 0
    for range in mappings.ranges where !range.protection.isDisjoint(with: [.read, .write]) {
      var next: UInt64? = range.first
      while let iova = next, list.isOpen {
        leaves += 1
        guard leaves <= leafLimit else {
          list.add(GoldenFinding(.walk, "walks find more leaves than the \(leafLimit) words of the image"))
          break
        }
        let (last, finding) = leaf(at: iova, in: range)
        finding.map { list.add($0) }
        next = last.flatMap { $0 < range.last ? $0 &+ 1 : nil }
      }
      for finding in neighbourFindings(of: range, in: mappings) { list.add(finding) }
      if !list.isOpen { break }
    }
    return list.findings
  }

  /// The last byte of the leaf that starts at `iova`, when there is one in the range, and what is wrong with
  /// how both its ends translate.
  private func leaf(at iova: UInt64, in range: GoldenMappings.Range) -> (last: UInt64?, GoldenFinding?) {
    let start = walk(iova)
    let from = Numbers.hex(iova)
    var problem = GoldenWalkProblem(
      origin: .mappings, iova: iova, expected: range.address &+ (iova &- range.first), found: start)
    guard case .leaf(_, let first, let last, _, _) = start else {
      return (nil, finding("\(from) is mapped, the walk ends with \(describe(start))", problem))
    }
    guard first == iova, last >= iova, last <= range.last else {
      let leaf = "\(Numbers.hex(first))..\(Numbers.hex(last))"
      problem.fits = false
      return (nil, finding("the leaf \(leaf) does not fit \(from)..\(Numbers.hex(range.last))", problem))
    }
    for end in [iova, last] {
      let expected = range.address &+ (end &- range.first)
      let found = walk(end)
      guard case .leaf(let address, first, last, let readable, let writable) = found else {
        problem.found = found
        problem.fits = false
        return (nil, finding("\(Numbers.hex(end)) is mapped, the walk ends with \(describe(found))", problem))
      }
      let wanted = range.protection
      let refused = wanted.contains(.read) && !readable || wanted.contains(.write) && !writable
      guard !refused, !writable || wanted.contains(.write) || forcesWrite else {
        let text = "\(Numbers.hex(end)) is mapped \(wanted.text), the walk ends with \(describe(found))"
        return (last, GoldenFinding(.walk, text))
      }
      guard address == expected else {
        (problem.iova, problem.expected, problem.found) = (end, expected, found)
        let text = "\(Numbers.hex(end)) is mapped to \(Numbers.hex(expected)), the walk ends with "
        return (last, finding(text + describe(found), problem))
      }
    }
    return (last, nil)
  }

  private func neighbourFindings(
    of range: GoldenMappings.Range, in mappings: GoldenMappings
  ) -> [GoldenFinding] {
    var neighbours: [UInt64] = []
    if range.first > 0 { neighbours.append(range.first &- 1) }
    if range.last < UInt64.max { neighbours.append(range.last &+ 1) }
    return neighbours.compactMap { iova in
      guard !mappings.contains(iova) else { return nil }
      let found = walk(iova)
      if case .fault = found { return nil }
      return finding(
        "\(Numbers.hex(iova)) is not mapped, the walk ends with \(describe(found))",
        GoldenWalkProblem(origin: .mappings, iova: iova, expected: nil, found: found))
    }
  }

  private func finding(_ detail: String, _ problem: GoldenWalkProblem) -> GoldenFinding {
    GoldenFinding(.walk, detail, conditions: circumstances.conditions(of: problem))
  }

  private func walk(_ iova: UInt64) -> GoldenTranslation {
    reference.walk(iova, roots: roots, memory: memory)
  }

  private func describe(_ translation: GoldenTranslation) -> String {
    switch translation {
    case .fault(let reason): return "a fault: \(reason)"
    case .refused(let reason): return "an access refused: \(reason)"
    case .leaf(let address, let first, let last, let readable, let writable):
      let access = (readable ? "r" : "") + (writable ? "w" : "")
      return "\(Numbers.hex(address)) \(access.isEmpty ? "none" : access)"
        + " in the leaf \(Numbers.hex(first))..\(Numbers.hex(last))"
    }
  }
}
