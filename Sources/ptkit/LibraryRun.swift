// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import LibraryTarget
import PageTable
import Reference
import Selftests
import TAP

/// A library of a run.
struct LibraryPart: Sendable {
  var library: Supervisor
  /// The one configuration to test; nil for all.
  var configuration: String?
  /// What stands before the names of its tests; empty for nothing.
  var prefix = ""
  /// Why there is no library.
  var problem: String?

  init(_ library: Supervisor, configuration: String? = nil, prefix: String = "") {
    self.library = library
    self.configuration = configuration
    self.prefix = prefix
  }

  /// The name of a test in the results.
  func name(_ test: String) -> String { prefix.isEmpty ? test : "\(prefix).\(test)" }
}

/// One run of the tests of libraries.
struct LibraryRun {
  /// As the command line names it.
  var target: String
  /// Names or patterns; none for all tests.
  var names: [String]
  /// Whether tests are printed instead of being run.
  var isList: Bool
  /// Threads, each of which supervises a process.
  var jobs: Int
  var parts: [LibraryPart]
  /// Whether formats of the suite that no library has are said.
  var saysMissing = false
  /// Failures that are known.
  var findings: [KernelFinding] = []
  /// The specifications of formats.
  var specifications: SpecificationLibrary
  /// Golden vectors beside those of the kit.
  var golden = GoldenOptions()

  /// A part with what is known once its library has been asked.
  private struct Known: Sendable {
    var part: LibraryPart
    var formats: [LibraryFormat] = []
    var tests: [Selftest] = []
    var load: SelftestOutcome = .pass
  }

  func run() throws {
    var known = parts.map(ask)
    if saysMissing, names.isEmpty { known += missing(known) }
    let chosen = try choose(known)
    if isList {
      for each in chosen { for test in each.tests { print(each.part.name(test.listLine)) } }
      return
    }
    let status = run(chosen)
    if status != .pass { throw status }
  }

  /// What stands for formats of the suite that none of the libraries has.
  private func missing(_ known: [Known]) -> [Known] {
    LibraryTests.missing(known.flatMap(\.formats)).compactMap { format in
      let prefix = "ksrc.\(format)"
      guard !parts.contains(where: { $0.prefix == prefix }) else { return nil }
      var part = LibraryPart(Supervisor(path: "", preload: nil, seed: 0), prefix: prefix)
      part.problem = "no such format"
      return Known(part: part, load: .skip(.noSuchSide, detail: "\(target) has no code of this format"))
    }
  }

  /// The tests that the names mean.
  ///
  /// - Throws: `UsageError` for a name that means no test.
  private func choose(_ known: [Known]) throws -> [Known] {
    guard !names.isEmpty else { return known }
    var unknown = Set(names)
    let chosen = known.map { known in
      let meant = names.filter { name in
        let isMeant = name == known.part.prefix || select([name], known) != nil
        if isMeant || known.tests.isEmpty && name.hasPrefix(known.part.prefix) { unknown.remove(name) }
        return isMeant
      }
      var chosen = known
      if !meant.contains(known.part.prefix) { chosen.tests = meant.isEmpty ? [] : select(meant, known) ?? [] }
      return chosen
    }
    guard let first = names.first(where: unknown.contains) else { return chosen }
    if known.count == 1, let only = known.first {
      _ = try explained { try Selftests.select([first], from: only.tests) }
    }
    let all = known.flatMap { each in each.tests.map { each.part.name($0.name) } }
    throw UsageError("no test '\(first)'\(Nearest.hint(first, in: all))")
  }

  private func explained<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as SelectionError {
      throw UsageError("\(error)")
    }
  }

  private func select(_ names: [String], _ known: Known) -> [Selftest]? {
    try? Selftests.select(names.map { withoutPrefix($0, known.part.prefix) }, from: known.tests)
  }

  private func withoutPrefix(_ name: String, _ prefix: String) -> String {
    name.hasPrefix(prefix + ".") ? String(name.dropFirst(prefix.count + 1)) : name
  }

  private func ask(_ part: LibraryPart) -> Known {
    var known = Known(part: part)
    if let problem = part.problem {
      known.load = .fail(details: [problem])
      return known
    }
    do {
      let (name, formats) = try part.library.describe()
      known.formats = formats
      let vectors =
        names.isEmpty || names.contains(where: SelftestCommand.canMeanGolden)
        ? try golden.source(formats: formats.map(\.name), specifications) : nil
      known.tests = try LibraryTests.all(formats, golden: vectors, specifications)
      if let text = part.configuration {
        let wanted = (try? specifications.configuration(text).description) ?? text
        known.tests = known.tests.filter { $0.configuration == wanted }
      }
      let eras = Set(formats.map { "\($0.behaviour.rawValue) \($0.era)" }).sorted().joined(separator: ", ")
      known.load = .pass(details: ["\(name): \(formats.map(\.name).joined(separator: ", ")) (\(eras))"])
    } catch {
      known.load = .fail(details: ["\(error)"])
    }
    return known
  }

  private func run(_ libraries: [Known]) -> ExitStatus {
    var names = libraries.flatMap { each in
      [each.part.name("load")] + each.tests.map { each.part.name($0.name) }
    }
    var findings = KernelFindings(findings)
    let eras = Set(libraries.flatMap(\.formats).map(\.era))
    let checksFindings =
      saysMissing && self.names.isEmpty
      && self.findings.contains { finding in
        finding.symptom != nil && eras.contains { finding.isAbout(era: $0) }
      }
    if checksFindings { names.append("ksrc.findings") }
    let writer = TAPWriter(plan: names.count)
    writer.expect(names)
    writer.comment("ptkit \(PTKit.configuration.version) target \(target)")
    // The tests of a theme share what they have found out, so a theme of a library is the work of one process.
    let pieces = libraries.enumerated().flatMap { index, each in
      SelftestCommand.themes(of: each.tests.map(\.theme)).map { (library: index, tests: $0) }
    }
    let firsts = libraries.indices.map { index in libraries[..<index].reduce(0) { $0 + $1.tests.count } }
    let work = Board<Void>(pieces.count)
    let outcomes = Board<SelftestOutcome>(
      firsts.indices.last.map { firsts[$0] + libraries[$0].tests.count } ?? 0)
    let workers = Workers(min(jobs, pieces.count)) { _ in
      while let piece = work.take() {
        let (library, tests) = pieces[piece]
        let names = tests.map { libraries[library].tests[$0].name }
        var next = 0
        libraries[library].part.library.run(names) { _, outcome in
          outcomes.put(outcome, at: firsts[library] + tests[next])
          next += 1
        }
      }
    }
    for (library, each) in libraries.enumerated() {
      writer.report(TAPResult(each.part.name("load"), each.load))
      for (index, test) in each.tests.enumerated() {
        writer.start(each.part.name(test.name))
        let outcome = outcomes.wait(for: firsts[library] + index)
        var result = TAPResult(each.part.name(test.name), outcome)
        findings.apply(to: &result, era: each.formats.first?.era ?? "")
        writer.report(result)
      }
    }
    if checksFindings {
      let unseen = findings.unseen
      writer.report(TAPResult("ksrc.findings", unseen.isEmpty ? .pass : .fail, details: unseen))
    }
    workers.join()
    return writer.finish()
  }
}
