// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Reference
import Simulator

/// Runs golden vectors against an implementation and the reference.
public struct GoldenChecker {
  public var environment: GoldenEnvironment
  /// Known divergences; they turn a failure into an expected one.
  public var divergences: Divergences

  public init(environment: GoldenEnvironment, divergences: Divergences = Divergences()) {
    self.environment = environment
    self.divergences = divergences
  }

  /// What the items of one group have in common.
  struct Witnesses {
    var configuration: Configuration
    var encoder: (any GoldenEncoder)?
    var reference: (any GoldenReference)?
  }

  /// What an item came to before divergences are looked up.
  enum Verdict {
    case findings([GoldenFinding])
    case skip(GoldenSkip, String)
  }

  /// Checks all items of a group, in order.
  ///
  /// - Parameter report: called with each result as it is known.
  public func check(_ group: GoldenGroup, report: (GoldenItemReport) -> Void = { _ in }) -> GoldenGroupReport
  {
    let witnesses = Result { () throws -> Witnesses in
      let configuration = try group.configuration.get()
      return Witnesses(
        configuration: configuration, encoder: try environment.encoder(configuration),
        reference: try environment.reference(configuration))
    }
    let items = group.items.map { item in
      let others = verdict(on: item, witnesses)
      let own = legacyFindings(on: item, group.legacyConfiguration)
      let result = self.report(others, legacy: own, item, stem: group.stem)
      report(result)
      return result
    }
    return GoldenGroupReport(name: group.name, items: items)
  }

  /// Checks everything in a plan.
  public func check(_ plan: GoldenPlan) -> [GoldenGroupReport] { plan.groups.map { check($0) } }

  // MARK: Binding

  private func verdict(on item: GoldenItem, _ witnesses: Result<Witnesses, any Error>) -> Verdict {
    let isLegacy: Bool
    switch item.content {
    case .entry: isLegacy = false
    case .case: isLegacy = item.context.behaviour == .legacy
    }
    if isLegacy, let era = item.context.otherEra { return .skip(.notBound, "code of \(era)") }
    switch witnesses {
    case .failure(let error):
      let detail = "\(item.context.configurationText): \(error)"
      return isLegacy ? .skip(.configuration, detail) : .findings([GoldenFinding(.configuration, detail)])
    case .success(let witnesses):
      switch item.content {
      case .entry(let entry): return .findings(findings(entry, witnesses))
      case .case(let golden):
        if isLegacy, golden.hasWarning { return .skip(.resultsDiffer, "Linux printed a warning") }
        return verdict(on: golden, item.context, witnesses, isLegacy: isLegacy || !environment.bindsResults)
      }
    }
  }

  /// What an item came to.
  ///
  /// - Parameter legacy: what is wrong with the drivers' own code; nil when the item does not bind it.
  private func report(
    _ verdict: Verdict, legacy: [GoldenFinding]?, _ item: GoldenItem, stem: String
  ) -> GoldenItemReport {
    var report = GoldenItemReport(name: item.name, location: item.location, outcome: .pass)
    switch verdict {
    case .skip(let reason, let detail) where legacy == nil:
      report.outcome = .skip(reason)
      report.details = [detail]
    default:
      var findings = legacy ?? []
      if case .findings(let others) = verdict {
        findings += others
        report.bindsBoth = legacy != nil
      }
      let rows = findings.map {
        divergences.row(for: $0, case: item.title, folders: [item.context.format, stem])
      }
      report.details = findings.map { "\($0.check.rawValue): \($0.detail)" }
      report.appliedDivergences = Set(rows.compactMap { $0 })
      if rows.contains(nil) {
        report.outcome = .fail
      } else if let first = rows.first, let row = first {
        report.outcome = .xfail(divergences.rows[row].reason)
      }
    }
    return report
  }

  // MARK: Entries

  private func findings(_ entry: GoldenEntry, _ witnesses: Witnesses) -> [GoldenFinding] {
    var findings: [GoldenFinding] = []
    let encoders: [(GoldenCheck, (any GoldenEncoder)?)] = [
      (.entry, witnesses.encoder), (.reference, witnesses.reference),
    ]
    for (check, encoder) in encoders {
      guard let encoder, encoder.isBound(by: entry.kind) else { continue }
      let word = encoder.word(of: entry.kind)
      if word != entry.word {
        let texts = (GoldenText.word(entry.word), GoldenText.word(word))
        findings.append(GoldenFinding(check, "expected \(texts.0), found \(texts.1)"))
      }
    }
    return findings
  }

  // MARK: Cases

