// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Selftests

/// The words that a library writes: each from a new page table in which one leaf is mapped.
struct LibraryEncoder: GoldenEncoder {
  private let target: LibraryFactory
  private let subject: Subject

  init(_ target: LibraryFactory, _ configuration: Configuration) throws {
    self.target = target
    subject = try Subject(configuration, target.specifications.format(configuration))
  }

  /// No map sets it.
  var encodesAccessed: Bool { false }
  /// The library chooses where its tables are.
  var encodesTables: Bool { false }

  func encodeTable(level: Int, address: UInt64) -> UInt64? { nil }

  /// nil when the library refuses the leaf, or maps it with others.
  func encodeLeaf(_ leaf: GoldenLeaf) -> UInt64? {
    let options = TargetOptions(physicalBase: subject.usualBase)
    guard let table = try? target.make(subject.configuration, options) else { return nil }
    let iova = subject.place(leaf.size)
    let map = Operation.mapPages(
      iova: iova, pa: leaf.address, pageSize: leaf.size, count: 1, protection: leaf.protection)
    guard table.perform(map) == .okMapped(leaf.size) else { return nil }
    if leaf.dirty == true { _ = table.perform(.setDirty(iova: iova)) }
    return word(at: iova, level: leaf.level, of: table)
  }

  /// The word of a level that a walk to an IOVA meets; nil where it is no leaf.
  private func word(at iova: UInt64, level: Int, of table: any PageTableUnderTest) -> UInt64? {
    let reference = subject.reference
    let roots = table.roots
    let ordinal = reference.rootOrdinal(of: iova)
    guard roots.indices.contains(ordinal) else { return nil }
    var (physical, current) = (roots[ordinal].physical, roots[ordinal].level)
    while current >= level {
      let index = reference.index(of: iova, level: current, isRoot: current == roots[ordinal].level)
      let address = physical &+ UInt64(index * reference.wordBytes)
      guard let bytes = table.memory.bytes(at: address, count: reference.wordBytes) else { return nil }
      let word =
        reference.wordBytes == 4
        ? UInt64(bytes.loadUnaligned(as: UInt32.self)) : bytes.loadUnaligned(as: UInt64.self)
      let kind = reference.wordKind(word, level: current)
      guard case .table(let child, _) = kind else { return current == level ? word : nil }
      (physical, current) = (child, current - 1)
    }
    return nil
  }
}
