// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// How the tables of a device compare with what should be in them.
public struct TableComparison: Sendable {
  /// The format whose golden words were compared: of the device's formats the one with the fewest differences.
  public var format: Configuration
  /// The first findings, those of the scan included, and how many there are.
  public var findings: [Finding] = []
  public var findingCount = 0
  /// How much was compared: leaves, the pages of the smallest size that they map, tables, words.
  public var leafCount = 0
  public var pageCount: UInt64 = 0
  public var tableCount = 0
  public var wordCount = 0

  /// Whether nothing is wrong.
  public var isEqual: Bool { findingCount == 0 }

  mutating func add(_ finding: @autoclosure () -> Finding, limit: Int) {
    findingCount += 1
    if findings.count < limit { findings.append(finding()) }
  }
}

/// Compares every word of scanned tables with the golden encoder's.
struct TableComparer {
  let scan: TableScan
  let device: String
  let runs: ExpectedRuns
  let allowed: [AllowedRegion]
  /// How many findings are kept.
  let limit: Int

  /// What a leaf should be.
  private struct Claim {
    var physical: UInt64
    var access: Protection
    /// The flags that the mapping was made with; nil when they are not known.
    var flags: Protection?
  }

  func run(_ formats: [ReferenceFormat]) -> TableComparison? {
    let claims = scan.leaves.map(claim)
    let flags = usualFlags(claims)
    let counts = formats.map { differenceCount($0, claims, flags) }
    guard let best = formats.indices.min(by: { counts[$0] < counts[$1] }) else { return nil }
    let format = formats[best]
    var result = TableComparison(format: format.configuration)
    result.findings = Array(scan.findings.prefix(limit))
    result.findingCount = scan.findings.count
    for mapping in runs.overlaps {
      result.add(
        Finding(.overlap, device: device, iova: mapping.iova, "two expected mappings overlap here"),
        limit: limit)
    }
    compareWords(format, claims, flags, &result)
    let mended = compareStrays(format, flags, &result)
    reportExtra(&result)
    reportMissing(mended, &result)
    result.leafCount = scan.leaves.count
    result.tableCount = scan.tables.count
    let page: UInt64 = 1 &<< UInt64(format.shift(level: 0) ?? 12)
    result.pageCount = scan.leaves.reduce(0) { $0 &+ $1.size / page }
    return result
  }

  // MARK: What is expected

  /// What a leaf should be: as the mapping says that holds all of it, else as it says itself.
  private func claim(_ leaf: ScannedLeaf) -> Claim {
    let own = leaf.protection.intersection([.read, .write])
    if let run = runs.run(holding: leaf.iova, through: leaf.last) {
      return Claim(physical: run.physical(of: leaf.iova), access: run.access, flags: run.flags)
    }
    let isIdentity = allowed.contains { $0.isIdentity && $0.contains(leaf) }
    return Claim(
      physical: isIdentity ? leaf.iova : leaf.pa, access: own,
      flags: leaf.protection.subtracting([.read, .write]))
  }

  /// The flags that most leaves have whose mapping's flags are not known.
  private func usualFlags(_ claims: [Claim]) -> Protection {
    var counts: [Protection: Int] = [:]
    for (leaf, claim) in zip(scan.leaves, claims) where claim.flags == nil {
      counts[leaf.protection.subtracting([.read, .write]), default: 0] += 1
    }
    return counts.max { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }?.key ?? []
  }

  // MARK: Words

  private func differenceCount(_ format: ReferenceFormat, _ claims: [Claim], _ flags: Protection) -> Int {
    let entries = EntryScanner(format)
    var count = 0
    for (leaf, claim) in zip(scan.leaves, claims) {
      for position in leaf.words.indices
      where !agrees(entries, leaf.words[position], golden(format, leaf, claim, flags, position), leaf.level) {
        count += 1
      }
    }
    for table in scan.tables {
      guard let pointer = table.pointer else { continue }
      let wanted = format.encodeTable(level: pointer.level, pa: table.physical)
      if !agrees(entries, pointer.word, wanted, pointer.level) { count += 1 }
    }
    return count
  }

  private func golden(
    _ format: ReferenceFormat, _ leaf: ScannedLeaf, _ claim: Claim, _ flags: Protection, _ position: Int
  ) -> UInt64? {
    let protection = claim.access.union(claim.flags ?? flags)
    // The words of a leaf that disagree were taken one by one.
    let first = claim.physical &- UInt64(leaf.position) &* leaf.size
    return format.encodeLeafWord(
      position + leaf.position, level: leaf.level, pa: first, size: leaf.wholeSize, protection: protection)
  }

  /// Whether the word is the golden one, but for accessed and dirty bits that the hardware has set.
  private func agrees(_ entries: EntryScanner, _ word: UInt64, _ golden: UInt64?, _ level: Int) -> Bool {
    guard let golden else { return false }
    if word == golden { return true }
    let updated = entries.scan(golden, level: level)?.updated ?? 0
    return (word ^ golden) & ~updated == 0 && golden & ~word == 0
  }

