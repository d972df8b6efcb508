// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Simulator

/// Drives one page table, compares every result with the model's, and walks the tables it leaves behind
/// as the hardware does. The first thing wrong is thrown.
final class Session {
  let subject: Subject
  let options: TargetOptions
  let table: any PageTableUnderTest
  private let bindsErrors: Bool
  private(set) var model: MappingModel
  private(set) var operations: [Operation] = []

  /// Opens a session on a new page table.
  init(_ subject: Subject, _ target: any TargetFactory, _ options: TargetOptions? = nil) throws {
    self.subject = subject
    self.options = options ?? subject.options
    table = try target.make(subject.configuration, self.options)
    bindsErrors = target.bindsErrors
    model = MappingModel(subject)
  }

  // MARK: Operations

  /// Runs an operation; its result must be `expected` and the model's.
  func expect(_ operation: Operation, _ expected: OperationResult) throws {
    let predicted = try run(operation, expected: expected)
    guard predicted == expected else {
      throw failure(
        "\(operation): this test expects \(Self.text(expected)), the model \(Self.text(predicted))")
    }
  }

  /// Runs an operation; its result must be the model's.
  func perform(_ operation: Operation) throws { try run(operation, expected: nil) }

  /// Runs operations that other tests check.
  func replay(_ operations: [Operation]) {
    self.operations += operations
    for operation in operations {
      _ = table.perform(operation)
      _ = model.perform(operation)
    }
  }

  @discardableResult
  private func run(_ operation: Operation, expected: OperationResult?) throws -> OperationResult {
    operations.append(operation)
    let predicted = model.perform(operation)
    let found = table.perform(operation)
    guard isAlike(found, expected ?? predicted) else {
      throw failure(
        "\(operation): expected \(Self.text(expected ?? predicted)), found \(Self.text(found))")
    }
    if let range = Self.range(of: operation) { try checkAround(range.iova, range.length) }
    return predicted
  }

  private func isAlike(_ found: OperationResult, _ expected: OperationResult) -> Bool {
    switch (found, expected) {
    case (.failed, .failed) where !bindsErrors: true
    case (.failedMapped(_, let left), .failedMapped(_, let right)) where !bindsErrors: left == right
    default: found == expected
    }
  }

  /// Maps a range, which must succeed.
  func map(_ iova: UInt64, to pa: UInt64, _ length: UInt64, _ protection: Protection = .usual) throws {
    try expect(.map(iova: iova, pa: pa, length: length, protection: protection), .ok)
  }

  /// Maps a range, which must fail and change nothing.
  func map(
    _ iova: UInt64, to pa: UInt64, _ length: UInt64, _ protection: Protection = .usual,
    fails errno: LinuxErrno
  ) throws {
    try expect(.map(iova: iova, pa: pa, length: length, protection: protection), .failed(errno))
    try checkAll()
  }

  /// Unmaps a range, which must remove so many bytes.
  func unmap(_ iova: UInt64, _ length: UInt64, removes bytes: UInt64) throws {
    try expect(.unmap(iova: iova, length: length), .unmapped(bytes))
  }

  /// The walk to an IOVA must end in a leaf of a size.
  func expectLeaf(at iova: UInt64, size: UInt64) throws {
    try check(iova)
    guard let found = model.leaf(at: iova), found.size == size else {
      let text = model.leaf(at: iova).map { Numbers.size($0.size) } ?? "nothing"
      throw failure("\(Numbers.hex(iova)): expected a leaf of \(Numbers.size(size)), found \(text)")
    }
  }

  /// As many pages of tables must be allocated.
  func expectPages(_ count: Int, _ when: String) throws {
    guard table.tablePages == count else {
      throw failure("\(when): expected \(count) pages of tables, found \(table.tablePages)")
    }
  }

