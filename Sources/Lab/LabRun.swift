// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Glibc
import Kernel
import Machine
import Synchronization
import TAP

/// A run of rows: each boots, is tested, and is switched off; several at a time.
public final class LabRun: Sendable {
  /// What a run is asked to do.
  public struct Options: Sendable {
    /// A developer's kernel in the place of the rows' own; nil for those.
    public var kernel: KernelImage?
    /// Machines at a time.
    public var jobs: Int
    /// Whether the proofs run that need a boot of their own.
    public var proves = false
    /// Names of tests, without `vm.ROW.`, that run: their beginnings; none for all.
    public var names: [String] = []
    /// What the tests that map are told.
    public var mapping: MapperTestOptions
    /// Failures of running kernels that are known; names of tests stand there with `kernel.` for `vm.ROW.`.
    public var findings: [KernelFinding] = []

    public init(jobs: Int, mapping: MapperTestOptions) {
      self.jobs = jobs
      self.mapping = mapping
    }
  }

  private let rows: [LabRow]
  private let tests: [[LabTest]]
  private let options: Options
  private let folder: LabFolder
  private let results: Board<TAPResult>
  private let lines: Board<String>
  private let work: Board<Void>

  public init(_ rows: [LabRow], in folder: LabFolder, _ options: Options) {
    self.rows = rows
    self.folder = folder
    self.options = options
    tests = rows.map { row in
      LabTests.all(row, options).filter { test in
        options.names.isEmpty || LabTests.frame.contains(test.name)
          || options.names.contains { test.name.hasPrefix($0) }
      }
    }
    results = Board(tests.reduce(0) { $0 + $1.count })
    lines = Board(rows.count)
    work = Board(rows.count)
  }

  /// The names of all results, in order.
  public var names: [String] {
    zip(rows, tests).flatMap { row, tests in tests.map { "vm.\(row.name).\($0.name)" } }
  }

  /// Runs all, and writes the results as they come.
  public func run(_ writer: TAPWriter) {
    let kernel = options.kernel
    let folder = folder
    // One after the other: the cache has one writer.
    let guests = rows.map { row in
      Result { () throws(LabError) -> LabGuest in try LabGuest(row, in: folder, kernel: kernel) }
    }
    let workers = Workers(min(options.jobs, rows.count)) { _ in
      while let index = self.work.take() { self.run(index, guests[index]) }
    }
    for (index, name) in names.enumerated() {
      writer.start(name)
      writer.report(results.wait(for: index))
      // Nobody reads what the machines would still find.
      guard !writer.isOutputLost else { return Self.endAll() }
    }
    for index in rows.indices { writer.comment(lines.wait(for: index)) }
    workers.join()
  }

  // MARK: One row

  private func run(_ index: Int, _ guest: Result<LabGuest, LabError>) {
    let row = rows[index]
    let progress = LabProgress(row.name)
    let figures = LabFigures()
    var next = tests[..<index].reduce(0) { $0 + $1.count }
    func report(_ result: TAPResult) {
      figures.totals.count(result.outcome)
      results.put(result, at: next)
      next += 1
    }
    switch guest {
    case .failure(let error) where !error.isMissing:
      skipAll(tests[index], row, error, report)
    case .failure(let error):
      for test in tests[index] {
        report(TAPResult("vm.\(row.name).\(test.name)", .skip, reason: "not fetched", details: ["\(error)"]))
      }
    case .success(let guest):
      run(row, guest, tests[index], progress, figures, report)
    }
    lines.put(figures.line(row, seconds: progress.seconds), at: index)
    progress.say("done")
  }

  private func run(
    _ row: LabRow, _ guest: LabGuest, _ tests: [LabTest], _ progress: LabProgress, _ figures: LabFigures,
    _ report: (TAPResult) -> Void
  ) {
    progress.say("boot")
    let bench: LabTest.Bench
    do {
      let machine = try guest.start { progress.say($0) }
      var options = KernelOptions(loadsModules: true)
      if row.mapper == .vfio { options.bindings = [row.device] }
      let context = try KernelContext(machine: machine.machine, options: options)
      figures.release = context.release
      bench = LabTest.Bench(row, guest, machine, context, figures)
    } catch {
      skipAll(tests, row, error, report)
      return
    }
    var findings = KernelFindings(options.findings)
    var phase = ""
    for test in tests {
      if test.phase != phase {
        phase = test.phase
        progress.say(phase)
      }
      guard !bench.machine.machine.isLost || test.name == LabTests.frame.last else {
        report(TAPResult("vm.\(row.name).\(test.name)", .skip, reason: "the machine is lost"))
        continue
      }
      if let skip = row.skips.first(where: { test.name.hasPrefix($0.names) }) {
        report(TAPResult("vm.\(row.name).\(test.name)", .skip, reason: skip.reason))
        continue
      }
      var result = test.run(bench)
      findings.apply(to: &result, era: bench.context.version)
      result.name = "vm.\(row.name).\(test.name)"
      figures.note(result)
      report(result)
    }
  }

  private func skipAll(_ tests: [LabTest], _ row: LabRow, _ error: any Error, _ report: (TAPResult) -> Void) {
    for (index, test) in tests.enumerated() {
      let name = "vm.\(row.name).\(test.name)"
      report(
        index == 0
          ? TAPResult(name, .fail, details: ["\(error)"])
          : TAPResult(name, .skip, reason: "the machine did not boot"))
    }
  }

  /// Ends all machines, for a process that is ended by a signal.
  public static func endAll() { GuestProcesses.shared.endAll() }
}

/// A row's progress on standard error: what it does, and since when.
final class LabProgress {
  private let row: String
  private let start = Deadline.now

  init(_ row: String) { self.row = row }

  /// Since the row began.
  var seconds: Int { Int((Deadline.now - start) / 1_000_000_000) }

  func say(_ text: String) {
    let time = "\(seconds)"
    let line = "vm \(row) \(String(repeating: " ", count: max(0, 4 - time.count)))\(time) s  \(text)\n"
    let bytes = Array(line.utf8)
    _ = write(2, bytes, bytes.count)
  }
}
