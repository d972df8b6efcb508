// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference

/// What `ptkit walk` says of the tables behind an IOMMU: a fact a line, the first word telling which.
public final class WalkReport {
  /// What a report is about.
  public struct Options: Sendable {
    /// The only device to report; nil for all.
    public var device: UInt32?
    /// An IOVA whose walk is explained.
    public var iova: UInt64?
    /// What the tables should hold; nil where nobody knows.
    public var expectations: Expectations?
    /// Whether every word of every table is listed.
    public var listsWords = false
    /// How many problems of one device are shown; all are counted.
    public var problemLimit = 100

    public init() {}
  }

  private let walker: IOMMUWalker
  private let options: Options
  private let output: (String) -> Void
  /// How many problems were found.
  public private(set) var problemCount = 0
  /// Scans by root and format: devices of one domain have the same tables.
  private var scans: [ScanKey: (name: String, scan: TableScan)] = [:]
  /// The tables that were reached, with the device by which, and its root.
  private var owners: [UInt64: (name: String, root: UInt64)] = [:]

  private struct ScanKey: Hashable {
    var root: TableRoot
    var format: Configuration
    var read: Bool
    var write: Bool
  }

  /// - Parameter output: called with each line.
  public init(_ walker: IOMMUWalker, _ options: Options, output: @escaping (String) -> Void) {
    self.walker = walker
    self.options = options
    self.output = output
  }

  /// Walks and reports.
  ///
  /// - Throws: `WalkInputError` when the device is not there, and what reading the memory throws.
  public func run() throws {
    let state = try walker.devices()
    output("iommu \(state.kind.title)")
    for fact in state.facts { output("fact \(fact)") }
    problems(state.findings, count: state.findings.count)
    let devices = state.devices.filter { options.device == nil || $0.id == options.device }
    if let id = options.device, devices.isEmpty {
      let known = state.devices.map(\.name).joined(separator: ", ")
      throw WalkInputError(
        "device \(DeviceTables.name(id)) has no tables of its own; there are "
          + (known.isEmpty ? "none" : known))
    }
    for device in devices { try report(device) }
    if options.device == nil {
      for other in state.others { output("others \(other.count) \(other.text)") }
    }
    reportAbsentMappings(devices)
    output("problems \(problemCount)")
  }

  private func report(_ device: DeviceTables) throws {
    let words = [device.mode.description, device.stage, device.domain].filter { !$0.isEmpty }
    output("device \(device.name) \(words.joined(separator: ", "))")
    for structure in device.structures { output("structure \(device.name) \(structure)") }
    for note in device.notes { output("note \(device.name) \(note)") }
    guard case .translated = device.mode, let root = device.root, let format = device.formats.first else {
      return
    }
    output(
      "tables \(device.name) \(format) root \(Numbers.hex(root.physical)) levels \(root.level + 1)")
    let key = ScanKey(root: root, format: format, read: device.rights.read, write: device.rights.write)
    if let known = scans[key] {
      output("same \(device.name) as \(known.name)")
      // What each device should have may differ.
      if options.expectations != nil { try compare(known.scan, device) }
      return try explain(device)
    }
    guard let scan = try walker.scan(device) else { return }
    scans[key] = (device.name, scan)
    for run in LeafRun.runs(of: scan.leaves) {
      output(
        "mapping \(device.name) \(Numbers.hex(run.iova))..\(Numbers.hex(run.last)) to \(Numbers.hex(run.pa)) "
          + "\(Numbers.size(run.length)) \(run.access) \(run.sizes)")
    }
    if options.listsWords { try listWords(scan, device, format) }
    output(
      "count \(device.name) leaves \(scan.leaves.count) tables \(scan.tables.count) words \(scan.wordCount) "
        + "mapped \(Numbers.size(scan.mappedBytes))")
    reportShared(scan, device)
    try compare(scan, device)
    try explain(device)
  }

  private func compare(_ scan: TableScan, _ device: DeviceTables) throws {
    var expected: [ExpectedMapping] = []
    var allowed = [AllowedRegion.everywhere]
    if let expectations = options.expectations { (expected, allowed) = expectations.of(device.id) }
    let comparison = try walker.compare(
      scan, of: device, with: expected, allowed: allowed, limit: options.problemLimit)
    output(
      "compared \(device.name) \(comparison.format) leaves \(comparison.leafCount) pages \(comparison.pageCount) "
        + "tables \(comparison.tableCount) words \(comparison.wordCount) problems \(comparison.findingCount)")
    problems(comparison.findings, count: comparison.findingCount)
  }

