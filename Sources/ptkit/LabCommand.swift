// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Conformance
import Glibc
import Kernel
import Lab
import PageTable
import Reference
import ReferenceSpecs
import TAP

/// `ptkit lab`
struct LabCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lab",
    abstract: "Boot real kernels in virtual machines, and test what they map; prints TAP.",
    discussion: """
      Rows are virtual machines: an IOMMU, a kernel and a QEMU (lab/rows; docs/lab.md). Without names, those that run \
      by default; 'all' means all. What is not there is fetched from the Debian mirror first, into \
      ~/.cache/ptkit/lab ($PTKIT_CACHE/lab).

      Example: ptkit lab intel-ss
      Example: ptkit lab intel-ss --kernel arch/x86/boot/bzImage --modules /tmp/modules
      """)

  @Flag(help: "Print the rows, or with --tests the tests of the rows, instead of running them.")
  var list = false

  @Flag(help: "With --list: the tests.")
  var tests = false

  @Flag(help: "Prove, too, that tests are skipped where a module is missing: one more boot for each row.")
  var proofs = false

  @Option(help: "Machines at a time.")
  var jobs = 2

  @Option(help: "A kernel of your own in the place of the rows': a bzImage, or an Image.")
  var kernel: String?

  @Option(
    help:
      "Its modules: the folder of 'make modules_install INSTALL_MOD_PATH=…'. Without it all must be built in."
  )
  var modules: String?

  @Option(help: "Only tests whose names, without vm.ROW., begin so; joined by commas.")
  var only: String?

  @Option(help: "IOVA space that iova_stress goes through.", transform: Arguments.size)
  var stress: UInt64 = 1 << 40

  @Argument(help: "Names of rows.")
  var rows: [String] = []

  func validate() throws {
    guard (1...64).contains(jobs) else { throw ValidationError("--jobs takes 1 to 64") }
    guard list || !tests else { throw ValidationError("--tests is for --list") }
    guard kernel != nil || modules == nil else { throw ValidationError("--modules is for --kernel") }
    guard stress >= 1 << 30 else { throw ValidationError("--stress takes 1G or more") }
  }

  func run() throws {
    do {
      try runRows()
    } catch let error as LabError {
      throw InputError("\(error)")
    } catch let error as KernelFindingError {
      throw InputError(error.description)
    } catch let error as LabRowError {
      throw InputError("\(error)")
    }
  }

  private func runRows() throws {
    let folder = try LabFolder(home: Self.home())
    let all = try LabRows(FileText.whole(folder.rowsFile), file: folder.rowsFile)
    let names = rows.flatMap { $0.split { $0 == "," || $0 == " " }.map(String.init) }
    let (chosen, unknown) = all.selection(names)
    if let name = unknown.first {
      let known = all.rows.map(\.name)
      throw UsageError(
        "unknown row '\(name)'\(Nearest.hint(name, in: known)); rows are \(known.joined(separator: ", "))")
    }
    var options = LabRun.Options(
      jobs: jobs,
      mapping: MapperTestOptions(
        stressSpace: stress,
        reference: { try SpecificationLibrary.embedded.format(FormatList.configuration($0)) }))
    options.kernel = try kernel.map { path in try KernelImage(file: path, modules: modules) }
    options.proves = proofs
    options.findings = try KernelFinding.ofRunningKernels()
    options.names = only?.split(separator: ",").map(String.init) ?? []
    let run = LabRun(chosen, in: folder, options)
    let withoutRows = run.names.map { $0.split(separator: ".").dropFirst(2).joined(separator: ".") }
    if let name = options.names.first(where: { name in !withoutRows.contains { $0.hasPrefix(name) } }) {
      throw UsageError(
        "no test of these rows begins with '\(name)'; 'ptkit lab --list --tests' has their names")
    }
    if list {
      print((tests ? run.names : all.rows.map(\.listLine)).joined(separator: "\n"))
      return
    }
    Self.endWithSignals()
    let writer = TAPWriter(plan: run.names.count)
    writer.expect(run.names)
    writer.comment("ptkit \(PTKit.configuration.version) lab")
    run.run(writer)
    let status = writer.finish()
    if status != .pass { throw status }
  }

  /// The folder `lab`: in the working directory, or above the binary.
  private static func home() throws -> String {
    if access("lab/rows", R_OK) == 0 { return "lab" }
    var folder = GoldenFiles.executablePath?[...] ?? ""
    while let slash = folder.lastIndex(of: "/") {
      folder = folder[..<slash]
      if access("\(folder)/lab/rows", R_OK) == 0 { return "\(folder)/lab" }
    }
    throw InputError("lab/rows is neither in the working directory nor above the binary")
  }

  /// No machine outlives this process, and none of their files: a thread waits for the signals that end it.
  private static func endWithSignals() {
    // A stream that nobody reads is an error of its writer's.
    signal(SIGPIPE, SIG_IGN)
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { _ in
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        var signal: Int32 = 0
        sigwait(&signals, &signal)
        LabRun.endAll()
        let names = [SIGINT: "SIGINT", SIGTERM: "SIGTERM", SIGHUP: "SIGHUP"]
        let line = Array("Bail out! \(names[signal] ?? "a signal") ends the run\n".utf8)
        _ = write(1, line, line.count)
        _exit(128 + signal)
      }, nil)
  }
}

extension LabRow {
  /// A line of the list of rows.
  fileprivate var listLine: String {
    [name, isDefault ? "default" : "", "\(architecture) Linux \(kernel) QEMU \(emulator)", about].joined(
      separator: "\t")
  }
}
