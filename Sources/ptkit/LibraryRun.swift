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
    let known = parts.map(ask)
    let isFiltered = !names.isEmpty
    let chosen = try known.map { known in
      let names =
        known.part.prefix.isEmpty ? self.names : self.names.map { withoutPrefix($0, known.part.prefix) }
      guard isFiltered, !known.tests.isEmpty else { return known }
      var chosen = known
      do {
        chosen.tests = try Selftests.select(names, from: known.tests)
      } catch let error as SelectionError {
        guard parts.count > 1 else { throw UsageError("\(error)") }
        chosen.tests = []
      }
      return chosen
    }
    if isList {
      for each in chosen { for test in each.tests { print(each.part.name(test.listLine)) } }
      return
    }
    let status = run(chosen)
    if status != .pass { throw status }
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
      known.tests = try LibraryTests.all(
        formats, golden: golden.source(formats: formats.map(\.name), specifications), specifications)
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
    let names = libraries.flatMap { each in
      [each.part.name("load")] + each.tests.map { each.part.name($0.name) }
    }
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
        let result = TAPResult(each.part.name(test.name), outcome)
        let era = each.formats.first?.era ?? ""
        let finding = findings.first { $0.isAbout(result.name, era: era) }
        writer.report(finding.map { $0.apply(to: result) } ?? result)
      }
    }
    workers.join()
    return writer.finish()
  }
}
