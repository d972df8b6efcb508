// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// The laws of every page table, for formats that the kit has no specification of: what is mapped translates, what is
/// not does not, a busy range is refused and stays, and all tables are released in the end. No walk, no words.
enum LawTests {
  /// - Parameter text: a configuration of the target's own, `format:key=value,…`.
  static func test(_ text: String) -> Selftest {
    let configuration = configuration(text)
    let words = configuration.schema.keys.map { "\($0.name)-\($0.defaultValue)" }
    let name = (["semantics", configuration.format] + words + ["laws"]).map(word).joined(separator: ".")
    return Selftest(name: name, .semantics, configuration: text) { context in
      var laws = try Laws(configuration, context)
      try laws.run()
      return .pass
    }
  }

  /// The configuration of a text; its keys are known to the target only.
  private static func configuration(_ text: String) -> Configuration {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    let keys = (parts.count > 1 ? parts[1] : "").split(separator: ",").compactMap {
      pair -> ConfigurationKey? in
      let words = pair.split(separator: "=", maxSplits: 1).map(String.init)
      guard words.count == 2 else { return nil }
      return ConfigurationKey(words[0], .choice([words[1]]), default: words[1], "of the target")
    }
    return ConfigurationSchema(format: parts.first ?? "", keys: keys).standard
  }

  private static func word(_ text: String) -> String {
    String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "-" })
  }
}

/// One run of the laws.
private struct Laws {
  let table: any PageTableUnderTest
  var random: RandomNumbers
  var operations: [Operation] = []
  /// The output address of each page that is mapped.
  var pages: [UInt64: UInt64] = [:]
  var granule: UInt64 = 4096
  /// Width of output addresses, 0 where the configuration does not say.
  let outputBits: Int
  let text: String

  init(_ configuration: Configuration, _ context: SelftestContext) throws {
    table = try context.target.make(configuration, TargetOptions(physicalBase: TargetOptions.imageBase))
    text = configuration.completeText
    outputBits = configuration.number("oa")
    random = RandomNumbers(seed: context.seed, name: "laws.\(text)")
  }

  mutating func run() throws {
    try findGranule()
    for _ in 0..<400 {
      let (start, length) = range()
      if random.chance(60) { try map(start, length) } else { try unmap(start, length) }
    }
    for page in pages.keys.sorted() where pages[page] != nil { try unmap(page, granule) }
    guard let machine = table as? any MachineTarget else { return }
    machine.destroy()
    guard table.tablePages == 0 else {
      throw failure("\(table.tablePages) pages of tables are left at the end")
    }
    if let violation = (machine.machine.violations + machine.machine.verifyReleasedTables()).first {
      throw failure("\(violation)")
    }
  }

  /// A range of few pages, of many, or one that large leaves fit into, which has a place of its own to find free.
  private mutating func range() -> (start: UInt64, length: UInt64) {
    let place = UInt64(random.below(2048))
    if random.chance(20) {
      return ((1 << 24 | 1 << 12 | place & ~511) * granule, UInt64(1 + random.below(2)) * 512 * granule)
    }
    return ((1 << 24 | place) * granule, UInt64(1 + random.below(random.chance(20) ? 700 : 8)) * granule)
  }

  /// An output address: low or, where the configuration says how wide addresses are, at the upper end; half of them such
  /// that large leaves fit.
  private mutating func output(for start: UInt64) -> UInt64 {
    var pa = UInt64(random.below(1 << 16)) * granule
    if random.chance(50) { pa = pa & ~(512 * granule - 1) | start & (512 * granule - 1) }
    let room = granule << 17
    guard outputBits < 64, room < Bits.bit(outputBits), random.chance(50) else { return pa }
    return Bits.bit(outputBits) - room + pa
  }

  /// The smallest page that can be mapped.
  private mutating func findGranule() throws {
    for size: UInt64 in [2048, 4096, 16384, 65536] {
      let first = Operation.map(iova: size << 24, pa: size, length: size, protection: .usual)
      guard perform(first) == .ok else { continue }
      granule = size
      pages[size << 24] = size
      return try unmap(size << 24, size)
    }
    throw failure("no page of 2K to 64K can be mapped")
  }

  private mutating func map(_ start: UInt64, _ length: UInt64) throws {
    let pa = output(for: start)
    let range = stride(from: start, to: start + length, by: Int(granule))
    let isBusy = range.contains { pages[$0] != nil }
    let found = perform(.map(iova: start, pa: pa, length: length, protection: .usual))
    switch found {
    case .ok where !isBusy: for page in range { pages[page] = pa + (page - start) }
    case .failed where isBusy: break
    default:
      throw failure(
        "\(operations.last.map { "\($0)" } ?? ""): \(isBusy ? "the range is busy" : "the range is free"), found \(found.text)"
      )
    }
    try check(around: start, length)
  }

  /// Removes as many pages as there are before the first hole, or more where a whole leaf goes.
  private mutating func unmap(_ start: UInt64, _ length: UInt64) throws {
    var end = start
    while end < start + length, pages[end] != nil { end += granule }
    let found = perform(.unmap(iova: start, length: length))
    guard case .unmapped(let bytes) = found, bytes >= end - start || bytes == 0, bytes % granule == 0 else {
      throw failure(
        "\(operations.last.map { "\($0)" } ?? ""): \(Numbers.hex(end - start)) bytes are mapped there, found \(found.text)"
      )
    }
    // Neither what lies before the range nor what goes with a larger leaf is known here: the table says.
    for page in pages.keys where page >= start &- (1 << 30) && page < start + length + (1 << 30) {
      guard perform(.phys(iova: page)) == .physical(nil) else { continue }
      pages[page] = nil
    }
    if end > start, bytes > 0 { try check(around: start, end - start) }
  }

  private mutating func check(around start: UInt64, _ length: UInt64) throws {
    for place in [start, start + length - granule, start - granule, start + length] {
      let expected = OperationResult.physical(pages[place])
      let found = perform(.phys(iova: place))
      guard found == expected else {
        throw failure("phys \(Numbers.hex(place)): expected \(expected.text), found \(found.text)")
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
