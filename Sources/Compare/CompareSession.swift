// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Simulator

/// Runs operations on two new page tables and compares them after each one.
final class CompareSession {
  private let world: CompareWorld
  private let left: LiveSide
  /// Nil for the reference.
  private let right: LiveSide?
  private(set) var leftModel: any Predictor
  private var rightModel: any Predictor
  private var operations: [Operation] = []
  private let fullInterval: Int
  private var random = RandomNumbers(seed: 0)

  /// Makes both page tables, empty.
  ///
  /// - Parameters:
  ///   - fullInterval: after how many operations whole images and the log of events are checked.
  /// - Throws: what making a page table throws.
  init(_ world: CompareWorld, fullInterval: Int) throws {
    self.world = world
    self.fullInterval = fullInterval
    world.journal?.start()
    guard let make = world.left.make else {
      throw ConfigurationError(.einval, "the left side makes no page tables: it cannot be the reference")
    }
    left = LiveSide(
      name: world.left.word, try make(world.physicalBase, CompareWorld.reserve), world.reference,
      checksLifeCycle: world.left.checksLifeCycle)
    right = try world.right.make.map {
      LiveSide(
        name: world.right.word, try $0(world.physicalBase, CompareWorld.reserve), world.reference,
        checksLifeCycle: world.right.checksLifeCycle)
    }
    leftModel = world.predictor(of: world.left, left, isRight: false)
    rightModel = world.predictor(of: world.right, right ?? left, isRight: true)
  }

  /// Operations run so far.
  var operationCount: Int { operations.count }

  /// What is mapped on the left side.
  var leaves: LeafList { leftModel.leaves }

  /// Runs an operation on both sides and compares.
  ///
  /// - Throws: `Difference`.
  func perform(_ operation: Operation) throws(Difference) {
    world.journal?.add(operation)
    let before = rightModel
    let expected = rightModel.perform(operation)
    if let rule = rightModel.skipped {
      rightModel = before
      world.note(rule.rawValue)
      return
    }
    operations.append(operation)
    do throws(Mismatch) {
      try run(operation, expected)
      if operations.count % fullInterval == 0 { try checkAll() }
    } catch {
      throw difference(error)
    }
  }

  /// Checks all there is to check and releases everything.
  ///
  /// - Throws: `Difference`.
  func finish() throws(Difference) {
    do throws(Mismatch) {
      try checkAll()
      for side in sides {
        if let problem = side.finish() { throw Mismatch(.lifeCycle, "\(side.name): \(problem)") }
      }
    } catch {
      throw difference(error)
    }
  }

  private var sides: [LiveSide] { right.map { [left, $0] } ?? [left] }

  private func difference(_ mismatch: Mismatch) -> Difference {
    Difference(
      check: mismatch.check, message: mismatch.message, operations: operations,
      leftOperations: left.operations, rightOperations: right?.operations ?? operations,
      words: mismatch.words)
  }

  // MARK: One operation

  private func run(_ operation: Operation, _ rightResult: OperationResult) throws(Mismatch) {
    let before = leftModel.leaves
    let expected = (leftModel.perform(operation), rightResult)
    let addresses = operation.reach.map { probes(in: $0) } ?? []
    for side in sides { side.access(addresses) }
    var found = (left.perform(operation), right?.perform(operation) ?? expected.1)
    if !world.left.bindsErrors { found.0 = Self.withError(of: expected.0, found.0) }
    if !world.right.bindsErrors { found.1 = Self.withError(of: expected.1, found.1) }
    try compareResults(operation, expected, found)
    guard let reach = operation.reach else { return }
    do throws(Mismatch) { try probe(addresses) } catch { throw withWords(error) }
    for side in sides {
      if let stale = side.staleTranslation(addresses, reach) {
        throw Mismatch(.cache, "\(side.name): \(stale)")
      }
    }
    // What an operation changes can reach beyond its range: leaves that it takes whole, or only in part.
    let end = max(reach.upperBound, rightModel.overshoot ?? 0)
    let hull = before.hull(reach.lowerBound, end)
    let isSame = leftModel.leaves.mapsSame(as: rightModel.leaves, from: hull.lowerBound, to: hull.upperBound)
    if !isSame || found.0 != found.1 { try excuse(operation, found, before, reach) }
    if !isSame { try reconcile(hull) }
    try compareImages()
  }

