// SPDX-License-Identifier: GPL-2.0-only

import Machine
import PageTable
import Selftests

/// iova_stress on a running kernel: one 4 KiB page every 2 MiB is mapped and unmapped, through a large space.
enum IOVAStressKernelTests {
  static func all(_ suite: MapperSuite, _ options: MapperTestOptions) -> [KernelTest] {
    // One run serves both tests: it takes 20 s for a TiB in an emulated machine.
    let memo = MapperMemo<StressOutcome>()
    return [
      suite.contextTest("iova_stress.run") { context in
        let outcome = try memo.value(context) { try StressOutcome(suite, context, options) }
        return .pass(details: outcome.details)
      },
      suite.contextTest("iova_stress.bounded") { context in
        let outcome = try memo.value(context) { try StressOutcome(suite, context, options) }
        let bound = (options.emptyTableBound ?? 64) + outcome.oneMapping
        // With so few mappings nothing can grow beyond it.
        guard outcome.result.pairs > UInt64(bound + outcome.noise) else {
          return .skip(
            .tooSmall,
            detail:
              "\(outcome.result.pairs) mappings cannot exceed a bound of \(bound) pages, tolerance \(outcome.noise)"
          )
        }
        let growth = outcome.result.peakPages - outcome.result.pagesBefore
        let text =
          "growth \(growth) pages of tables; the bound is \(bound), of that \(outcome.oneMapping) for one mapping; "
          + "tolerance \(outcome.noise)"
        let isBound = growth <= bound + outcome.noise
        return isBound ? .pass(details: outcome.details + [text]) : .fail(details: outcome.details + [text])
      },
    ]
  }
}

/// A run of iova_stress, and where its figures come from.
struct StressOutcome: Sendable {
  var result: IOVAStressResult
  var details: [String]
  /// The pages that the tables of a single mapping may take.
  var oneMapping = 8
  /// How far the figures may be off, in pages.
  var noise: Int

  /// Bytes of IOVA between two looks at whether the run is to end.
  private static let part: UInt64 = 1 << 36

  init(_ suite: MapperSuite, _ context: KernelContext, _ options: MapperTestOptions) throws {
    let counters = AccountingCounters(machine: context.machine)
    self = try MapperBench.run(suite.open(context)) { bench in
      let stride = max(bench.page, 2 << 20)
      let space = try Self.space(options.stressSpace, bench, counters)
      let first = try bench.room(space.bytes, alignment: stride)
      let address = try bench.pages(1)
      let before = try counters.growing()
      var peak = before.pages
      var nanoseconds: UInt64 = 0
      var done: UInt64 = 0
      while done < space.bytes {
        try context.checkpoint()
        let count = min(Self.part, space.bytes - done) / stride
        nanoseconds += try bench.sweep(
          first + done, address, stride: stride, count: count, .mapsAndUnmaps
        ).nanoseconds
        done += count * stride
        peak = max(peak, try counters.growing().pages)
      }
      let after = try counters.growing()
      let result = IOVAStressResult(
        run: IOVAStressRun(dmaSize: bench.page, space: space.bytes), pairs: space.bytes / stride,
        pagesBefore: before.pages, pagesAfter: after.pages, peakPages: peak, nanoseconds: nanoseconds)
      return StressOutcome(result, space: space, before.source, noise: before.noise)
    }
  }

  private init(_ result: IOVAStressResult, space: (bytes: UInt64, why: String?), _ source: String, noise: Int)
  {
    self.result = result
    self.noise = noise
    let growth = Double(max(0, result.pagesAfter - result.pagesBefore)) / 256
    let perTebibyte = growth * Double(1 << 40) / Double(max(1, space.bytes))
    details =
      [
        result.line,
        "growth per TiB: \(Int(perTebibyte.rounded())) MiB, by \(source); \(result.pairs) mappings",
      ] + (space.why.map { [$0] } ?? [])
  }

  /// The space that is asked for, or what the page table and the machine's memory allow: empty tables may stay, 2 GiB for each TiB.
  private static func space(
    _ wanted: UInt64, _ bench: MapperBench, _ counters: AccountingCounters
  ) throws -> (bytes: UInt64, why: String?) {
    let stride = max(bench.page, 2 << 20)
    var bytes = max(stride, wanted & ~(stride - 1))
    let widest = bench.mapper.ranges.map { $0.last &- $0.first }.max() ?? 0
    if bytes > widest { bytes = max(stride, (widest &- 2 * stride) & ~(stride - 1)) }
    let available = UInt64(max(0, try counters.meminfo("MemAvailable") ?? 0)) * 4096
    // A page of 4 KiB for each 2 MiB, with the tables above it and room to spare.
    let affordable = available > 512 << 20 ? (available - (512 << 20)) / 4200 * (2 << 20) : stride
    let memory = (affordable / stride) * stride
    if bytes > memory { bytes = max(stride, memory) }
    guard bytes < wanted else { return (bytes, nil) }
    return (
      bytes, "of \(Numbers.size(wanted)) of IOVA, \(Numbers.size(bytes)): ranges or free memory have no more"
    )
  }
}
