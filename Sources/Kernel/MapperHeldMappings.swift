// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable

/// Memory that a device can reach now: what the IOMMU's tables must translate.
public struct HeldMapping: Hashable, Sendable {
  /// The first IOVA, in bytes.
  public var iova: UInt64
  /// The physical address it leads to; `length` bytes from there on are contiguous.
  public var physicalAddress: UInt64
  /// Bytes.
  public var length: UInt64
  /// What the device may do.
  public var read: Bool
  public var write: Bool

  public init(iova: UInt64, physicalAddress: UInt64, length: UInt64, read: Bool, write: Bool) {
    self.iova = iova
    self.physicalAddress = physicalAddress
    self.length = length
    self.read = read
    self.write = write
  }
}

/// A standard set of mappings, held while somebody looks at the tables.
public enum HeldMappings {
  /// Sees that the large pages of the set can be had, as far as the machine has them; without them it is held without large leaves.
  /// They go back with the journal.
  public static func reserveLargePages(_ context: KernelContext) {
    for size in [2 << 20, 1 << 30] as [UInt64] { try? context.satisfy(.hugepages(size: size, count: 1)) }
  }

  /// Maps the set, calls `held` with what is mapped, unmaps all, and calls `empty`.
  ///
  /// - Parameters:
  ///   - mapper: an open page table in which nothing is mapped. It stays open.
  ///   - scattered: how many pages lie alone, 2 MiB apart.
  ///   - held: is given the mappings, ascending by IOVA, physically contiguous runs of each call as one. The tables do not change
  ///     while it runs.
  ///   - empty: called when nothing may be mapped any more, the page table still attached, with what was mapped before.
  /// - Throws: `HeldMappingsError`, `MachineError`, `KernelSkip` where physical addresses are not shown, and what the closures throw; the mappings are gone in any case.
  public static func hold(
    with mapper: any Mapper, scattered: Int = 1024, held: ([HeldMapping]) throws -> Void,
    empty: ([HeldMapping]) throws -> Void
  ) throws {
    let memory = MapperMemory(mapper.machine)
    defer { memory.release() }
    let plan = try HeldPlan(mapper, memory, scattered: scattered)
    var mapped: [HeldPlan.Item] = []
    do {
      defer { for item in mapped { _ = try? mapper.unmap(iova: item.iova, length: item.length) } }
      for item in plan.items {
        try map(item, with: mapper)
        mapped.append(item)
      }
      for item in plan.items where plan.removed.contains(item.iova) {
        try unmap(item, with: mapper)
        mapped.removeAll { $0 == item }
      }
      let mappings = try physical(mapped, memory)
      try held(mappings)
      while let item = mapped.last {
        try unmap(item, with: mapper)
        mapped.removeLast()
      }
      try empty(mappings)
    }
  }

  private static func map(_ item: HeldPlan.Item, with mapper: any Mapper) throws {
    do {
      try mapper.map(
        iova: item.iova, address: item.address, length: item.length, read: item.read, write: item.write)
    } catch {
      if error.number == nil { throw error }
      throw HeldMappingsError(
        "map of \(Numbers.hex(item.length)) bytes at IOVA \(Numbers.hex(item.iova)): \(error)")
    }
  }

  private static func unmap(_ item: HeldPlan.Item, with mapper: any Mapper) throws {
    let removed = try mapper.unmap(iova: item.iova, length: item.length)
    guard removed == item.length else {
      throw HeldMappingsError(
        "unmap of \(Numbers.hex(item.length)) bytes at IOVA \(Numbers.hex(item.iova)) removed \(Numbers.hex(removed)) bytes"
      )
    }
  }

  /// Where the items lie in physical memory. It is read in a few large pieces, for thousands of calls take long through an agent.
  private static func physical(_ items: [HeldPlan.Item], _ memory: MapperMemory) throws -> [HeldMapping] {
    let addresses = PhysicalAddresses(machine: memory.machine)
    let pieces = try memory.pieces.map { piece in
      // A page of hugetlbfs is contiguous: its first page number tells all.
      let count = piece.pageSize == PhysicalAddresses.pageSize ? piece.byteCount : PhysicalAddresses.pageSize
      guard let pages = try addresses.pages(at: piece.address, byteCount: count) else {
        throw KernelSkip(.root, "/proc/self/pagemap shows no page numbers")
      }
      return (piece: piece, pages: pages)
    }
    var mappings: [HeldMapping] = []
    for item in items.sorted(by: { $0.iova < $1.iova }) {
      guard
        let (piece, pages) = pieces.last(where: { $0.piece.holds(item.address, item.length) }),
        let start = pages.first
      else { throw HeldMappingsError("\(Numbers.hex(item.address)) is not memory that was mapped") }
      let offset = item.address &- piece.address
      if piece.pageSize > PhysicalAddresses.pageSize {
        mappings.append(
          HeldMapping(
            iova: item.iova, physicalAddress: start &+ offset, length: item.length, read: item.read,
            write: item.write))
      } else {
        let first = Int(offset / PhysicalAddresses.pageSize)
        mappings += runs(of: pages[first...].prefix(Int(item.length / PhysicalAddresses.pageSize)), item)
      }
    }
    return mappings
  }

  /// The pages of one call, runs that are physically contiguous as one.
  static func runs(of pages: ArraySlice<UInt64>, _ item: HeldPlan.Item) -> [HeldMapping] {
    let size = PhysicalAddresses.pageSize
    var runs: [HeldMapping] = []
    for (position, page) in pages.enumerated() {
      if let last = runs.last, last.physicalAddress &+ last.length == page {
        runs[runs.count - 1].length += size
      } else {
        let iova = item.iova &+ UInt64(position) &* size
        runs.append(
          HeldMapping(iova: iova, physicalAddress: page, length: size, read: item.read, write: item.write))
      }
    }
    return runs
  }

}

/// The standard set could not be mapped, or not be unmapped.
public struct HeldMappingsError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
