// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension PageTable.Operation {
  var isMap: Bool {
    switch self {
    case .map, .mapRange, .mapPages: true
    default: false
    }
  }

  var isUnmap: Bool {
    switch self {
    case .unmap, .unmapPages: true
    default: false
    }
  }

  var isDirtyRead: Bool { if case .dirty = self { true } else { false } }
}

extension MemoryFault {
  /// The IOTLB is not invalidated in some operations.
  static func noSync(in operations: @escaping @Sendable (PageTable.Operation) -> Bool) -> MemoryFault {
    MemoryFault(sync: { request, operation in operation.map(operations) == true ? nil : request })
  }

  /// The IOTLB is invalidated from `first` to `last` instead.
  static func sync(
    _ change: @escaping @Sendable (_ first: UInt64, _ last: UInt64) -> (UInt64, UInt64)
  ) -> MemoryFault {
    MemoryFault(sync: { request, _ in
      var request = request
      (request.first, request.last) = change(request.first, request.last)
      return request
    })
  }
}

extension SeededFault {
  static let invalidation: [SeededFault] = [
    SeededFault(
      "sync-missing", on: "x86_64", "An unmap does not invalidate the IOTLB.", history: "90c5def10bea",
      .memory(.noSync(in: \.isUnmap))),
    SeededFault(
      "sync-one-page-short", on: "vtdss", "The last page of a range is not invalidated.",
      .memory(.sync { ($0, $1 &- $0 > 4096 ? $1 &- 4096 : $1) })),
    SeededFault(
      "sync-mask-of-unaligned-range", on: "x86_64",
      "The mask of an invalidation counts pages, and the address is aligned down to it.",
      history: "after 6fe1010d6d9c",
      .memory(
        .sync { first, last in
          let pages = (last &- first) >> 12
          let mask = Bits.lowMask(12 + 64 - pages.leadingZeroBitCount)
          return (first & ~mask, first | mask)
        })),
    SeededFault(
      "sync-of-two-pages", on: "amdv1",
      "The size of any invalidation larger than a page is encoded as two pages.",
      history: "after 268aa4548277", .memory(.sync { ($0, min($1, $0 | 0x1fff)) })),
    SeededFault(
      "sync-of-no-range", on: "amdv1:features=dynamic_top+flush_range_no_gaps+encrypt_tables+force_coherence",
      "What was gathered without gaps never has a range.", history: "b48ca9206138",
      .memory(.sync { _, _ in (.max, 0) })),
    SeededFault(
      "sync-before-clear", on: "armv8", "Entries are cleared after the IOTLB was invalidated.",
      .memory(MemoryFault(clearsLate: true))),
    SeededFault(
      "release-before-sync", on: "vtdss", "Tables are released before the IOTLB is invalidated.",
      history: "ea8ea460c9ac", .memory(MemoryFault(syncsLate: true))),
    SeededFault(
      "replaced-table-not-synced", on: "vtdss",
      "A leaf takes the place of an empty table, which is released without an invalidation.",
      history: "after 6491d4d02893", .memory(.noSync(in: \.isMap))),
    SeededFault(
      "replaced-table-lost", on: "armv8",
      "A leaf takes the place of an empty table, which is neither invalidated nor released.",
      history: "cf27ec930be9",
      .memory(
        MemoryFault(
          sync: { request, operation in operation?.isMap == true ? nil : request },
          leaks: { $0.operation?.isMap == true }))),
    SeededFault(
      "cleared-dirty-not-synced", on: "vtdss", "Dirty state is taken back without an invalidation.",
      .memory(.noSync(in: \.isDirtyRead))),
    SeededFault(
      "table-levels-not-told", on: "riscv64", "An invalidation does not say that tables went.",
      .memory(
        MemoryFault(sync: { request, _ in
          var request = request
          if request.leafLevels != 0 { request.tableLevels = 0 }
          return request
        }))),
    SeededFault(
      "top-level-told-wrong", on: "amdv1", "The hardware is told a top that is one level too low.",
      .memory(MemoryFault(topLevel: { $0 - 1 }))),
  ]

  static let memoryUse: [SeededFault] = [
    SeededFault(
      "flush-missing-before-install", on: "vtdss:features=flush_range+dma_incoherent",
      "New tables are linked before their cache lines are written back.",
      .memory(MemoryFault(flush: { $1 >= 4096 ? nil : ($0, $1) }))),
    SeededFault(
      "flush-of-entries-missing", on: "armv8:coherent=0", "Written entries are not flushed.",
      .memory(MemoryFault(flush: { $1 >= 4096 ? ($0, $1) : nil }))),
    SeededFault(
      "flush-at-wrong-offset", on: "vtdss:features=flush_range+dma_incoherent",
      "The offset of a flush is multiplied by the size of an entry twice.",
      history: "after 50568f87d1e2, Tegra",
      .memory(
        MemoryFault(flush: { at, count in
          count >= 4096 ? (at, count) : (at & ~0xfff | (at & 0xfff) &* 8 & 0xfff & ~7, 8)
        }))),
    SeededFault(
      "flush-before-write", on: "x86_64:features=flush_range+dma_incoherent+sign_extend",
      "Entries are written after their cache line was flushed.", .memory(MemoryFault(writesLate: true))),
    SeededFault(
      "tables-not-zeroed", on: "armv8", "A new table holds a word of whoever had the page before.",
      .memory(MemoryFault(rubbish: 0xdead_beef_0000_0000))),
    SeededFault(
      "no-memory-leaks", on: "amdv1", "An operation that runs out of memory forgets the tables that it got.",
      .memory(MemoryFault(leaks: { $0.isShort }))),
    SeededFault(
      "every-third-table-leaks", on: "x86_64",
      "Every third table that one operation removes is not released.",
      .memory(MemoryFault(leaks: { $0.number % 3 == 2 }))),
    SeededFault(
      "covered-table-leaks", on: "vtdss", "The first table that an unmap removes is not released.",
      history: "08336fd218e0",
      .memory(MemoryFault(leaks: { $0.operation?.isUnmap == true && $0.number == 0 }))),
  ]
}
