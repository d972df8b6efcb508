// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Glibc
import PageTable

/// Memory shared by the process that runs a library and the one that supervises it: which call is in flight, so that
/// it can be named when it does not return. Of calls on several threads, the last is known.
public final class CallPage: @unchecked Sendable {
  // Unchecked: words are written by one process and read by the other; a torn record costs a wrong word in a message.

  private static let bytes = 1 << 20
  private let page: UnsafeMutableRawPointer

  /// Maps the page of a file; nil where the host refuses.
  public init?(descriptor: Int32) {
    guard ftruncate(descriptor, off_t(Self.bytes)) == 0,
      let page = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), page != MAP_FAILED
    else { return nil }
    self.page = page
  }

  /// One that no other process sees; nil where the host refuses.
  public init?() {
    guard
      let page = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      page != MAP_FAILED
    else { return nil }
    self.page = page
  }

  deinit { munmap(page, Self.bytes) }

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

  /// Something other than an operation begins: 100 create, 101 destroy, 102 roots, 103 and 104 maps and unmaps that are
  /// timed, 105 sync, 106 load.
  func begin(_ kind: UInt64) { begin(kind, 0, 0, 0, 0, 0) }

  func begin(_ operation: Operation) {
    guard let words = OperationWords(operation) else { return }
    begin(words.kind, words.a, words.b, words.c, words.d, words.flags)
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

  /// The configuration of the last page table.
  public var configuration: String {
    let text = UnsafeRawBufferPointer(start: page + 128, count: 1024).prefix { $0 != 0 }
    return String(decoding: text, as: UTF8.self)
  }

  /// The call in flight, in words; nil when there is none.
  public var call: String? {
    switch slots[1] {
    case 100: return "create"
    case 101: return "destroy"
    case 102: return "roots"
    case 103: return "maps that are timed"
    case 104: return "unmaps that are timed"
    case 105: return "sync"
    case 106: return "load"
    default:
      let words = UnsafeRawPointer(slots + 1).loadUnaligned(as: OperationWords.self)
      return words.operation.map { "\($0)" }
    }
  }
}

/// An operation as it stands in shared memory.
struct OperationWords {
  var kind: UInt64
  var a: UInt64
  var b: UInt64
  var c: UInt64
  var d: UInt64
  var flags: UInt64

  /// Nil for what is no call of a library.
  init?(_ operation: Operation) {
    (a, b, c, d, flags) = (0, 0, 0, 0, 0)
    switch operation {
    case .map(let iova, let pa, let length, let protection):
      (kind, a, b, c, flags) = (1, iova, pa, length, UInt64(protection.rawValue))
    case .mapRange(let iova, let pa, let length, let protection):
      (kind, a, b, c, flags) = (2, iova, pa, length, UInt64(protection.rawValue))
    case .mapPages(let iova, let pa, let pageSize, let count, let protection):
      (kind, a, b, c, d, flags) = (3, iova, pa, pageSize, count, UInt64(protection.rawValue))
    case .unmap(let iova, let length): (kind, a, b) = (4, iova, length)
    case .unmapPages(let iova, let pageSize, let count): (kind, a, b, c) = (5, iova, pageSize, count)
    case .phys(let iova): (kind, a) = (6, iova)
    case .setDirty(let iova): (kind, a) = (7, iova)
    case .dirty(let iova, let length, let clear): (kind, a, b, c) = (8, iova, length, clear ? 1 : 0)
    case .allocationBudget: return nil
    }
  }

  /// Nil for words that are none.
  var operation: Operation? {
    let protection = Protection(rawValue: UInt32(truncatingIfNeeded: flags))
    switch kind {
    case 1: return .map(iova: a, pa: b, length: c, protection: protection)
    case 2: return .mapRange(iova: a, pa: b, length: c, protection: protection)
    case 3: return .mapPages(iova: a, pa: b, pageSize: c, count: d, protection: protection)
    case 4: return .unmap(iova: a, length: b)
    case 5: return .unmapPages(iova: a, pageSize: b, count: c)
    case 6: return .phys(iova: a)
    case 7: return .setDirty(iova: a)
    case 8: return .dirty(iova: a, length: b, clear: c != 0)
    default: return nil
    }
  }
}

// MARK: - What was run

/// The operations on the page tables of a comparison, so that they are known when one of them ends the process.
extension CallPage: OperationJournal {
  private static let journalStart = 4096
  private static let capacity = (bytes - journalStart) / MemoryLayout<OperationWords>.stride

  public func start() { slots[7] = 0 }

  public func add(_ operation: Operation) {
    guard let words = OperationWords(operation) else { return }
    let place = Self.journalStart + Int(slots[7]) % Self.capacity * MemoryLayout<OperationWords>.stride
    page.storeBytes(of: words, toByteOffset: place, as: OperationWords.self)
    slots[7] &+= 1
  }

  /// The operations since the last start, oldest first; of very many, the last.
  public var operations: [Operation] {
    let count = Int(truncatingIfNeeded: slots[7])
    return (max(0, count - Self.capacity)..<max(0, count)).compactMap { number in
      let place = Self.journalStart + number % Self.capacity * MemoryLayout<OperationWords>.stride
      return page.load(fromByteOffset: place, as: OperationWords.self).operation
    }
  }
}