  private func compareWords(
    _ format: ReferenceFormat, _ claims: [Claim], _ flags: Protection, _ result: inout TableComparison
  ) {
    let entries = EntryScanner(format)
    for (leaf, claim) in zip(scan.leaves, claims) {
      result.wordCount += leaf.words.count
      for position in leaf.words.indices {
        let wanted = golden(format, leaf, claim, flags, position)
        if agrees(entries, leaf.words[position], wanted, leaf.level) { continue }
        result.add(
          difference(format, leaf, position, wanted, claim), limit: limit)
      }
    }
    for table in scan.tables {
      guard let pointer = table.pointer else { continue }
      result.wordCount += 1
      let wanted = format.encodeTable(level: pointer.level, pa: table.physical)
      if agrees(entries, pointer.word, wanted, pointer.level) { continue }
      result.add(
        Finding(
          .word, device: device, iova: table.iova, level: pointer.level, physical: pointer.physical,
          word: pointer.word,
          expected: wanted,
          "the pointer to the table at \(Numbers.hex(table.physical)) is not the golden encoder's",
          details: wanted.map {
            WordText.both(format, actual: pointer.word, expected: $0, level: pointer.level)
          } ?? []),
        limit: limit)
    }
  }

  private func difference(
    _ format: ReferenceFormat, _ leaf: ScannedLeaf, _ position: Int, _ wanted: UInt64?, _ claim: Claim
  ) -> Finding {
    let word = leaf.words[position]
    let size = Numbers.size(leaf.size)
    let text =
      wanted == nil
      ? "a leaf of \(size) here cannot map \(Numbers.hex(claim.physical))"
      : "the word of a leaf of \(size) is not the golden encoder's for \(Numbers.hex(claim.physical))"
    let details =
      wanted.map { WordText.both(format, actual: word, expected: $0, level: leaf.level) }
      ?? format.decode(word, level: leaf.level).explanation.split(separator: "\n").map { String($0) }
    let part = leaf.size / UInt64(max(1, leaf.words.count))
    return Finding(
      .word, device: device, iova: leaf.iova &+ UInt64(position) &* part, level: leaf.level,
      physical: leaf.physical &+ UInt64(position * 8), word: word, expected: wanted, text, details: details)
  }

  /// Reports words that map nothing; returns the ranges in which one stands where a leaf should.
  private func compareStrays(
    _ format: ReferenceFormat, _ flags: Protection, _ result: inout TableComparison
  ) -> [ClosedRange<UInt64>] {
    var ranges: [ClosedRange<UInt64>] = []
    for stray in scan.strays {
      result.wordCount += 1
      let step = stray.step
      let size: UInt64 = 1 &<< UInt64(format.shift(level: step.level) ?? 0)
      let last = stray.iova &+ (size &- 1)
      var wanted: UInt64?
      if let run = runs.run(holding: stray.iova, through: last) {
        wanted = format.encodeLeaf(
          level: step.level, pa: run.physical(of: stray.iova), size: size,
          protection: run.access.union(run.flags ?? flags))
      }
      if wanted != nil { ranges.append(stray.iova...last) }
      let expected = wanted ?? 0
      result.add(
        Finding(
          wanted == nil ? .stray : .word, device: device, iova: stray.iova, level: step.level,
          physical: step.physical,
          word: step.word, expected: expected, "the word maps nothing, and is not 0",
          details: WordText.both(format, actual: step.word, expected: expected, level: step.level)),
        limit: limit)
    }
    return ranges
  }

  // MARK: Ranges

  private func reportExtra(_ result: inout TableComparison) {
    let extra = scan.leaves.filter { leaf in
      runs.run(holding: leaf.iova, through: leaf.last) == nil && !allowed.contains { $0.contains(leaf) }
    }
    for run in LeafRun.runs(of: extra) {
      let partly = runs.touches(run.iova, through: run.last) ? "; part of it is expected" : ""
      let leaf = run.first
      result.add(
        Finding(
          .extra, device: device, iova: run.iova, level: leaf.level, physical: leaf.physical,
          word: leaf.words.first,
          "\(Numbers.size(run.length)) mapped to \(Numbers.hex(run.pa)) \(run.access), which nobody expects\(partly)"
        ),
        limit: limit)
    }
  }

  private func reportMissing(_ mended: [ClosedRange<UInt64>], _ result: inout TableComparison) {
    let covered = (scan.leaves.map { $0.iova...max($0.iova, $0.last) } + mended)
      .sorted { $0.lowerBound < $1.lowerBound }
    var position = 0
    for run in runs.runs {
      var next = run.first
      var isDone = false
      while position < covered.count, covered[position].upperBound < run.first { position += 1 }
      var index = position
      while !isDone, index < covered.count, covered[index].lowerBound <= run.last {
        if covered[index].lowerBound > next {
          missing(next, covered[index].lowerBound - 1, run, &result)
        }
        if covered[index].upperBound >= run.last {
          isDone = true
        } else {
          next = max(next, covered[index].upperBound + 1)
        }
        index += 1
      }
      if !isDone { missing(next, run.last, run, &result) }
    }
  }

  private func missing(
    _ first: UInt64, _ last: UInt64, _ run: ExpectedRuns.Run, _ result: inout TableComparison
  ) {
    let length = last &- first &+ 1
    result.add(
      Finding(
        .missing, device: device, iova: first,
        "\(Numbers.size(length)) should be mapped to \(Numbers.hex(run.physical(of: first))) \(run.access.text)"
      ),
      limit: limit)
  }
}
