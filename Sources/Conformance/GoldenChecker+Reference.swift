// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Reads the memory that an implementation left behind with the reference, which knows nothing of the
/// implementation but where its root is.
struct GoldenReferenceCheck {
  let reference: any GoldenReference
  let root: TableRoot
  /// The memory that is walked.
  let memory: any PhysicalMemoryReader
  /// The memory whose image is taken: marks that only software reads need not reach a walker.
  let processorMemory: any PhysicalMemoryReader
  /// Whether the format forces write permission on every leaf.
  let forcesWrite: Bool

  init(_ reference: any GoldenReference, _ table: any PageTableUnderTest, forcesWrite: Bool) {
    self.reference = reference
    root = table.root
    memory = table.memory
    processorMemory = table.processorMemory
    self.forcesWrite = forcesWrite
  }

  /// One table pointer as the reference reads it.
  private struct Pointer {
    var word: UInt64
    var level: Int
    var child: UInt64
    var cleared: UInt64
  }

  /// What is wrong with the image that the reference takes, and with its pointers.
  ///
  /// - Parameter implementation: the implementation's own image. Where the reference reads the same, it
  ///   has nothing to add to what is said about that.
  func imageFindings(expected: TableImage, implementation: TableImage?) -> [GoldenFinding] {
    var pointers: [Pointer] = []
    let image: TableImage
    do {
      image = try TableImage(
        root: root, memory: GoldenMemory(base: processorMemory),
        wordCount: { reference.wordCount(level: $0, isRoot: $1) },
        classify: { word, level in
          let kind = reference.classify(word, level: level)
          if case .table(let child, let cleared) = kind {
            pointers.append(Pointer(word: word, level: level, child: child, cleared: cleared))
          }
          return kind
        })
    } catch {
      return [GoldenFinding(.reference, "the reference reads no image: \(error)")]
    }
    var findings: [GoldenFinding] = []
    if image != implementation, let difference = GoldenText.difference(expected: expected, found: image) {
      findings.append(GoldenFinding(.reference, "image as the reference reads it: \(difference)"))
    }
    return findings + pointerFindings(pointers)
  }

  /// Each pointer must lead to a table of its own, and the reference must encode that table's address in
  /// the very bits that the image leaves out.
  private func pointerFindings(_ pointers: [Pointer]) -> [GoldenFinding] {
    var children: Set<UInt64> = [root.physical]
    for pointer in pointers {
      let child = Numbers.hex(pointer.child)
      guard children.insert(pointer.child).inserted else {
        return [GoldenFinding(.reference, "two pointers lead to the table at \(child)")]
      }
      guard let word = reference.encodeTable(level: pointer.level, address: pointer.child),
        case .table(_, let cleared) = reference.classify(word, level: pointer.level)
      else {
        return [GoldenFinding(.reference, "the reference has no pointer to the table at \(child)")]
      }
      guard word ^ cleared == pointer.word ^ pointer.cleared else {
        return [
          GoldenFinding(
            .reference,
            "pointer to the table at \(child): expected the address bits \(Numbers.hex(word ^ cleared)), "
              + "found \(Numbers.hex(pointer.word ^ pointer.cleared))")
        ]
      }
    }
    return []
  }

  /// What is wrong with a walk to an IOVA whose lookup gave `expected`.
  func lookupFinding(_ iova: UInt64, _ expected: UInt64?) -> GoldenFinding? {
    let found = walk(iova)
    switch (found, expected) {
    case (.leaf(let address, _, _, _, _), _) where address == expected: return nil
    // A lookup answers for a leaf that permits nothing; a walk does not.
    case (.fault, nil), (.refused, .some): return nil
    default:
      let wanted = expected.map(Numbers.hex) ?? "none"
      return GoldenFinding(
        .walk, "lookup of \(Numbers.hex(iova)) gives \(wanted), the walk ends with \(describe(found))")
    }
  }

  /// What is wrong with walks to both ends of every mapped leaf and to the bytes beside every range.
  ///
  /// - Parameter leafLimit: how many leaves there can be at most; one word makes one leaf at most.
  func walkFindings(_ mappings: GoldenMappings, leafLimit: Int) -> [GoldenFinding] {
    var leaves = 0
    for range in mappings.ranges where !range.protection.isDisjoint(with: [.read, .write]) {
      var iova = range.first
      while true {
        leaves += 1
        guard leaves <= leafLimit else {
          return [GoldenFinding(.walk, "walks find more leaves than the \(leafLimit) words of the image")]
        }
        let last: UInt64
        switch leaf(at: iova, in: range) {
        case .success(let end): last = end
        case .failure(let problem): return [problem.finding]
        }
        guard last < range.last else { break }
        iova = last &+ 1
      }
      if let finding = neighbourFinding(of: range, in: mappings) { return [finding] }
    }
    return []
  }

  private struct Problem: Error {
    var finding: GoldenFinding
    init(_ detail: String) { finding = GoldenFinding(.walk, detail) }
  }

  /// The last byte of the leaf that starts at `iova`, when both its ends translate as they must.
  private func leaf(at iova: UInt64, in range: GoldenMappings.Range) -> Result<UInt64, Problem> {
    let from = Numbers.hex(iova)
    guard case .leaf(_, let first, let last, _, _) = walk(iova) else {
      return .failure(Problem("\(from) is mapped, the walk ends with \(describe(walk(iova)))"))
    }
    guard first == iova, last >= iova, last <= range.last else {
      let leaf = "\(Numbers.hex(first))..\(Numbers.hex(last))"
      return .failure(Problem("the leaf \(leaf) does not fit \(from)..\(Numbers.hex(range.last))"))
    }
    for end in [iova, last] {
      let expected = range.address &+ (end &- range.first)
      let found = walk(end)
      guard case .leaf(let address, let otherFirst, let otherLast, let readable, let writable) = found,
        address == expected, otherFirst == first, otherLast == last
      else {
        return .failure(
          Problem(
            "\(Numbers.hex(end)) is mapped to \(Numbers.hex(expected)), the walk ends with \(describe(found))"
          ))
      }
      let wanted = range.protection
      let refused = wanted.contains(.read) && !readable || wanted.contains(.write) && !writable
      guard !refused, !writable || wanted.contains(.write) || forcesWrite else {
        return .failure(
          Problem("\(Numbers.hex(end)) is mapped \(wanted.text), the walk ends with \(describe(found))"))
      }
    }
    return .success(last)
  }

  private func neighbourFinding(of range: GoldenMappings.Range, in mappings: GoldenMappings) -> GoldenFinding?
  {
    var neighbours: [UInt64] = []
    if range.first > 0 { neighbours.append(range.first &- 1) }
    if range.last < UInt64.max { neighbours.append(range.last &+ 1) }
    for iova in neighbours where !mappings.contains(iova) {
      let found = walk(iova)
      if case .fault = found { continue }
      return GoldenFinding(
        .walk, "\(Numbers.hex(iova)) is not mapped, the walk ends with \(describe(found))")
    }
    return nil
  }

  private func walk(_ iova: UInt64) -> GoldenTranslation { reference.walk(iova, root: root, memory: memory) }

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

/// A reader of physical memory whose type is not known, where a type is needed.
struct GoldenMemory: PhysicalMemoryReader {
  let base: any PhysicalMemoryReader

  func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? {
    base.bytes(at: physical, count: byteCount)
  }
}