  /// Where errors do not bind, any error is that of the model.
  private static func withError(of expected: OperationResult, _ found: OperationResult) -> OperationResult {
    switch (expected, found) {
    case (.failed, .failed): return expected
    case (.failedMapped(_, let bytes), .failedMapped(_, let found)) where bytes == found: return expected
    default: return found
    }
  }

  /// The same with the first wrong word, where the reference says what it must be.
  private func withWords(_ mismatch: Mismatch) -> Mismatch {
    guard right == nil, mismatch.words == nil else { return mismatch }
    var mismatch = mismatch
    do throws(Mismatch) { try compareImages() } catch { mismatch.words = error.words }
    return mismatch
  }

  private func compareResults(
    _ operation: Operation, _ expected: (OperationResult, OperationResult),
    _ found: (OperationResult, OperationResult)
  ) throws(Mismatch) {
    if found == expected { return }
    let text = "\(operation): \(left.name) \(Self.text(found.0)), \(world.right.word) \(Self.text(found.1))"
    let isLeft = found.0 != expected.0
    throw Mismatch(
      .results,
      "\(text); what is mapped makes \(Self.text(isLeft ? expected.0 : expected.1)) "
        + "of \(isLeft ? left.name : world.right.word)")
  }

  /// Sides that differ need a rule for that.
  private func excuse(
    _ operation: Operation, _ found: (OperationResult, OperationResult), _ before: LeafList,
    _ reach: ClosedRange<UInt64>
  ) throws(Mismatch) {
    var rules = rightModel.notes.map(\.rawValue).filter(world.operationRules.contains)
    if case .unmap = operation, world.operationRules.contains(Self.contiguousRule),
      [reach.lowerBound, reach.upperBound].contains(where: { isInsideContiguous($0, before, reach) })
    {
      rules.append(Self.contiguousRule)
    }
    guard !rules.isEmpty else {
      throw Mismatch(
        .results,
        "\(operation): \(left.name) \(Self.text(found.0)), \(world.right.word) \(Self.text(found.1)), "
          + "and no rule allows the difference")
    }
    for rule in rules { world.note(rule) }
  }

  private static let contiguousRule = "contiguous-whole"

  /// Whether a range takes only part of a leaf of several words that an IOVA belongs to.
  private func isInsideContiguous(
    _ iova: UInt64, _ before: LeafList, _ reach: ClosedRange<UInt64>
  ) -> Bool {
    guard let leaf = before.leaf(at: iova), leaf.start < reach.lowerBound || leaf.last > reach.upperBound,
      let level = world.subject.level(ofSize: leaf.size)
    else { return false }
    return world.reference.leafWordCount(level: level, size: leaf.size) ?? 1 > 1
  }

  private func compareImages() throws(Mismatch) {
    var spans = left.takeTouched()
    guard let right else {
      return try ModelComparison(world: world, side: left, leaves: leaves).compare(spans)
    }
    for span in right.takeTouched() where !spans.contains(span) { spans.append(span) }
    try ImageComparison(world: world, left: left, right: right, leaves: leaves).compare(spans)
  }

  /// Takes away on both sides what an operation left in unlike states, once that has been verified.
  private func reconcile(_ reach: ClosedRange<UInt64>) throws(Mismatch) {
    var first = reach.lowerBound
    var last = reach.upperBound
    while true {
      let touched =
        leftModel.leaves.leaves(from: first, to: last) + rightModel.leaves.leaves(from: first, to: last)
      let start = touched.reduce(first) { min($0, $1.start) }
      let end = touched.reduce(last) { max($0, $1.last) }
      if start == first, end == last { break }
      (first, last) = (start, end)
    }
    try probe(probes(in: first...last, samples: 8))
    try clear(left, &leftModel, first, last)
    if let right { try clear(right, &rightModel, first, last) }
    rightModel.forget(from: first, to: last)
    try probe(probes(in: first...last))
  }

  private func clear(
    _ side: LiveSide, _ model: inout any Predictor, _ first: UInt64, _ last: UInt64
  ) throws(Mismatch) {
    var extents: [(start: UInt64, length: UInt64)] = []
    for leaf in model.leaves.leaves(from: first, to: last) {
      if let end = extents.last, end.start &+ end.length == leaf.start {
        extents[extents.count - 1].length &+= leaf.size
      } else {
        extents.append((leaf.start, leaf.size))
      }
    }
    for extent in extents {
      let operation = Operation.unmap(iova: extent.start, length: extent.length)
      let found = side.perform(operation)
      guard found == .unmapped(extent.length) else {
        throw Mismatch(.results, "\(operation), all of it leaves of \(side.name): \(Self.text(found))")
      }
    }
    model.forget(from: first, to: last)
  }