  private func verdict(
    on golden: GoldenCase, _ context: GoldenSection, _ witnesses: Witnesses, isLegacy: Bool
  ) -> Verdict {
    let table: any PageTableUnderTest
    do {
      table = try environment.makeTable(
        witnesses.configuration, Self.memoryBase(context, outputWidth: witnesses.reference?.outputWidth))
    } catch let error as NoImplementation {
      return .skip(.notBound, "\(error)")
    } catch {
      let detail = "\(context.configurationText): \(error)"
      // Other errors are those of an implementation that is broken.
      let isRefusal = error is ConfigurationError || error is SpecError || error is MachineError
      return isLegacy && isRefusal
        ? .skip(.configuration, detail) : .findings([GoldenFinding(.configuration, detail)])
    }
    // Either forces write permission on every leaf, or has none to give.
    let forcesWrite =
      witnesses.configuration.flags("features").contains("force_writeable")
      || witnesses.configuration.flags("quirks").contains("no_perms")
    let reader = { steps in
      witnesses.reference.map {
        GoldenReferenceCheck(
          $0, table, forcesWrite: forcesWrite,
          DivergenceCircumstances(
            witnesses.configuration, steps: steps, outputWidth: $0.outputWidth, rootLevel: table.root.level))
      }
    }
    var findings = run(golden.steps, on: table) { count, iova, expected in
      reader(Array(golden.steps.prefix(count)))?.lookupFinding(iova, expected)
    }
    if isLegacy {
      // Only the image of legacy code can bind, and only where both did the same.
      if let first = findings.first(where: { $0.check == .results }) {
        return .skip(.resultsDiffer, first.detail)
      }
      findings = []
    }
    let image = Result { try table.image() }
    findings += imageFindings(golden, image, isLegacy: isLegacy)
    if !isLegacy, let tables = golden.tables, tables != table.tablePages {
      findings.append(
        GoldenFinding(.tables, "expected \(tables) pages of tables, found \(table.tablePages)"))
    }
    if let check = reader(golden.steps) {
      findings += check.imageFindings(expected: golden.image, implementation: try? image.get())
      findings += check.walkFindings(GoldenMappings(golden.steps), leafLimit: golden.image.words.count)
    }
    return .findings(findings)
  }

  /// Runs the operations; the findings are the first wrong result, the first wrong notes and the lookups
  /// for which `lookup`, which sees the tables as they are after `count` steps, has a finding: of each set of
  /// conditions the first, up to one that meets no condition.
  func run(
    _ steps: [GoldenCase.Step], on table: any PageTableUnderTest,
    lookup: (_ count: Int, _ iova: UInt64, _ expected: UInt64?) -> GoldenFinding? = { _, _, _ in nil }
  ) -> [GoldenFinding] {
    var wrongLookups = GoldenFindingList()
    var wrongResult: GoldenFinding?
    var wrongNotes: GoldenFinding?
    _ = table.takeNotes()
    for (index, step) in steps.enumerated() {
      let result = table.perform(step.operation)
      let notes = table.takeNotes()
      if wrongLookups.isOpen, case .phys(let iova) = step.operation,
        case .physical(let address) = step.result,
        let finding = lookup(index, iova, address)
      {
        wrongLookups.add(finding)
      }
      if wrongResult == nil, result != step.result {
        let texts = (GoldenText.result(step.result), GoldenText.result(result))
        wrongResult = GoldenFinding(.results, "\(step.operation): expected \(texts.0), found \(texts.1)")
      }
      if wrongNotes == nil, table.keepsNotes, notes != step.notes {
        let texts = (GoldenText.notes(step.notes), GoldenText.notes(notes))
        wrongNotes = GoldenFinding(.notes, "\(step.operation): expected \(texts.0), found \(texts.1)")
      }
    }
    return [wrongResult, wrongNotes].compactMap { $0 } + wrongLookups.findings
  }

  private func imageFindings(
    _ golden: GoldenCase, _ image: Result<TableImage, any Error>, isLegacy: Bool
  ) -> [GoldenFinding] {
    switch image {
    case .failure(let error): return [GoldenFinding(.image, "no image: \(error)")]
    case .success(let image):
      guard let difference = GoldenText.difference(expected: golden.image, found: image) else { return [] }
      // Only an unmap leaves empty tables that one implementation keeps and another gives back.
      let isExcused = isLegacy && golden.hasUnmap && golden.image.differsOnlyInEmptyTables(from: image)
      return [GoldenFinding(.image, difference, conditions: isExcused ? [.onlyEmptyTablesDiffer] : [])]
    }
  }

  /// Where table memory starts. Some vectors were made with tables beyond the configuration's output
  /// addresses, which no walker could reach; theirs go to the upper half of what it can reach. Images show
  /// no table addresses, so they stay the same.
  private static func memoryBase(_ context: GoldenSection, outputWidth: Int?) -> UInt64 {
    let base = context.memoryBase ?? GoldenEnvironment.defaultMemoryBase
    guard let outputWidth, outputWidth > 0, base & ~Bits.lowMask(outputWidth) != 0 else { return base }
    return Bits.bit(outputWidth - 1)
  }
}
