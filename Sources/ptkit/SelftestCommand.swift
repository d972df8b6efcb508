// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Compare
import Conformance
import Glibc
import LibraryTarget
import PageTable
import ReferenceSpecs
import Selftests
import TAP

/// `ptkit selftest`
struct SelftestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "selftest",
    abstract: "Run the regression suite; prints TAP.",
    discussion: """
      Without names, all tests. A name may be that of a test, the first words of names (walker, \
      walker.armv8), or a pattern with '*' and '?'. The golden files are those of $PTKIT_GOLDEN, or of the \
      folder Golden in the working directory or above the binary.

      Example: ptkit selftest semantics walker.riscv64
      Example: ptkit selftest --list 'golden.*' | cut -f 1
      Example: ptkit selftest --target kernel --load --bind 0000:00:04.0
      """)

  @Flag(help: "Print the tests instead of running them: name, theme and configuration, separated by tabs.")
  var list = false

  @Option(help: "The seed of all random numbers; 0x5eed when left out.", transform: Arguments.word)
  var seed: UInt64 = 0x5eed

  @Option(help: "Threads; one for each processor when left out.")
  var jobs = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))

  @Option(
    help: """
      What is tested: sim, the generic algorithms in the simulator; lib:FILE[,CONFIGURATION], a library with the \
      interface of include/ptkit.h; ksrc:FOLDER, the page-table code of a Linux tree, which is built first; kernel, the \
      kernel that runs on this machine.
      """)
  var target = TargetName.sim

  @OptionGroup
  var tree: KernelTreeOptions

  @OptionGroup
  var added: AddedFormatOptions

  @OptionGroup
  var golden: GoldenOptions

  @OptionGroup
  var kernel: KernelTargetOptions

  @Option(
    help: """
      With lib, ksrc and kernel: a file of known failures, lines of versions | tests | reason as in \
      Sources/KernelTree/findings, which ksrc has when this is left out; kernel has Sources/Kernel/findings.
      """)
  var findings: String?

  @Option(
    help: "Memory that a process of a library may use; a quarter of the machine's when left out.",
    transform: Arguments.size)
  var memoryLimit: UInt64 = Watch.memoryLimit

  @Argument(help: "Names or patterns of tests.")
  var names: [String] = []

  func validate() throws {
    guard (1...1024).contains(jobs) else { throw ValidationError("--jobs takes 1 to 1024") }
    guard target != .sim && target != .kernel || added.files.isEmpty && golden.paths.isEmpty else {
      throw ValidationError(
        "--spec and --golden are for --target lib: and ksrc:, which have the code to test")
    }
    guard target != .kernel || tree.formats == nil && tree.buildOptions == nil else {
      throw ValidationError(
        "--formats and --build-options are for --target ksrc:, which builds the code to test")
    }
    if target != .kernel, let option = kernel.firstGiven {
      throw ValidationError("\(option) is for --target kernel")
    }
  }

  func run() throws {
    if target == .kernel {
      return try KernelTargetRun(names: names, isList: list, options: kernel, findings: findings).run()
    }
    if target != .sim { return try runLibraries() }
    let chosen: [Selftest]
    do {
      chosen = try chooseTests()
    } catch let error as SelectionError {
      throw UsageError("\(error)")
    }
    if list {
      for test in chosen { print(test.listLine) }
      return
    }
    let status = run(chosen)
    if status != .pass { throw status }
  }

  private func runLibraries() throws {
    let specifications = try added.library()
    // What is wrong with them is said once, and not by each test.
    _ = try golden.source(formats: [], specifications)
    let options = added.files.flatMap { ["--spec", $0] } + golden.paths.flatMap { ["--golden", $0] }
    var run = LibraryRun(
      target: target.text, names: names, isList: list, jobs: jobs, parts: [], specifications: specifications,
      golden: golden)
    switch target {
    case .sim, .kernel: return
    case .tree(let path):
      let source = KernelTree(
        path: path, formats: tree.formats, options: tree.buildOptions, processOptions: options)
      run.parts = try source.parts(seed: seed, callLimit: tree.callLimit)
      for index in run.parts.indices { run.parts[index].library.memoryLimit = memoryLimit }
      run.saysMissing = tree.formats == nil
      run.findings = try KernelFinding.read(path: findings ?? source.findings())
    case .library(let path, let configuration):
      var library = Supervisor(path: path, preload: nil, seed: seed, callLimit: tree.callLimit)
      library.options = options
      library.memoryLimit = memoryLimit
      run.parts = [LibraryPart(library, configuration: configuration)]
      run.findings = try findings.map { try KernelFinding.read(path: $0) } ?? []
    }
    try run.run()
  }

  /// Reads the golden files only where a name can mean their tests, for that takes longer than many tests.
  private func chooseTests() throws -> [Selftest] {
    if !names.isEmpty, !names.contains(where: Self.canMeanGolden),
      let chosen = try? Selftests.select(names, from: Selftests.all())
    {
      return chosen
    }
    let golden = try GoldenFiles.home.map { try GoldenSource(folder: $0, library: .embedded) }
    let standIn = golden == nil ? [Selftests.missingGolden] : []
    return try Selftests.select(names, from: standIn + Selftests.all(golden: golden))
  }

  /// Whether a name or pattern can mean tests of golden files: unless the first theme in it is another.
  static func canMeanGolden(_ name: String) -> Bool {
    let words = name.prefix { $0 != "*" && $0 != "?" }.split(separator: ".")
    let theme = words.lazy.compactMap { SelftestTheme(rawValue: String($0)) }.first
    return theme == nil || theme == .golden
  }

  private func run(_ tests: [Selftest]) -> ExitStatus {
    let writer = TAPWriter(plan: tests.count)
    writer.expect(tests.map(\.name))
    writer.comment("ptkit \(PTKit.configuration.version) target \(target.text) seed \(Numbers.hex(seed))")
    let (seed, target) = (seed, SimulatorFactory())
    // The tests of a theme share what they have found out, so a theme is the work of one thread.
    let themes = Self.themes(of: tests.map(\.theme))
    let work = Board<Void>(themes.count)
    let outcomes = Board<SelftestOutcome>(tests.count)
    let workers = Workers(min(jobs, themes.count)) { _ in
      while let theme = work.take() {
        let context = SelftestContext(seed: seed, target: target, library: .embedded)
        for index in themes[theme] { outcomes.put(tests[index].run(context), at: index) }
      }
    }
    for (index, test) in tests.enumerated() {
      writer.start(test.name)
      writer.report(TAPResult(test.name, outcomes.wait(for: index)))
    }
    workers.join()
    return writer.finish()
  }

  /// The positions of the tests of each theme; first the themes that take longest, so that no thread waits for them alone.
  static func themes(of tests: [SelftestTheme]) -> [[Int]] {
    let positions = Dictionary(grouping: tests.indices) { tests[$0] }
    let long: [SelftestTheme] = [.compare, .golden]
    let others = SelftestTheme.allCases.filter { !long.contains($0) }
    return (long + others).compactMap { positions[$0] }
  }
}

extension TAPResult {
  /// The result of a selftest.
  init(_ name: String, _ outcome: SelftestOutcome) {
    switch outcome {
    case .pass(let details): self.init(name, .pass, details: details)
    case .fail(let details): self.init(name, .fail, details: details)
    case .skip(let reason, let detail):
      self.init(name, .skip, reason: reason.rawValue, details: detail.isEmpty ? [] : [detail])
    case .xfail(let detail): self.init(name, .xfail, details: detail.isEmpty ? [] : [detail])
    }
  }
}
