// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// Reads the memory that an implementation left behind with the reference, which knows nothing of the
/// implementation but where its roots are.
struct GoldenReferenceCheck {
  let reference: any GoldenReference
  let roots: [TableRoot]
  /// The memory that is walked.
  let memory: any PhysicalMemoryReader
  /// The memory whose image is taken: marks that only software reads need not reach a walker.
  let processorMemory: any PhysicalMemoryReader
  /// Whether the format forces write permission on every leaf.
  let forcesWrite: Bool
  /// What the conditions of findings are computed from.
  let circumstances: DivergenceCircumstances

  init(
    _ reference: any GoldenReference, _ table: any PageTableUnderTest, forcesWrite: Bool,
    _ circumstances: DivergenceCircumstances
  ) {
    self.reference = reference
    roots = table.roots
    memory = table.memory
    processorMemory = table.processorMemory
    self.forcesWrite = forcesWrite
    self.circumstances = circumstances
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
        roots: roots, memory: GoldenMemory(base: processorMemory), wordBytes: reference.wordBytes,
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
    var children = Set(roots.map(\.physical))
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
}

/// A reader of physical memory whose type is not known, where a type is needed.
struct GoldenMemory: PhysicalMemoryReader {
  let base: any PhysicalMemoryReader

  func bytes(at physical: UInt64, count byteCount: Int) -> UnsafeRawBufferPointer? {
    base.bytes(at: physical, count: byteCount)
  }
}