  /// Runs an operation that may run out of memory; then nothing may have changed but what it reports.
  ///
  /// - Returns: whether it ran out of memory.
  func performShortOfMemory(_ operation: Operation) throws -> Bool {
    operations.append(operation)
    var after = model
    let predicted = after.perform(operation)
    let found = table.perform(operation)
    switch (operation, found) {
    case (.map, .failed(.enomem)): break
    case (.mapRange(let iova, let pa, let length, let protection), .failedMapped(.enomem, let mapped)):
      guard mapped < length else {
        throw failure("\(operation): ENOMEM, and \(Numbers.hex(mapped)) bytes are said to be mapped")
      }
      var partial = model
      if mapped > 0 {
        let part = Operation.mapRange(iova: iova, pa: pa, length: mapped, protection: protection)
        _ = partial.perform(part)
      }
      model = partial
    default:
      guard found == predicted else {
        throw failure("\(operation): expected \(Self.text(predicted)) or ENOMEM, found \(Self.text(found))")
      }
      model = after
      try checkAll()
      return false
    }
    try checkAll()
    if let range = Self.range(of: operation) { try checkAround(range.iova, range.length) }
    return true
  }

  // MARK: Walks

  /// Walks to both ends and some bytes inside of a range, and to its neighbours.
  func checkAround(_ iova: UInt64, _ length: UInt64) throws {
    guard length > 0 else { return try check(iova) }
    let last = iova &+ (length - 1)
    for point in [iova, last, iova &- 1, last &+ 1, iova &+ length / 2] { try check(point) }
    var position = iova
    // The first leaves of the range; whole tables are looked at by `checkAll`.
    for _ in 0..<4 {
      guard let found = model.leaf(at: position), found.last < last else { return }
      position = found.start + found.size
      try check(position)
    }
  }

  /// Walks to both ends of every leaf of the model and their neighbours, and to the ends of the address space.
  func checkAll() throws {
    for leaf in model.leaves.leaves {
      try check(leaf.start)
      try check(leaf.last)
      if model.leaf(at: leaf.last &+ 1) == nil { try check(leaf.last &+ 1) }
      if model.leaf(at: leaf.start &- 1) == nil { try check(leaf.start &- 1) }
    }
    for span in subject.spans {
      try check(span.lowerBound)
      try check(span.upperBound)
    }
  }

  /// Walks to one byte, and asks the page table for its output address.
  func check(_ iova: UInt64) throws {
    // Linux's own lookup does not refuse all non-canonical addresses: they are no part of this check.
    guard subject.spans.contains(where: { $0.contains(iova) }) else { return }
    let expected = model.phys(iova)
    let found = table.perform(.phys(iova: iova))
    guard found == .physical(expected) else {
      throw failure(
        "phys \(Numbers.hex(iova)): expected \(Self.text(.physical(expected))), found \(Self.text(found))")
    }
    if let problem = walkProblem(iova) { throw failure(problem) }
  }

  /// What is wrong with the hardware's walk to an IOVA.
  private func walkProblem(_ iova: UInt64) -> String? {
    let place = "walk to \(Numbers.hex(iova))"
    guard let leaf = model.leaf(at: iova) else {
      switch walk(iova, .read) {
      case .success(let found):
        return
          "\(place): nothing is mapped, found \(Numbers.hex(found.pa)) in a leaf of \(Numbers.size(found.leafSize))"
      case .failure(let fault):
        let isHole = [FaultKey.absent.rawValue, FaultKey.input.rawValue].contains(fault.key)
        return isHole ? nil : "\(place): nothing is mapped, the tables are damaged: \(fault)"
      }
    }
    guard let meaning = subject.meaning(size: leaf.size, leaf.protection) else {
      return "\(place): the reference has no leaf of \(Numbers.size(leaf.size)), \(leaf.protection.text)"
    }
    let access: DeviceAccess = meaning.protection.contains(.read) ? .read : .write
    switch walk(iova, access) {
    case .failure(let fault):
      return "\(place): \(Numbers.hex(leaf.pa + (iova - leaf.start))) is mapped: \(fault)"
    case .success(let found):
      let wanted =
        "\(Numbers.hex(leaf.pa + (iova - leaf.start))) in \(Numbers.size(leaf.size)) from \(Numbers.hex(leaf.start))"
      guard found.pa == leaf.pa + (iova - leaf.start), found.leafSize == leaf.size,
        found.leafIOVA == leaf.start
      else {
        return
          "\(place): expected \(wanted), found \(Numbers.hex(found.pa)) in \(Numbers.size(found.leafSize))"
          + " from \(Numbers.hex(found.leafIOVA))"
      }
      guard found.protection == meaning.protection else {
        return "\(place): expected \(meaning.protection.text), found \(found.protection.text)"
      }
      guard !subject.tracksDirty || found.dirty == leaf.isDirty else {
        return "\(place): the leaf is \(found.dirty ? "dirty" : "clean"), it must be the opposite"
      }
      return forbiddenAccessProblem(iova, meaning, place)
    }
  }

