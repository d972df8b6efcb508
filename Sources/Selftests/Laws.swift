// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// One run of the laws of every page table.
struct Laws {
  /// Operations of a run.
  private static let operationCount = 400
  /// Pages of the stretch of addresses in use.
  private static let room: UInt64 = 2048

  private let table: any PageTableUnderTest
  private let text: String
  private var random: RandomNumbers
  private var operations: [Operation] = []
  /// The output address of each page that is mapped.
  private var pages: [UInt64: UInt64] = [:]
  private var granule: UInt64 = 4096
  /// Width of output addresses, 0 where the configuration does not say.
  private let outputBits: Int
  /// The first IOVA in use.
  private var start: UInt64 = 0

  init(_ configuration: Configuration, _ context: SelftestContext) throws {
    table = try context.target.make(configuration, TargetOptions(physicalBase: TargetOptions.imageBase))
    text = configuration.completeText
    outputBits = configuration.number("oa")
    random = RandomNumbers(seed: context.seed, name: "laws.\(text)")
  }

  mutating func run() throws {
    try findGranule()
    for _ in 0..<Self.operationCount {
      let (place, length) = range()
      if random.chance(60) {
        try map(place, length, isShort: random.chance(20))
      } else {
        try unmap(place, length)
      }
    }
    for page in pages.keys.sorted() where pages[page] != nil { try unmap(page, granule) }
    if let left = pages.keys.min() { throw failure("\(Numbers.hex(left)) cannot be unmapped") }
    try release()
  }

  /// A range of few pages, of many, or one that large leaves fit into, which has a place of its own to find free.
  private mutating func range() -> (iova: UInt64, length: UInt64) {
    let place = UInt64(random.below(Int(Self.room)))
    if random.chance(20) {
      return (start + (1 << 12 | place & ~511) * granule, UInt64(1 + random.below(2)) * 512 * granule)
    }
    return (start + place * granule, UInt64(1 + random.below(random.chance(20) ? 700 : 8)) * granule)
  }

  /// An output address: low or, where the configuration says how wide addresses are, at the upper end; half of them such
  /// that large leaves fit.
  private mutating func output(for iova: UInt64) -> UInt64 {
    var pa = UInt64(random.below(1 << 16)) * granule
    if random.chance(50) { pa = pa & ~(512 * granule - 1) | iova & (512 * granule - 1) }
    let room = granule << 17
    guard outputBits < 64, room < Bits.bit(outputBits), random.chance(50) else { return pa }
    return Bits.bit(outputBits) - room + pa
  }

  /// The smallest page that can be mapped, high or low.
  private mutating func findGranule() throws {
    for size: UInt64 in [2048, 4096, 16384, 65536] {
      for first in [size << 24, size << 12] {
        guard perform(.map(iova: first, pa: size, length: size, protection: .usual)) == .ok else { continue }
        (granule, start) = (size, first)
        pages[first] = size
        return try unmap(first, size)
      }
    }
    throw failure("no page of 2K to 64K can be mapped")
  }

  private func release() throws {
    guard let machine = table as? any MachineTarget else { return }
    machine.destroy()
    guard table.tablePages == 0 else {
      throw failure("\(table.tablePages) pages of tables are left at the end")
    }
    if let violation = (machine.machine.violations + machine.machine.verifyReleasedTables()).first {
      throw failure("\(violation)")
    }
  }

  // MARK: Operations

  /// - Parameter isShort: whether there is memory for one or two more tables only.
  private mutating func map(_ iova: UInt64, _ length: UInt64, isShort: Bool) throws {
    let pa = output(for: iova)
    let range = stride(from: iova, to: iova + length, by: Int(granule))
    let isBusy = range.contains { pages[$0] != nil }
    if isShort { _ = perform(.allocationBudget(pages: random.below(3))) }
    let operation = Operation.map(iova: iova, pa: pa, length: length, protection: .usual)
    let found = perform(operation)
    if isShort { _ = perform(.allocationBudget(pages: nil)) }
    switch found {
    case .ok where !isBusy: for page in range { pages[page] = pa + (page - iova) }
    case .failed where isBusy: break
    case .failed(.enomem) where isShort: break
    default: throw failure("\(operation): the range is \(isBusy ? "busy" : "free"), found \(found.text)")
    }
    try check(around: iova, length)
  }

  /// Removes the pages up to the first hole, and more where a larger leaf goes whole; or nothing where the range starts
  /// inside of one.
  private mutating func unmap(_ iova: UInt64, _ length: UInt64) throws {
    var end = iova
    while end < iova + length, pages[end] != nil { end += granule }
    let operation = Operation.unmap(iova: iova, length: length)
    let found = perform(operation)
    guard case .unmapped(let bytes) = found, bytes >= end - iova || bytes == 0, bytes % granule == 0 else {
      throw failure("\(operation): \(end - iova) bytes are mapped there, found \(found.text)")
    }
    var gone: UInt64 = 0
    for page in pages.keys {
      let result = perform(.phys(iova: page))
      if result == .physical(nil) {
        pages[page] = nil
        gone += granule
      } else if result != .physical(pages[page]) {
        throw failure("\(operation): it changed the page \(Numbers.hex(page)): \(result.text)")
      } else if bytes > 0, iova <= page, page < end {
        throw failure("\(operation): found \(bytes), and the page \(Numbers.hex(page)) is still mapped")
      }
    }
    guard gone <= bytes else { throw failure("\(operation): found \(bytes), and \(gone) bytes are gone") }
    try check(around: iova, length)
  }

  /// Each page of a range, or some of many, and the ones beside it.
  private mutating func check(around iova: UInt64, _ length: UInt64) throws {
    let count = length / granule
    var places = [iova - granule, iova + length]
    for index in 0..<min(count, 24) {
      places.append(iova + granule * (count <= 24 ? index : UInt64(random.below(Int(count)))))
    }
    for place in places {
      let inside = UInt64(random.below(Int(granule)))
      let expected = OperationResult.physical(pages[place].map { $0 + inside })
      let found = perform(.phys(iova: place + inside))
      guard found == expected else {
        throw failure("phys \(Numbers.hex(place + inside)): expected \(expected.text), found \(found.text)")
      }
    }
  }

  private mutating func perform(_ operation: Operation) -> OperationResult {
    if case .phys = operation {} else { operations.append(operation) }
    return table.perform(operation)
  }

  private func failure(_ problem: String) -> SelftestFailure {
    SelftestFailure(details: [problem, "on '\(text)', after:"] + operations.suffix(8).map { "  \($0)" })
  }
}
