// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What tests do with one page table: calls that must succeed or be refused, with words for what went wrong.
///
/// A test makes one, and closes it; so no test sees what another has left.
final class MapperBench {
  let mapper: any Mapper
  let rules: MapperRules
  let memory: MapperMemory
  /// Bytes of the smallest page.
  let page: UInt64

  init(_ mapper: any Mapper) {
    self.mapper = mapper
    rules = MapperRules(mapper.kind)
    memory = MapperMemory(mapper.machine)
    page = mapper.pageSize
  }

  /// Runs a test on a page table of its own.
  static func run<Result>(_ mapper: any Mapper, _ body: (MapperBench) throws -> Result) throws -> Result {
    let bench = MapperBench(mapper)
    defer {
      // The memory goes after what maps it.
      mapper.close()
      bench.memory.release()
    }
    return try body(bench)
  }

  // MARK: Room and memory

  /// An IOVA with room for `length` bytes, far from the first one.
  func room(_ length: UInt64, alignment: UInt64? = nil) throws -> UInt64 {
    let first = mapper.ranges.first?.first ?? 0
    let alignment = alignment ?? (2 << 20)
    let found =
      mapper.room(length, alignment: alignment, from: first &+ (2 << 20))
      ?? mapper.room(length, alignment: alignment)
    guard let found else {
      throw KernelSkip(.hardware, "there is no room for \(Numbers.size(length)) of IOVAs: \(ranges)")
    }
    return found
  }

  /// The ranges, for messages.
  var ranges: String {
    mapper.ranges.map { "\(Numbers.hex($0.first))..\(Numbers.hex($0.last))" }.joined(separator: " ")
  }

  /// Memory of `count` smallest pages.
  func pages(_ count: UInt64) throws -> UInt64 {
    try memory.pages(count * (page / PhysicalAddresses.pageSize))
  }

  // MARK: Calls that must succeed

  func map(_ iova: UInt64, _ address: UInt64, _ length: UInt64, read: Bool = true, write: Bool = true) throws
  {
    do {
      try mapper.map(iova: iova, address: address, length: length, read: read, write: write)
    } catch {
      throw Self.unexpected("map of \(text(iova, length))", error, expected: "success")
    }
  }

  /// Unmaps, and sees that `removed` bytes were told to have been removed.
  func unmap(_ iova: UInt64, _ length: UInt64, removes removed: UInt64? = nil) throws {
    let wanted = removed ?? length
    let what = "unmap of \(text(iova, length))"
    let found: UInt64
    do {
      found = try mapper.unmap(iova: iova, length: length)
    } catch {
      throw Self.unexpected(what, error, expected: "\(Numbers.hex(wanted)) bytes removed")
    }
    guard found == wanted else {
      throw KernelFailure(
        "\(what): expected \(Numbers.hex(wanted)) bytes removed, found \(Numbers.hex(found))")
    }
  }

  /// Sees that memory is translated as it was mapped, where the interface can tell.
  func seeTranslated(_ iova: UInt64, _ address: UInt64, _ length: UInt64) throws {
    guard try mapper.translates(iova: iova, to: address, length: length) == false else { return }
    throw KernelFailure("\(text(iova, length)) was mapped, and does not translate to that memory")
  }

  /// Sees that nothing is mapped in a range: each page can be mapped, and goes again.
  func seeEmpty(_ iova: UInt64, _ length: UInt64, _ address: UInt64) throws {
    var offset: UInt64 = 0
    while offset < length {
      let place = iova &+ offset
      guard try mapper.translates(iova: place, to: address, length: page) != true else {
        throw KernelFailure("\(text(place, page)) was unmapped, and still translates")
      }
      try map(place, address, page)
      try seeTranslated(place, address, page)
      try unmap(place, page)
      offset &+= page
    }
  }

  // MARK: Calls that must be refused

  func refusedMap(
    _ iova: UInt64, _ address: UInt64, _ length: UInt64, read: Bool = true, write: Bool = true,
    _ errors: KeyPath<MapperRules, Set<Int32>>
  ) throws {
    try refused("map of \(text(iova, length))", rules[keyPath: errors]) { () throws(MachineError) in
      try mapper.map(iova: iova, address: address, length: length, read: read, write: write)
      return "success"
    }
  }

  func refusedUnmap(_ iova: UInt64, _ length: UInt64, _ errors: KeyPath<MapperRules, Set<Int32>>) throws {
    try refused("unmap of \(text(iova, length))", rules[keyPath: errors]) { () throws(MachineError) in
      "\(Numbers.hex(try mapper.unmap(iova: iova, length: length))) bytes removed"
    }
  }

  /// Unmaps where nothing is mapped: 0 bytes, or the interface's error.
  func unmapNothing(_ iova: UInt64, _ length: UInt64) throws {
    if rules.nothing.isEmpty {
      try unmap(iova, length, removes: 0)
    } else {
      try refusedUnmap(iova, length, \.nothing)
    }
  }

  private func refused(
    _ what: String, _ errors: Set<Int32>, _ call: () throws(MachineError) -> String
  ) throws {
    let expected = errors.sorted().map(ErrorNumber.name).joined(separator: " or ")
    let found: String
    do {
      found = try call()
    } catch {
      guard let number = error.number else { throw error }
      if errors.contains(number) { return }
      throw Self.unexpected(what, error, expected: expected)
    }
    throw KernelFailure("\(what): expected \(expected), found \(found)")
  }

  private static func unexpected(_ what: String, _ error: MachineError, expected: String) -> any Error {
    guard let number = error.number else { return error }
    return KernelFailure("\(what): expected \(expected), found \(ErrorNumber.name(number)) (\(error))")
  }

  private func text(_ iova: UInt64, _ length: UInt64) -> String {
    "\(Numbers.size(length)) at IOVA \(Numbers.hex(iova))"
  }
}