  /// Tables that two domains share, so that a change of one changes the other.
  private func reportShared(_ scan: TableScan, _ device: DeviceTables) {
    for table in scan.tables {
      if let owner = owners[table.physical], owner.root != scan.root.physical {
        let finding = Finding(
          .shared, device: device.name, iova: table.iova, level: table.pointer?.level,
          physical: table.physical,
          "the table is also one of \(owner.name)'s, which has another root")
        problems([finding], count: 1)
      }
      owners[table.physical] = (device.name, scan.root.physical)
    }
  }

  /// Devices that should have mappings and have no tables.
  private func reportAbsentMappings(_ devices: [DeviceTables]) {
    guard let expectations = options.expectations else { return }
    func report(_ name: String, _ count: Int) {
      let text = "\(count) expected mappings, but the device has no tables"
      problems([Finding(.missing, device: name, text)], count: 1)
    }
    func isTranslated(_ device: DeviceTables) -> Bool { device.mode == .translated && device.root != nil }
    let named = Set(expectations.mappings.keys.compactMap { $0 })
      .filter { options.device == nil || options.device == $0 }
    for id in named.sorted() where !devices.contains(where: { $0.id == id && isTranslated($0) }) {
      report(DeviceTables.name(id), expectations.of(id).mappings.count)
    }
    // Those of all devices.
    let common = expectations.mappings[nil]?.count ?? 0
    guard common > 0 else { return }
    for device in devices where !named.contains(device.id) && !isTranslated(device) {
      report(device.name, common)
    }
    if devices.isEmpty, named.isEmpty { report("none", common) }
  }

  private func listWords(_ scan: TableScan, _ device: DeviceTables, _ configuration: Configuration) throws {
    let format = try walker.reference(configuration)
    func line(_ iova: UInt64, _ level: Int, _ physical: UInt64, _ word: UInt64) {
      let text = format.decode(word, level: level).explanation.prefix { $0 != "\n" }
      output("word \(device.name) IOVA \(Numbers.hex(iova)) at \(Numbers.hex(physical)) \(text)")
    }
    for table in scan.tables {
      guard let pointer = table.pointer else { continue }
      line(table.iova, pointer.level, pointer.physical, pointer.word)
    }
    for leaf in scan.leaves {
      let part = leaf.size / UInt64(max(1, leaf.words.count))
      for (index, word) in leaf.words.enumerated() {
        line(leaf.iova &+ UInt64(index) &* part, leaf.level, leaf.physical &+ UInt64(index * 8), word)
      }
    }
  }

  /// The walk of one IOVA, word by word.
  private func explain(_ device: DeviceTables) throws {
    guard let iova = options.iova, let root = device.root, let configuration = device.formats.first else {
      return
    }
    let format = try walker.reference(configuration)
    let cache = MemoryCache(walker.memory)
    let result = format.walk(iova: iova, root: root, memory: cache, access: .read)
    if let failure = cache.failure { throw failure }
    let path: [WalkStep]
    switch result {
    case .success(let translation): path = translation.path
    case .failure(let fault): path = fault.path
    }
    for step in path {
      output("step \(device.name) at \(Numbers.hex(step.physical)) index \(Numbers.hex(UInt64(step.index)))")
      for line in format.decode(step.word, level: step.level).explanation.split(separator: "\n") {
        output("  \(line)")
      }
    }
    switch result {
    case .success(let translation):
      output(
        "translation \(device.name) \(Numbers.hex(iova)) to \(Numbers.hex(translation.pa)) "
          + "\(translation.protection.text), leaf of \(Numbers.size(translation.leafSize))")
    case .failure(let fault): output("fault \(device.name) \(fault)")
    }
  }

  private func problems(_ findings: [Finding], count: Int) {
    problemCount += count
    for finding in findings {
      output("problem \(finding)")
      for line in finding.details { output("  \(line)") }
    }
    if count > findings.count { output("more \(count - findings.count) problems are not shown") }
  }
}
