// SPDX-License-Identifier: GPL-2.0-only

import CMachine
import Glibc

/// Repeated calls.
extension LocalMachine {
  public func sweep(_ steps: [SweepStep], count: UInt64) throws(MachineError) -> SweepResult {
    for (index, step) in steps.enumerated() {
      let ends = [step.movingOffset, step.expected?.offset ?? 0].map { $0.addingReportingOverflow(8) }
      guard step.movingOffset >= 0, step.expected?.offset ?? 0 >= 0,
        ends.allSatisfy({ !$0.overflow && $0.partialValue <= step.bytes.count })
      else { throw .refused(call: "sweep, step \(index)", error: EINVAL) }
    }
    let loop = SweepLoop(steps)
    let start = Self.now()
    var failure: SweepFailure?
    var rounds: UInt64 = 0
    while rounds < count, failure == nil {
      failure = loop.round(rounds)
      if failure == nil { rounds += 1 }
    }
    return SweepResult(rounds: rounds, failure: failure, nanoseconds: Self.now() &- start)
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}

/// The structures of a sweep's steps, in memory that is allocated once.
private final class SweepLoop {
  private struct Step {
    var descriptor: Int32
    var request: UInt64
    /// What each round starts with, and what the kernel gets.
    var template: UnsafeMutableRawPointer
    var structure: UnsafeMutableRawPointer
    var byteCount: Int
    var movingOffset: Int
    var first: UInt64
    var stride: UInt64
    /// The offset of the field that is compared; negative for none.
    var expectedOffset: Int
    var expected: UInt64
  }

  private let steps: UnsafeMutableBufferPointer<Step>

  /// All offsets must lie inside of the structures.
  init(_ list: [SweepStep]) {
    steps = .allocate(capacity: list.count)
    for (index, step) in list.enumerated() {
      let count = step.bytes.count
      let template = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
      step.bytes.withUnsafeBytes {
        template.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(template), byteCount: count)
      }
      steps.initializeElement(
        at: index,
        to: Step(
          descriptor: step.descriptor, request: step.request, template: template,
          structure: .allocate(byteCount: count, alignment: 16), byteCount: count,
          movingOffset: step.movingOffset,
          first: template.loadUnaligned(fromByteOffset: step.movingOffset, as: UInt64.self),
          stride: step.stride,
          expectedOffset: step.expected?.offset ?? -1, expected: step.expected?.value ?? 0))
    }
  }

  deinit {
    for step in steps {
      step.template.deallocate()
      step.structure.deallocate()
    }
    steps.deinitialize()
    steps.deallocate()
  }

  /// One round; what ended it.
  func round(_ number: UInt64) -> SweepFailure? {
    for index in steps.indices {
      let step = steps[index]
      step.structure.copyMemory(from: step.template, byteCount: step.byteCount)
      step.structure.storeBytes(
        of: step.first &+ step.stride &* number, toByteOffset: step.movingOffset, as: UInt64.self)
      let address = UInt64(UInt(bitPattern: step.structure))
      guard machine_ioctl(step.descriptor, step.request, address) >= 0 else {
        return SweepFailure(step: index, error: errno)
      }
      if step.expectedOffset >= 0,
        step.structure.loadUnaligned(fromByteOffset: step.expectedOffset, as: UInt64.self) != step.expected
      {
        return SweepFailure(step: index, error: 0)
      }
    }
    return nil
  }
}
