// SPDX-License-Identifier: GPL-2.0-only

import PageTable

/// What happened to a domain's table memory. Addresses are physical, in bytes.
public enum MemoryEvent: Hashable, Sendable {
  /// A table of 2^`sizeLog2` bytes was allocated.
  case allocate(UInt64, sizeLog2: Int)
  /// A table of 2^`sizeLog2` bytes was not to be had.
  case allocationFailed(sizeLog2: Int)
  /// `count` entries of `wordBytes` bytes, 4 or 8, from `at` on were written; entry i holds `value` + i * `step`,
  /// which wraps at the size of a word.
  case entryWrites(at: UInt64, count: Int, value: UInt64, step: UInt64, wordBytes: Int = 8)
  /// The processor's cache lines of a range were written back.
  case cacheFlush(at: UInt64, byteCount: Int)
  /// The table `child` became reachable through the word at `entry`, which holds `value`.
  case tableInstall(child: UInt64, entry: UInt64, value: UInt64)
  /// The IOTLB was invalidated.
  case sync(InvalidationRequest)
  /// The table was given back.
  case release(UInt64, sizeLog2: Int)
  /// The root pointer was set to a table.
  case topChange(UInt64, level: Int)
  /// An operation began; `id` tells concurrent operations apart.
  case begin(id: Int, Operation)
  /// The operation `id` ended.
  case end(id: Int, OperationResult)
  /// The hardware walks these tables no more.
  case detach
  /// The machine saw a misuse.
  case misuse(MachineViolation)
  /// The log was full; so many events after this point are not in it.
  case lost(Int)
}

extension MemoryEvent: CustomStringConvertible {
  public var description: String {
    switch self {
    case .allocate(let physical, let sizeLog2):
      return "allocate \(Numbers.hex(physical)) of \(Self.size(sizeLog2))"
    case .allocationFailed(let sizeLog2): return "allocation of \(Self.size(sizeLog2)) failed"
    case .entryWrites(let at, let count, let value, let step, _):
      let more = count > 1 ? " and \(count - 1) more" + (step == 0 ? "" : ", step \(Numbers.hex(step))") : ""
      return "write \(Numbers.hex(value)) at \(Numbers.hex(at))\(more)"
    case .cacheFlush(let at, let byteCount): return "flush \(byteCount) bytes at \(Numbers.hex(at))"
    case .tableInstall(let child, let entry, let value):
      return "install \(Numbers.hex(child)) at \(Numbers.hex(entry)) by \(Numbers.hex(value))"
    case .sync(let request):
      return "sync \(Numbers.hex(request.first))..\(Numbers.hex(request.last)) free=\(request.released)"
    case .release(let physical, let sizeLog2):
      return "release \(Numbers.hex(physical)) of \(Self.size(sizeLog2))"
    case .topChange(let physical, let level): return "top \(Numbers.hex(physical)) level=\(level)"
    case .begin(let id, let operation): return "begin \(id): \(operation)"
    case .end(let id, let result): return "end \(id): \(result)"
    case .detach: return "detach"
    case .misuse(let violation): return "misuse: \(violation)"
    case .lost(let count): return "\(count) events lost"
    }
  }

  private static func size(_ sizeLog2: Int) -> String {
    (0..<64).contains(sizeLog2) ? Numbers.size(1 << UInt64(sizeLog2)) : "2^\(sizeLog2)"
  }
}
