// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import PageTable

/// A page shared by the process that runs a library and the one that supervises it: which call is in flight, so that
/// it can be named when it does not return. Of calls on several threads, the last is known.
public final class CallPage: @unchecked Sendable {
  // Unchecked: words are written by one process and read by the other; a torn record costs a wrong word in a message.

  private static let bytes = 4096
  private static let words = 8
  private let page: UnsafeMutableRawPointer
  private var isOwn: Bool

  /// Maps the page of a file; nil where the host refuses.
  public init?(descriptor: Int32) {
    guard ftruncate(descriptor, off_t(Self.bytes)) == 0,
      let page = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), page != MAP_FAILED
    else { return nil }
    self.page = page
    isOwn = true
  }

  /// A page that nobody else sees.
  public init() {
    page = .allocate(byteCount: Self.bytes, alignment: 8)
    page.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    isOwn = false
  }

  deinit {
    if isOwn { munmap(page, Self.bytes) } else { page.deallocate() }
  }

  private var slots: UnsafeMutablePointer<UInt64> { page.assumingMemoryBound(to: UInt64.self) }

  /// How many calls were begun.
  public var count: UInt64 { slots[0] }
  /// Whether the last call has not returned.
  public var isInside: Bool { slots[1] != 0 }

  // MARK: The library's side

  /// The next calls are on a page table of this configuration.
  func setConfiguration(_ text: String) {
    let place = page + 128
    let utf8 = Array(text.utf8.prefix(1023))
    place.copyMemory(from: utf8, byteCount: utf8.count)
    (place + utf8.count).storeBytes(of: 0, as: UInt8.self)
  }

  /// Something other than an operation begins: 100 create, 101 destroy, 102 roots.
  func begin(_ kind: UInt64) { begin(kind, 0, 0, 0, 0, 0) }

  func begin(_ operation: Operation) {
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      begin(1, iova, pa, length, 0, UInt64(protection.rawValue))
    case .mapRange(let iova, let pa, let length, let protection):
      begin(2, iova, pa, length, 0, UInt64(protection.rawValue))
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      begin(3, iova, pa, pageSize, count, UInt64(protection.rawValue))
    case .unmap(let iova, let length): begin(4, iova, length, 0, 0, 0)
    case .unmapPages(let iova, let pageSize, let count): begin(5, iova, pageSize, count, 0, 0)
    case .phys(let iova): begin(6, iova, 0, 0, 0, 0)
    case .setDirty(let iova): begin(7, iova, 0, 0, 0, 0)
    case .dirty(let iova, let length, let clear): begin(8, iova, length, clear ? 1 : 0, 0, 0)
    case .allocationBudget: break
    }
  }

  private func begin(_ kind: UInt64, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ flags: UInt64) {
    slots[1] = kind
    slots[2] = a
    slots[3] = b
    slots[4] = c
    slots[5] = d
    slots[6] = flags
    slots[0] &+= 1
  }

  /// The call has returned.
  func end() { slots[1] = 0 }

  // MARK: The supervisor's side

  /// Forgets all calls.
  public func clear() { memset(page, 0, Self.bytes) }

  /// The configuration of the last page table.
  public var configuration: String {
    let text = UnsafeRawBufferPointer(start: page + 128, count: 1024).prefix { $0 != 0 }
    return String(decoding: text, as: UTF8.self)
  }

  /// The call in flight, in words; nil when there is none.
  public var call: String? {
    let (a, b, c, d) = (slots[2], slots[3], slots[4], slots[5])
    let protection = Protection(rawValue: UInt32(truncatingIfNeeded: slots[6]))
    switch slots[1] {
    case 1: return "\(Operation.map(iova: a, pa: b, length: c, protection: protection))"
    case 2: return "\(Operation.mapRange(iova: a, pa: b, length: c, protection: protection))"
    case 3: return "\(Operation.mapPages(iova: a, pa: b, pageSize: c, count: d, protection: protection))"
    case 4: return "\(Operation.unmap(iova: a, length: b))"
    case 5: return "\(Operation.unmapPages(iova: a, pageSize: b, count: c))"
    case 6: return "\(Operation.phys(iova: a))"
    case 7: return "\(Operation.setDirty(iova: a))"
    case 8: return "\(Operation.dirty(iova: a, length: b, clear: c != 0))"
    case 100: return "create"
    case 101: return "destroy"
    case 102: return "roots"
    default: return nil
    }
  }
}