  // MARK: Walks

  /// Both ends of a range, their neighbours, and some places in it.
  private func probes(in reach: ClosedRange<UInt64>, samples: Int = 2) -> [UInt64] {
    let first = reach.lowerBound
    let last = reach.upperBound
    var addresses = [first, first &- 1, last &+ 1]
    if last > first {
      addresses.append(last)
      for _ in 0..<samples { addresses.append(first &+ random.below(last - first)) }
    }
    // Linux's own lookup does not refuse all non-canonical addresses: they are no part of this.
    return addresses.filter { iova in world.subject.spans.contains { $0.contains(iova) } }
  }

  private func probe(_ addresses: [UInt64]) throws(Mismatch) {
    for iova in addresses {
      try probe(iova, left, leftModel)
      if let right { try probe(iova, right, rightModel) }
    }
  }

  private func probe(_ iova: UInt64, _ side: LiveSide, _ model: any Predictor) throws(Mismatch) {
    let leaf = model.leaves.leaf(at: iova)
    let place = "\(side.name), \(Numbers.hex(iova))"
    // First, for an implementation cannot be asked to follow its own pointers where they lead astray.
    if let problem = walkProblem(iova, leaf, side, model) { throw Mismatch(.walk, "\(place): \(problem)") }
    if side === right, world.skipsTranslation(of: iova) { return world.note(LegacyRule.lastByte.rawValue) }
    let expected = leaf.map { $0.pa &+ (iova &- $0.start) }
    let found = side.phys(iova)
    guard found == expected else {
      throw Mismatch(
        .results,
        "\(place): phys is \(found.map(Numbers.hex) ?? "none"), expected \(expected.map(Numbers.hex) ?? "none")"
      )
    }
  }

  private func walkProblem(
    _ iova: UInt64, _ leaf: LeafList.Leaf?, _ side: LiveSide, _ model: any Predictor
  ) -> String? {
    // A block that is split leaves sizes behind that are not on offer; they mean what small leaves do.
    let meaning = leaf.flatMap { leaf in
      model.meaning(size: leaf.size, leaf.protection)
        ?? model.meaning(size: world.subject.granule, leaf.protection)
    }
    let access: DeviceAccess = meaning.map { $0.protection.contains(.read) ? .read : .write } ?? .read
    let walked = world.reference.walk(
      iova: iova, roots: side.table.roots, memory: side.table.memory, access: access)
    switch walked {
    case .failure(let fault):
      if leaf != nil { return "the walk faults: \(fault)" }
      return fault.key == FaultKey.absent.rawValue || fault.key == FaultKey.input.rawValue
        ? nil : "nothing is mapped, and the tables are damaged: \(fault)"
    case .success(let walked):
      guard let leaf, let meaning else { return "the walk ends at \(Numbers.hex(walked.pa))" }
      guard walked.pa == leaf.pa &+ (iova &- leaf.start), walked.leafSize == leaf.size else {
        return "the walk ends at \(Numbers.hex(walked.pa)) in a leaf of \(Numbers.size(walked.leafSize)), "
          + "expected \(Numbers.hex(leaf.pa &+ (iova &- leaf.start))) in \(Numbers.size(leaf.size))"
      }
      guard walked.protection == meaning.protection else {
        return "the walk grants \(walked.protection.text), expected \(meaning.protection.text)"
      }
      guard !world.subject.tracksDirty || walked.dirty == leaf.isDirty else {
        return "the leaf is \(walked.dirty ? "dirty" : "clean")"
      }
      return nil
    }
  }

  // MARK: Everything

  /// The slow checks: whole images, and the log of events.
  private func checkAll() throws(Mismatch) {
    try FullImages(world: world, leaves: leaves).compare(left, right)
    for side in sides {
      if let problem = side.lifeCycleProblem() { throw Mismatch(.lifeCycle, "\(side.name): \(problem)") }
    }
  }

  private static func text(_ result: OperationResult) -> String {
    result.text.isEmpty ? "no result" : result.text
  }
}
