// SPDX-License-Identifier: GPL-2.0-only

import Machine

/// Physical addresses of the machine's process, by /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst): a word of 64
/// bits for each page, bits 54:0 the page's number, bit 63 set for a page that is present.
public struct PhysicalAddresses {
  /// Bytes of a page.
  public static let pageSize: UInt64 = 4096

  private let machine: any Machine

  public init(machine: any Machine) { self.machine = machine }

  /// The physical addresses of the pages from `address` on, one each 4096 bytes; nil where the kernel does not show them, which
  /// takes CAP_SYS_ADMIN.
  ///
  /// - Parameters:
  ///   - address: of the process; a multiple of the page.
  ///   - byteCount: of whole pages, which must be present.
  public func pages(at address: UInt64, byteCount: UInt64) throws(MachineError) -> [UInt64]? {
    let file = try machine.open("/proc/self/pagemap", .read)
    defer { machine.close(file) }
    let total = Int(byteCount / Self.pageSize)
    var pages: [UInt64] = []
    while pages.count < total {
      let done = UInt64(pages.count)
      let count = min(total - pages.count, 4096)
      let bytes = try machine.read(file, count: count * 8, at: (address / Self.pageSize + done) * 8)
      guard bytes.count >= 8 else { return nil }
      for position in 0..<(bytes.count / 8) {
        let word = bytes.u64(at: position * 8)
        let page = word & ((1 << 55) - 1)
        guard word >> 63 == 1, page != 0 else { return nil }
        pages.append(page * Self.pageSize)
      }
    }
    return pages
  }
}
