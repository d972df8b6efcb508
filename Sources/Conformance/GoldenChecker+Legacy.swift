// SPDX-License-Identifier: GPL-2.0-only

import PageTable

extension GoldenChecker {
  /// What is wrong with the drivers' own code, for a case of legacy behaviour; nil when the item does not bind it.
  func legacyFindings(
    on item: GoldenItem, _ configuration: Result<Configuration, GoldenConfigurationProblem>?
  ) -> [GoldenFinding]? {
    guard let legacy = environment.legacy, let configuration, case .case(let golden) = item.content else {
      return nil
    }
    do {
      let table = try legacy.makeTable(
        try configuration.get(), item.context.memoryBase ?? GoldenEnvironment.defaultMemoryBase)
      return legacyFindings(golden, table).map { GoldenFinding(.legacy, $0) }
    } catch is ConfigurationError where legacy.isPartial {
      return nil
    } catch {
      return [GoldenFinding(.legacy, "\(item.context.configurationText): \(error)")]
    }
  }

  private func legacyFindings(_ golden: GoldenCase, _ table: any PageTableUnderTest) -> [String] {
    var details: [String] = []
    _ = table.takeNotes()
    for step in golden.steps {
      let result = table.perform(step.operation)
      let warns = table.takeNotes().contains(.warn)
      if result != step.result {
        let texts = (GoldenText.result(step.result), GoldenText.result(result))
        details.append("\(step.operation): expected \(texts.0), found \(texts.1)")
        break
      }
      // Linux may print several warnings for one call; a case says that it warned. When it synchronises the IOTLB is
      // nothing that these vectors show.
      if warns != step.notes.contains(.warn), table.keepsNotes {
        details.append("\(step.operation): " + (warns ? "warns, expected no warning" : "expected a warning"))
        break
      }
    }
    do {
      if let difference = GoldenText.difference(expected: golden.image, found: try table.image()) {
        details.append(difference)
      }
    } catch {
      details.append("no image: \(error)")
    }
    if let tables = golden.tables, tables != table.tablePages {
      details.append("expected \(tables) pages of tables, found \(table.tablePages)")
    }
    return details
  }
}

extension GoldenSection {
  /// The Linux version that a section of legacy behaviour shows.
  package var linuxVersion: String {
    if let era { return era }
    let words = source.split(separator: " ").prefix(2)
    guard words.count == 2, words[0] == "Linux" else { return "7.3" }
    return words[1].split(separator: ".").prefix(2).joined(separator: ".")
  }

  /// The Linux version whose code made the section, when that is not 7.3; other versions bind no
  /// implementation but a model of that version.
  var otherEra: String? {
    if let era { return era == "7.3" ? nil : "Linux \(era)" }
    let words = source.split(separator: " ").prefix(2)
    guard words.count == 2, words[0] == "Linux", words[1] == "7.3" || words[1].hasPrefix("7.3.") else {
      return words.joined(separator: " ")
    }
    return nil
  }

  /// Whether there is a model of the code that made the section.
  func isModelled(by legacy: GoldenLegacy) -> Bool {
    behaviour == .legacy && legacy.eras(format).contains(linuxVersion)
  }

  /// The `key=value` words of a legacy section, with its era.
  var legacyPairs: [String] { pairs + ["era=\(linuxVersion)"] }
}
