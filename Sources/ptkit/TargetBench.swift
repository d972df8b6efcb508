// SPDX-License-Identifier: GPL-2.0-only

import Benchmarks
import Conformance
import FoundationEssentials
import LibraryTarget
import PageTable
import ReferenceSpecs

/// `ptkit bench --target`: the kit's code beside that of a library, or of a kernel tree built by each compiler.
struct TargetBench {
  var target: TargetName
  /// With a tree: what is built, joined by commas; nil for what `configurations` need.
  var formats: String?
  /// With a tree: more options of the build, separated by spaces.
  var options: String?
  /// What to time; empty for the usual configuration of each format.
  var configurations: [String]
  var rounds: Int

  /// The code of one source, as the builds have it.
  private struct Subject {
    var name: String
    /// The names of builds, and libraries.
    var builds: [(name: String, path: String)]
    var configuration: String?
  }

  func run() throws -> TargetReport {
    let wanted = try configurations.map { try FormatList.configuration($0) }
    switch target {
    case .sim: return TargetReport(target: target.text, builds: [])
    case .kernel: throw TargetName.kernelIsForSelftests
    case .library(let path, let configuration):
      let report = TargetReport(target: target.text, builds: [.init(name: "library")])
      let name = path.split(separator: "/").last.map(String.init) ?? path
      let subject = Subject(name: name, builds: [("library", path)], configuration: configuration)
      return time([subject], wanted, report)
    case .tree(let path):
      var report = TargetReport(target: target.text, builds: [])
      var subjects: [Subject] = []
      for compiler in ["gcc", "clang"] {
        let tree = KernelTree(path: path, formats: formats(for: wanted), options: options)
        try build(tree, compiler, &report, &subjects)
      }
      return time(subjects.sorted { $0.name < $1.name }, wanted, report)
    }
  }

  /// What a tree must be built for.
  private func formats(for wanted: [Configuration]) -> String? {
    if let formats { return formats }
    return wanted.isEmpty ? nil : Set(wanted.map(\.format)).sorted().joined(separator: ",")
  }

  // MARK: Building

  private func build(
    _ tree: KernelTree, _ compiler: String, _ report: inout TargetReport, _ subjects: inout [Subject]
  ) throws {
    let version = try CapturedRun("/bin/sh", ["-c", "\(compiler) --version 2>/dev/null"])
    guard version.status == 0, let first = version.output.split(separator: "\n").first else {
      report.builds.append(.init(name: compiler, problem: "\(compiler) is not installed"))
      return
    }
    // Of clang, where its sources came from is left out.
    let name = first.firstRange(of: " (http").map { first[..<$0.lowerBound] } ?? first
    let flags = ["-O2"] + (options ?? "").split(separator: " ").map(String.init)
    report.builds.append(.init(name: compiler, detail: "\(name), \(flags.joined(separator: " "))"))
    let (libraries, failures) = try tree.benchLibraries(compiler: compiler)
    report.failures += failures.map { "\($0.0) with \(compiler): \($0.1)" }
    for (name, path) in libraries {
      if let index = subjects.firstIndex(where: { $0.name == name }) {
        subjects[index].builds.append((compiler, path))
      } else {
        subjects.append(Subject(name: name, builds: [(compiler, path)]))
      }
    }
  }

  // MARK: Timing

  private func time(
    _ subjects: [Subject], _ wanted: [Configuration], _ report: TargetReport
  ) -> TargetReport {
    var report = report
    for subject in subjects { time(subject, wanted, &report) }
    if report.rows.isEmpty, report.failures.isEmpty { report.failures.append("there was nothing to time") }
    return report
  }

  private func time(_ subject: Subject, _ wanted: [Configuration], _ report: inout TargetReport) {
    var loaded: [(name: String, path: String)] = []
    var formats: [LibraryFormat] = []
    for build in subject.builds {
      do {
        let (name, found) = try Supervisor(path: build.path, preload: nil, seed: 0).describe()
        formats = found
        loaded.append(build)
        if case .library = target { report.builds[0].detail = name }
      } catch {
        report.failures.append("\(subject.name) with \(build.name): \(error)")
      }
    }
    guard let first = loaded.first else { return }
    let configurations = chosen(formats, wanted, subject.configuration)
    let arguments =
      ["library-process", "--bench", "\(rounds)"] + loaded.dropFirst().flatMap { ["--beside", $0.path] }
      + [first.path]
    let names = loaded.map(\.name)
    let supervisor = Supervisor(path: first.path, preload: nil, seed: 0)
    supervisor.ask(arguments, configurations) { configuration, outcome in
      switch outcome {
      case .pass(let texts):
        let rows = texts.compactMap { try? JSONDecoder().decode(TargetRow.self, from: Data($0.utf8)) }
        report.rows += rows.map { TargetReport.Row($0, library: subject.name, names: names) }
      case .fail(let details):
        report.failures.append("\(subject.name), \(configuration): \(details.joined(separator: "\n  "))")
      case .skip, .xfail: break
      }
    }
  }

  /// The configurations of a library to time, as text.
  private func chosen(_ formats: [LibraryFormat], _ wanted: [Configuration], _ own: String?) -> [String] {
    if let own { return [own] }
    return formats.flatMap { format -> [String] in
      if !wanted.isEmpty { return wanted.filter { $0.format == format.name }.map(\.completeText) }
      // A library of its own kind need not have the kit's defaults.
      if format.behaviour == .own, let first = format.configurations.first { return [first] }
      return FormatList.all.contains { $0.name == format.name } ? [format.name] : []
    }
  }

  // MARK: The process of the libraries

  /// Answers configurations on standard input with rows.
  static func answer(paths: [String], rounds: Int) {
    LibraryProcess.answer(paths: paths, specifications: .embedded) { targets, line in
      let configuration = try FormatList.configuration(line)
      return try TargetBenchmark.run(configuration, targets: targets, rounds: rounds).map { row in
        String(decoding: try JSONEncoder().encode(row), as: UTF8.self)
      }
    }
  }
}

extension KernelTree {
  /// Builds the tree's code for `ptkit bench`: with what a kernel executes between the core's functions and the page
  /// table, and nothing of the kit.
  ///
  /// - Returns: names with paths, and names of what was not built with the reason.
  func benchLibraries(compiler: String) throws -> (
    libraries: [(String, String)], failures: [(String, String)]
  ) {
    if let error = LibraryError.ofThisBinary { throw InputError("\(error)") }
    let script = try file("cached")
    ErrorStream.put("building the page-table code of \(path) with \(compiler)\n")
    var arguments = formats.map { ["--formats=\($0)"] } ?? []
    arguments += ["--cc=\(compiler)", "--bench"] + (options ?? "").split(separator: " ").map(String.init)
    let run = try CapturedRun("/bin/sh", [script] + arguments + [path])
    guard let out = run.output.split(separator: "\n").last.map(String.init), run.status < 2 else {
      throw InputError("the page-table code of \(path) cannot be built with \(compiler), see above")
    }
    return (try pairs("\(out)/libraries"), try pairs("\(out)/failures"))
  }
}