  /// An access that the leaf does not permit must be refused.
  private func forbiddenAccessProblem(_ iova: UInt64, _ meaning: LeafMeaning, _ place: String) -> String? {
    for (flag, access) in [(Protection.read, DeviceAccess.read), (.write, .write)]
    where !meaning.protection.contains(flag) {
      if case .success = walk(iova, access) { return "\(place): \(access) is permitted and must not be" }
    }
    return nil
  }

  func walk(_ iova: UInt64, _ access: DeviceAccess) -> Result<Translation, Fault> {
    subject.reference.walk(iova: iova, roots: table.roots, memory: table.memory, access: access)
  }

  /// The image as the reference reads the tables must be the one that the page table itself reads.
  func checkImage() throws {
    let own = try table.image()
    // Software's marks need not have reached what the walker sees.
    let memory: any PhysicalMemoryReader = (table as? any MachineTarget)?.machine ?? table.memory
    let read = try subject.reference.image(roots: table.roots, memory: memory)
    guard let difference = own.firstDifference(from: read) else { return }
    func text(_ word: TableImage.Word?) -> String {
      word.map { TableImage(words: [$0]).lines.joined() } ?? "no word"
    }
    throw failure(
      "the page table reads \(text(difference.left)), the reference \(text(difference.right)) of its own tables"
    )
  }

  /// Where empty tables are reclaimed, the top and what grew above an empty top are the only ones that may be empty.
  func checkNoEmptyTables() throws {
    guard options.reclaim != .never else { return }
    let image = try table.image()
    let used = Set(image.words.map(\.table))
    // A top that grew points to the one before it with its first word.
    var former: Set<Int> = [0]
    for word in image.words where subject.isDynamic && word.index == 0 && former.contains(word.table) {
      if let child = word.child { former.insert(child) }
    }
    for word in image.words {
      guard let child = word.child, !used.contains(child), !former.contains(child) else { continue }
      throw failure(
        "with \(options.text), an empty table of level \(word.level - 1) is left at \(TableImage(words: [word]).lines.joined())"
      )
    }
  }

  // MARK: Text

  func failure(_ problem: String) -> SelftestFailure {
    SelftestFailure(details: [problem] + Reproducer.lines(subject.configuration, operations, options))
  }

  private static func text(_ result: OperationResult) -> String {
    result.text.isEmpty ? "no result" : result.text
  }

  /// The IOVAs that an operation may change.
  private static func range(of operation: Operation) -> (iova: UInt64, length: UInt64)? {
    switch operation {
    case .map(let iova, _, let length, _), .mapRange(let iova, _, let length, _),
      .unmap(let iova, let length),
      .dirty(let iova, let length, _):
      (iova, length)
    case .mapPages(let iova, _, let pageSize, let count, _), .unmapPages(let iova, let pageSize, let count):
      (iova, pageSize &* count)
    case .setDirty(let iova), .phys(let iova): (iova, 1)
    case .allocationBudget: nil
    }
  }
}

extension Protection {
  /// What most tests map with.
  static var usual: Protection { [.read, .write] }
}
