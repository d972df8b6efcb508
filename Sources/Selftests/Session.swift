// SPDX-License-Identifier: GPL-2.0-only

import Compare
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
  private(set) var model: Contract
  private(set) var operations: [Operation] = []
  /// Why operations were not run, with how many.
  private(set) var notRun: [String: Int] = [:]
  /// Whether what is mapped may differ from what the generic algorithms would have mapped.
  private var hasDeparted = false

  /// Opens a session on a new page table.
  init(_ subject: Subject, _ target: any TargetFactory, _ options: TargetOptions? = nil) throws {
    self.subject = subject
    self.options = options ?? subject.options
    table = try target.make(subject.configuration, self.options)
    bindsErrors = target.bindsErrors
    guard let own = try target.driver(of: subject.configuration) else {
      model = .generic(MappingModel(subject))
      return
    }
    guard let recorded = table as? any SimulatedTarget else {
      throw TargetGap("the target \(target.name) made a page table without an event log")
    }
    model = .driver(DriverModel(subject, own: own, table: recorded))
  }

  /// Whether syncs and new tops are told in notes of operations, with the tables released.
  var keepsNotes: Bool { table.keepsNotes && !model.isDriver }

  // MARK: Operations

  /// Runs an operation; its result must be `expected` and the model's. Drivers' own code may depart from what is
  /// expected of the generic algorithms, by a rule.
  func expect(_ operation: Operation, _ expected: OperationResult) throws {
    guard let predicted = try run(operation, expected: expected), predicted != expected else { return }
    guard hasDeparted else {
      throw failure(
        "\(operation): this test expects \(Self.text(expected)), the model \(Self.text(predicted))")
    }
  }

  /// Runs an operation; its result must be the model's.
  func perform(_ operation: Operation) throws { try run(operation, expected: nil) }

  /// Runs operations that other tests check.
  func replay(_ operations: [Operation]) {
    for operation in operations {
      guard predict(operation) != nil else { continue }
      self.operations.append(operation)
      _ = model.run(operation, on: table)
    }
  }

  /// What an operation must return; nil where it is not to be run.
  private func predict(_ operation: Operation) -> OperationResult? {
    switch model.predict(operation) {
    case .success(let result):
      hasDeparted = hasDeparted || model.departs
      return result
    case .failure(let reason):
      notRun[reason.rule, default: 0] += 1
      // Lookups change nothing.
      if case .phys = operation { return nil }
      hasDeparted = true
      return nil
    }
  }

  @discardableResult
  private func run(_ operation: Operation, expected: OperationResult?) throws -> OperationResult? {
    guard let predicted = predict(operation) else { return nil }
    operations.append(operation)
    let found = model.run(operation, on: table)
    let wanted = model.isDriver ? predicted : expected ?? predicted
    guard isAlike(found, wanted) else {
      throw failure("\(operation): expected \(Self.text(wanted)), found \(Self.text(found))")
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
    guard let found = model.leaf(at: iova), found.size == size || hasDeparted else {
      if hasDeparted { return }
      let text = model.leaf(at: iova).map { Numbers.size($0.size) } ?? "nothing"
      throw failure("\(Numbers.hex(iova)): expected a leaf of \(Numbers.size(size)), found \(text)")
    }
  }

  /// As many pages of tables must be allocated; drivers' own code may keep empty ones.
  func expectPages(_ count: Int, _ when: String) throws {
    guard table.tablePages == count || model.isDriver && table.tablePages > count else {
      throw failure("\(when): expected \(count) pages of tables, found \(table.tablePages)")
    }
  }

  /// Runs an operation that may run out of memory; then nothing may have changed but what it reports.
  ///
  /// - Returns: whether it ran out of memory.
  func performShortOfMemory(_ operation: Operation) throws -> Bool {
    let before = model
    guard let predicted = predict(operation) else { return false }
    operations.append(operation)
    let found = model.run(operation, on: table)
    let shortage = failed(operation, found, predicted)
    if let left = shortage {
      model = before
      if let left { _ = predict(left) }
    } else if found != predicted {
      throw failure("\(operation): expected \(Self.text(predicted)) or ENOMEM, found \(Self.text(found))")
    }
    try checkAll()
    if shortage != nil, let range = Self.range(of: operation) { try checkAround(range.iova, range.length) }
    return shortage != nil
  }

  /// What an operation that ran out of memory amounts to: nothing, or a map of what it reports; the outer nil where it
  /// did not run out of memory.
  private func failed(
    _ operation: Operation, _ found: OperationResult, _ predicted: OperationResult
  ) -> Operation?? {
    switch (operation, found) {
    case (.map, .failed(let errno)) where isShortage(errno, predicted): return .some(nil)
    case (.mapRange(let iova, let pa, let length, let protection), .failedMapped(let errno, let mapped))
    where isShortage(errno, predicted) && mapped < length:
      guard mapped > 0 else { return .some(nil) }
      return .mapRange(iova: iova, pa: pa, length: mapped, protection: protection)
    default: return nil
    }
  }

  /// Whether an error can be that of memory which is short. Some drivers have another error for it.
  private func isShortage(_ errno: LinuxErrno, _ predicted: OperationResult) -> Bool {
    switch predicted {
    case .ok, .okMapped: errno == .enomem || model.isDriver && errno == .einval
    default: errno == .enomem
    }
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
    // The last byte of 64 bits has a test of its own.
    if iova != .max || !model.isDriver { try checkLookup(iova) }
    if let problem = walkProblem(iova) { throw failure(problem) }
  }

  /// Asks the page table for the output address of one byte.
  func checkLookup(_ iova: UInt64) throws {
    let expected = OperationResult.physical(model.phys(iova))
    let found = table.perform(.phys(iova: iova))
    guard found == expected else {
      throw failure("phys \(Numbers.hex(iova)): expected \(Self.text(expected)), found \(Self.text(found))")
    }
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
    guard let meaning = model.meaning(size: leaf.size, leaf.protection, subject) else {
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

  // MARK: What was run

  /// The outcome of a case: with what was not run, or nothing but that.
  func outcome(_ outcome: SelftestOutcome) -> SelftestOutcome {
    guard case .pass(let details) = outcome, !notRun.isEmpty else { return outcome }
    let count = notRun.values.reduce(0, +)
    let rules = notRun.keys.sorted().joined(separator: ", ")
    let changes = operations.filter { operation in
      switch operation {
      case .phys, .allocationBudget: false
      default: true
      }
    }
    if changes.isEmpty { return .skip(.undefined, detail: "rules of comparisons: \(rules)") }
    return .pass(details: details + ["\(changes.count) operations; \(count) are undefined: \(rules)"])
  }

  /// Ends a case about what syncs and new tops tell, where no notes of them are kept.
  func requireNotes() throws {
    if model.isDriver {
      throw UndefinedByContract(detail: "when drivers' own code syncs is a matter of the events")
    }
    if !table.keepsNotes { throw TargetGap("no notes of syncs are kept") }
  }

  /// Ends a case about pages that a device wrote to, where nothing is known of them.
  func requireDirtyState() throws {
    guard !model.predictsDirtyState else { return }
    throw UndefinedByContract(detail: "which pages this driver's code takes for dirty is not predicted")
  }

  /// Ends a case about what the generic algorithms alone define.
  func requireGeneric(_ detail: String) throws {
    if model.isDriver { throw UndefinedByContract(detail: detail) }
  }

  /// Runs an operation that callers of a driver may ask for, which may run out of memory; false when they may not.
  func runsIfPermitted(_ operation: Operation) -> Bool {
    let before = model
    guard let predicted = predict(operation), !model.isMisused else {
      model = before
      return false
    }
    operations.append(operation)
    if let left = failed(operation, model.run(operation, on: table), predicted) {
      model = before
      if let left { _ = predict(left) }
    }
    return true
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
