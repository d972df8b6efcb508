// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable

/// Random maps and unmaps, each checked with the hardware's walk against a dictionary, with tables at
/// addresses that exercise every bit of a table pointer.
enum WalkerTests {
  /// Operations on each page table.
  static let operationCount = 60

  static func tests(_ configuration: Configuration) -> [Selftest] {
    let words = [configuration.slug]
    return [
      Selftest(.walker, words, configuration: configuration) { context in
        try run(context.subject(configuration), context)
      }
    ]
  }

  /// The memory and policies that the operations run in.
  static func setups(_ subject: Subject, _ target: any TargetFactory) -> [TargetOptions] {
    let policies: [Reclaim] =
      target.capabilities.contains(.reclaim) ? [.never, .eager, .bounded(2), .never] : [.never]
    let bases =
      target.capabilities.contains(.placement)
      ? subject.physicalBases(reserve: TargetOptions.usualReserve) : [subject.usualBase]
    return (0..<max(policies.count, bases.count)).map { index in
      var options = TargetOptions(physicalBase: bases[index % bases.count])
      options.reclaim = policies[index % policies.count]
      return options
    }
  }

  private static func run(_ subject: Subject, _ context: SelftestContext) throws -> SelftestOutcome {
    let name = "walker.\(subject.configuration.slug)"
    for (index, options) in setups(subject, context.target).enumerated() {
      var generator = OperationGenerator(
        subject, RandomNumbers(seed: context.seed, name: "\(name).\(index)"))
      let operations = generator.operations(operationCount)
      guard let failure = try problem(operations, subject, context.target, options) else { continue }
      let fewer = Shrinker.minimize(operations, limit: context.shrinkLimit) { part in
        (try? problem(part, subject, context.target, options)) ?? nil != nil
      }
      throw try problem(fewer, subject, context.target, options) ?? failure
    }
    try spread(subject, context)
    try refusals(subject, context)
    return .pass
  }

  /// What goes wrong when the operations run on a new page table.
  private static func problem(
    _ operations: [Operation], _ subject: Subject, _ target: any TargetFactory, _ options: TargetOptions
  ) throws -> SelftestFailure? {
    do {
      let session = try Session(subject, target, options)
      for operation in operations { try session.perform(operation) }
      try session.checkAll()
      try session.checkImage()
      try session.checkNoEmptyTables()
      return nil
    } catch let failure as SelftestFailure {
      return failure
    } catch let gap as TargetGap {
      throw gap
    } catch {
      return SelftestFailure("\(error)")
    }
  }

  /// Many tables, so that the low bits of table pointers change, too: one page in each of many.
  private static func spread(_ subject: Subject, _ context: SelftestContext) throws {
    let bases = setups(subject, context.target).map(\.physicalBase)
    let session = try Session(subject, context.target, TargetOptions(physicalBase: bases[bases.count - 1]))
    guard let step = subject.reference.shift(level: 1).map({ Bits.bit($0) }) else { return }
    let start = subject.spans[0].lowerBound
    let count = min(300, (subject.spans[0].upperBound - start) / step)
    for index in 0..<count {
      let iova = start + index * step
      try session.perform(
        .map(iova: iova, pa: iova & Bits.lowMask(30), length: subject.granule, protection: [.read, .write]))
    }
    try session.checkAll()
  }

  /// Everything that can be wrong with a map, alone and together: which error comes first is the model's.
  private static func refusals(_ subject: Subject, _ context: SelftestContext) throws {
    let session = try Session(subject, context.target)
    let granule = subject.granule
    let place = subject.place(granule * 64)
    let outputBits = subject.shape.geometry.outputBits
    let wide = outputBits < 64 ? Bits.bit(outputBits) : 0
    let beyond = subject.spans[0].upperBound &+ 1
    let ranges: [(iova: UInt64, length: UInt64)] = [
      (place, granule), (place, 0), (place, granule + 1), (place + 1, granule), (0 &- granule, granule * 2),
      (1 &- granule, granule * 2), (beyond, granule), (beyond &+ 1, granule), (beyond, 0),
    ]
    for protection in [[], .cache, .read, .write, [.read, .write]] as [Protection] {
      for pa in [0, 1, wide, wide | 1] {
        for range in ranges where !subject.shape.isSignExtended || range.iova < beyond || range.length == 0 {
          try session.perform(
            .map(iova: range.iova, pa: pa, length: range.length, protection: protection))
        }
      }
    }
    try session.checkAll()
  }
}
