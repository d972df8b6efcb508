// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// What iommufd has beyond map and unmap (include/uapi/linux/iommufd.h): copies, IOVAs that the kernel chooses, address spaces.
enum IOMMUFDTests {
  typealias Body = @Sendable (MapperBench, IOMMUFDMapper) throws -> KernelOutcome

  static func all(_ suite: MapperSuite) -> [KernelTest] {
    let cases: [(String, Body)] = [
      ("copy", copy), ("copy_errors", copyErrors), ("chosen_iova", chosenIOVA),
      ("unattached_ranges", unattachedRanges), ("unknown_flags", unknownFlags),
      ("destroy_in_use", destroyInUse),
    ]
    return cases.map { name, body in
      suite.test("ioas.\(name)") { bench in
        guard let mapper = bench.mapper as? IOMMUFDMapper else {
          throw KernelFailure("this test is for iommufd, the page table is of \(bench.mapper.kind.rawValue)")
        }
        return try body(bench, mapper)
      }
    }
  }

  private static let access = IOMMUFD.flags(read: true, write: true)

  /// A copy is a mapping of its own: it stays when what it was made of goes.
  private static func copy(_ bench: MapperBench, _ mapper: IOMMUFDMapper) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(8)
    let iova = try bench.room(32 * page)
    let copy = iova + 16 * page
    try bench.map(iova, address, 8 * page)
    try call("copy", IOMMUFD.copy, on: mapper, copied(mapper, from: iova, to: copy, 8 * page))
    try bench.seeTranslated(copy, address, 8 * page)
    try bench.unmap(iova, 8 * page)
    try bench.seeTranslated(copy, address, 8 * page)
    try bench.refusedMap(copy, address, page, \.overlap)
    try bench.unmap(copy, 8 * page)
    // From a space without a device, and a part of a mapping.
    let other = try mapper.newSpace()
    let source = IOMMUFD.map(
      other, iova: iova, address: address, length: 8 * page, flags: access | IOMMUFD.fixedIOVA)
    try call("map", IOMMUFD.map, on: mapper, source)
    let part = IOMMUFD.copy(
      from: (other, iova + 2 * page), to: (mapper.space, copy), length: 3 * page,
      flags: access | IOMMUFD.fixedIOVA)
    try call("copy of a part", IOMMUFD.copy, on: mapper, part)
    try bench.seeTranslated(copy, address + 2 * page, 3 * page)
    try mapper.destroy(other)
    try bench.seeTranslated(copy, address + 2 * page, 3 * page)
    try bench.unmap(copy, 3 * page)
    try bench.seeEmpty(iova, 32 * page, address)
    return .pass
  }

  private static func copyErrors(_ bench: MapperBench, _ mapper: IOMMUFDMapper) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(4)
    let iova = try bench.room(32 * page)
    try bench.map(iova, address, 4 * page)
    try refused("copy of what is not mapped", ErrorNumber.notFound) { () throws(MachineError) in
      try mapper.machine.control(
        mapper.file, IOMMUFD.copy, copied(mapper, from: iova + 8 * page, to: iova + 16 * page, page))
    }
    try refused("copy over a mapping", ErrorNumber.exists) { () throws(MachineError) in
      try mapper.machine.control(mapper.file, IOMMUFD.copy, copied(mapper, from: iova, to: iova + page, page))
    }
    try refused("copy of no bytes", ErrorNumber.invalid) { () throws(MachineError) in
      try mapper.machine.control(
        mapper.file, IOMMUFD.copy, copied(mapper, from: iova, to: iova + 16 * page, 0))
    }
    try bench.unmap(iova, 4 * page)
    try bench.seeEmpty(iova, 32 * page, address)
    return .pass
  }

  /// Without a fixed IOVA the kernel finds one that is free and may be mapped.
  private static func chosenIOVA(_ bench: MapperBench, _ mapper: IOMMUFDMapper) throws -> KernelOutcome {
    let page = bench.page
    let address = try bench.pages(64)
    var taken: [IOVARange] = []
    for count in [1, 3, 64, 16, 2] as [UInt64] {
      let request = IOMMUFD.map(
        mapper.space, iova: 0, address: address, length: count * page, flags: access)
      let iova = try mapper.machine.control(mapper.file, IOMMUFD.map, request).u64(at: IOMMUFD.mapIOVAOffset)
      let range = IOVARange(first: iova, last: iova &+ count * page &- 1)
      guard iova % page == 0, mapper.ranges.contains(where: { $0.contains(iova, length: count * page) }),
        !taken.contains(where: { $0.first <= range.last && range.first <= $0.last })
      else {
        throw KernelFailure(
          "expected a free IOVA of \(bench.ranges) for \(count) pages, found \(Numbers.hex(iova))")
      }
      taken.append(range)
      try bench.seeTranslated(iova, address, count * page)
    }
    for range in taken { try bench.unmap(range.first, range.last &- range.first &+ 1) }
    return .pass
  }

  /// "A fresh empty IOAS will have a full range, and each attached device will narrow the ranges".
  private static func unattachedRanges(_ bench: MapperBench, _ mapper: IOMMUFDMapper) throws -> KernelOutcome
  {
    let ranges = try mapper.readRanges(of: try mapper.newSpace())
    guard ranges == [IOVARange(first: 0, last: UInt64.max)] else {
      throw KernelFailure("expected one range of 64 bits for a space without devices, found \(ranges)")
    }
    guard mapper.ranges != ranges else {
      throw KernelFailure("expected ranges that the device has narrowed, found \(bench.ranges)")
    }
    return .pass
  }

  /// "EOPNOTSUPP: … a known field has a value the kernel does not understand or support".
  private static func unknownFlags(_ bench: MapperBench, _ mapper: IOMMUFDMapper) throws -> KernelOutcome {
    let address = try bench.pages(1)
    let iova = try bench.room(bench.page)
    try refused("map with an unknown flag", ErrorNumber.notSupported) { () throws(MachineError) in
      try mapper.machine.control(
        mapper.file, IOMMUFD.map,
        IOMMUFD.map(
          mapper.space, iova: iova, address: address, length: bench.page,
          flags: access | IOMMUFD.fixedIOVA | 1 << 20))
    }
    try bench.seeEmpty(iova, bench.page, address)
    return .pass
  }

  private static func destroyInUse(_ bench: MapperBench, _ mapper: IOMMUFDMapper) throws -> KernelOutcome {
    let address = try bench.pages(1)
    let iova = try bench.room(bench.page)
    try bench.map(iova, address, bench.page)
    try refused("destroying the address space of a device", ErrorNumber.busy) { () throws(MachineError) in
      try mapper.destroy(mapper.space)
      return []
    }
    try bench.unmap(iova, bench.page)
    return .pass
  }

  // MARK: Calls

  private static func copied(
    _ mapper: IOMMUFDMapper, from source: UInt64, to destination: UInt64, _ length: UInt64
  ) -> Structure {
    IOMMUFD.copy(
      from: (mapper.space, source), to: (mapper.space, destination), length: length,
      flags: access | IOMMUFD.fixedIOVA)
  }

  private static func call(
    _ what: String, _ request: UInt64, on mapper: IOMMUFDMapper, _ structure: Structure
  ) throws {
    do {
      _ = try mapper.machine.control(mapper.file, request, structure)
    } catch {
      guard let number = error.number else { throw error }
      throw KernelFailure("\(what): expected success, found \(ErrorNumber.name(number))")
    }
  }

  private static func refused(
    _ what: String, _ number: Int32, _ call: () throws(MachineError) -> [UInt8]
  ) throws {
    do {
      _ = try call()
    } catch {
      guard let found = error.number else { throw error }
      if found == number { return }
      throw KernelFailure(
        "\(what): expected \(ErrorNumber.name(number)), found \(ErrorNumber.name(found)) (\(error))")
    }
    throw KernelFailure("\(what): expected \(ErrorNumber.name(number)), found success")
  }
}
