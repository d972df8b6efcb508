// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import Kernel
import Machine
import Reference
import ReferenceSpecs
import Selftests
import TAP

/// A run of the tests of the kernel that runs on this machine.
struct KernelTargetRun {
  /// Names or patterns; none for all tests.
  var names: [String]
  /// Whether tests are printed instead of being run.
  var isList: Bool
  var options: KernelTargetOptions
  /// The file of known failures; nil for the kit's.
  var findings: String?

  func run() throws {
    let tests = MapperTests.all(
      MapperTestOptions(stressSpace: options.stressSpace ?? 1 << 40) {
        try SpecificationLibrary.embedded.format(FormatList.configuration($0))
      })
    if isList { return try list(tests) }
    let known = try findings.map { try KernelFinding.read(path: $0) } ?? KernelFinding.ofRunningKernels()
    let machine = LocalMachine()
    try options.check(on: machine)
    let path = options.journal ?? JournalPlace.standard
    let file = try explained { try path.map { try JournalFile(new: $0) } }
    // Before the first change, and to the end of the last that is undone.
    let interruption = Interruption()
    defer { interruption.end() }
    let context = try KernelContext(
      machine: machine, options: options.options, source: ModuleSources.local(machine),
      journal: Journal(machine: machine, file: file), interruption: interruption.check)
    let run = KernelRun(context: context, tests: tests, findings: known)
    let status = try report(run, context)
    if status != .pass { throw status }
  }

  /// Reports all points and ends the run.
  private func report(_ run: KernelRun, _ context: KernelContext) throws -> ExitStatus {
    let progress = TAPProgress()
    var points: [KernelPoint] = []
    var signal: Int32?
    do {
      points = try run.points(names) { progress.show($0) }
    } catch let interruption as KernelInterruption {
      signal = interruption.signal
    } catch {
      let left = run.finish()
      for line in left.details { ErrorStream.put(line + "\n") }
      guard let error = error as? SelectionError else { throw error }
      throw UsageError("\(error)")
    }
    progress.clear()
    let writer = TAPWriter(plan: points.count + 1)
    writer.expect(points.map(\.name))
    writer.comment(
      "ptkit \(PTKit.configuration.version) target kernel, Linux \(context.release) \(context.architecture)")
    for point in points where signal == nil {
      writer.start(point.name)
      do {
        writer.report(try run.result(of: point))
      } catch {
        signal = error.signal
      }
    }
    if let signal {
      writer.comment("\(Interruption.name(signal)) ends the run; what was changed is put back")
    }
    writer.report(run.finish())
    return writer.finish()
  }

  private func list(_ tests: [KernelTest]) throws {
    let lines = Dictionary(uniqueKeysWithValues: tests.map { ($0.name, $0.listLine) })
    do {
      for name in try Selftests.select(names, from: KernelRun.names(tests)) {
        print(lines[name] ?? KernelTest(name) { _ in .pass }.listLine)
      }
    } catch let error as SelectionError {
      throw UsageError("\(error)")
    }
  }
}

/// A journal that cannot be used is bad input.
func explained<Result>(_ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as JournalError {
    throw InputError(error.description)
  }
}
