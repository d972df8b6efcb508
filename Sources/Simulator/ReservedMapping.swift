// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// The host refused what a simulated machine needs, or the request makes no sense.
public struct MachineError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was asked for and why it failed.
  public let description: String

  init(_ description: String) { self.description = description }
}

/// Address space of the host that costs memory only where it is touched; zero at first. The pages before and behind it
/// cannot be accessed.
struct ReservedMapping: ~Copyable, @unchecked Sendable {
  /// The first byte; aligned to `alignment` of the initializer.
  let start: UnsafeMutableRawPointer
  /// The size in bytes.
  let byteCount: Int
  private let mapping: UnsafeMutableRawPointer
  private let mappingBytes: Int

  /// Reserves `byteCount` bytes, aligned to `alignment`, a power of two of at least the page size.
  ///
  /// - Throws: `MachineError` with the host's errno.
  init(byteCount: Int, alignment: Int, purpose: String) throws {
    let page = 4096
    let (total, overflow) = byteCount.addingReportingOverflow(max(alignment, page) + 2 * page)
    guard byteCount > 0, !overflow else {
      throw MachineError("cannot reserve \(byteCount) bytes of address space for \(purpose)")
    }
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let mapping = mmap(nil, total, PROT_NONE, flags, -1, 0)
    let start = mapping.map { ($0 + page).alignedUp(toMultipleOf: alignment) }
    guard let mapping, let start, mapping != MAP_FAILED,
      mprotect(start, byteCount, PROT_READ | PROT_WRITE) == 0
    else {
      throw MachineError(
        "the host refuses \(byteCount >> 20) MiB of address space for \(purpose):"
          + " \(String(cString: strerror(errno)))")
    }
    self.mapping = mapping
    self.mappingBytes = total
    self.byteCount = byteCount
    self.start = start
  }

  deinit {
    munmap(mapping, mappingBytes)
  }
}
