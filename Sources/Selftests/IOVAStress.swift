// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import PageTable
import Simulator

/// What a run of iova_stress maps.
public struct IOVAStressRun: Hashable, Sendable {
  /// Bytes of each mapping; 0 stands for the smallest leaf.
  public var dmaSize: UInt64
  /// Bytes of the address space that the mappings go through.
  public var space: UInt64

  public init(dmaSize: UInt64 = 0, space: UInt64) {
    self.dmaSize = dmaSize
    self.space = space
  }

  /// The distance of mappings, in bytes: 2 MiB, or their size where that is more.
  var step: UInt64 { max(dmaSize, 2 << 20) }
}

/// What a run of iova_stress came to.
public struct IOVAStressResult: Hashable, Sendable {
  /// The run, with what was adapted to the page table.
  public var run: IOVAStressRun
  /// Mappings made and removed.
  public var pairs: UInt64
  /// 4 KiB pages of tables before, after, and at most.
  public var pagesBefore: Int
  public var pagesAfter: Int
  public var peakPages: Int
  /// Time, in nanoseconds.
  public var nanoseconds: UInt64

  /// A result with these figures.
  public init(
    run: IOVAStressRun, pairs: UInt64, pagesBefore: Int, pagesAfter: Int, peakPages: Int, nanoseconds: UInt64
  ) {
    self.run = run
    self.pairs = pairs
    self.pagesBefore = pagesBefore
    self.pagesAfter = pagesAfter
    self.peakPages = peakPages
    self.nanoseconds = nanoseconds
  }

  /// The line that the tool of this name prints: growth of table memory in MiB, and seconds.
  public var line: String {
    let growth = max(0, pagesAfter - pagesBefore) >> 8
    let milliseconds = nanoseconds / 1_000_000
    return "dma_size: \(Self.pad(run.dmaSize >> 10, 7))K iova space: \(Self.text(run.space)) iommu: "
      + "~\(Self.pad(UInt64(growth), 7))M time: \(Self.pad(milliseconds / 1000, 4))."
      + "\(Self.pad(milliseconds % 1000, 3, with: "0"))s"
  }

  /// Whole TiB as the tool has it; smaller spaces in their own unit.
  static func text(_ space: UInt64) -> String {
    space >= 1 << 40 ? "\(space >> 40)T" : Numbers.size(space)
  }

  static func pad(_ value: UInt64, _ width: Int, with character: Character = " ") -> String {
    let text = String(value)
    return String(repeating: character, count: max(0, width - text.count)) + text
  }
}

/// A page table as iova_stress uses it. All requirements are on its hot path.
public protocol IOVAStressTarget {
  /// Maps a page; false when that fails.
  mutating func map(_ iova: UInt64, _ length: UInt64) -> Bool
  /// Unmaps it; returns the bytes removed.
  mutating func unmap(_ iova: UInt64, _ length: UInt64) -> UInt64
  /// 4 KiB pages of tables now.
  var tablePages: Int { get }
  /// The most there have been; at least those of the times at which `tablePages` was read.
  var peakPages: Int { get }
  /// Gives the host back what empty tables occupy.
  mutating func giveBackEmptyPages()
}

/// iova_stress: maps and unmaps one page every 2 MiB through a large address space, which leaves an empty table
/// behind each where empty tables are not reclaimed.
public enum IOVAStress {
  /// Pairs between two calls of `giveBackEmptyPages`.
  private static let pairsPerBatch: UInt64 = 8192

  /// Runs it.
  ///
  /// - Parameters:
  ///   - first: the first IOVA, in bytes.
  ///   - progress: called at each TiB with the bytes done and the pages of tables.
  /// - Throws: `IOVAStressError` for a map or unmap that fails.
  public static func run<Target: IOVAStressTarget>(
    _ run: IOVAStressRun, on target: inout Target, from first: UInt64,
    progress: (_ space: UInt64, _ pages: Int) -> Void = { _, _ in }
  ) throws -> IOVAStressResult {
    let before = target.tablePages
    let start = now()
    var done: UInt64 = 0
    var pairs: UInt64 = 0
    while done < run.space {
      if done & ((1 << 40) - 1) == 0 { progress(done, target.tablePages) }
      let end = min(run.space, done + run.step * pairsPerBatch)
      while done < end {
        let iova = first &+ done
        guard target.map(iova, run.dmaSize) else { throw IOVAStressError("map", iova) }
        guard target.unmap(iova, run.dmaSize) == run.dmaSize else { throw IOVAStressError("unmap", iova) }
        done += run.step
        pairs += 1
      }
      target.giveBackEmptyPages()
    }
    return IOVAStressResult(
      run: run, pairs: pairs, pagesBefore: before, pagesAfter: target.tablePages,
      peakPages: max(target.peakPages, target.tablePages), nanoseconds: now() - start)
  }

  /// A clock, in nanoseconds.
  private static func now() -> UInt64 {
    let elapsed = ContinuousClock.now - Self.origin
    let (seconds, attoseconds) = elapsed.components
    return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000)
  }

  private static let origin = ContinuousClock.now
}

/// An operation of iova_stress that failed.
public struct IOVAStressError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ operation: String, _ iova: UInt64) {
    description = "iova_stress: \(operation) of \(Numbers.hex(iova)) failed"
  }
}
