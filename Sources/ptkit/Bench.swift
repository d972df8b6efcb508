// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Benchmarks
import Conformance
import FoundationEssentials
import Glibc
import PageTable
import ReferenceSpecs
import TAP

/// `ptkit bench`: what map and unmap cost, beside what they must cost.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time map, unmap, iova_stress and the golden check.",
    discussion: """
      Beside each row stands the floor, measured in the same run on the same tables: a bare walk with one store for
      single leaves, a check and fill or clear of the words for runs. Then the drivers' own code of older Linux beside
      the generic algorithms, as the kernel's patch series print it. Compare ratios, not nanoseconds.

      With --target, the page-table code of a Linux tree, built by gcc and by clang, or a library stands beside the
      generic algorithms and the kit's model of drivers' own code, in one process and one run.

      Example: ptkit bench amdv1 armv8:granule=16k --json
      Example: ptkit bench --target ksrc:/path/to/linux riscv64
      """)

  @Argument(
    help: "Configurations to time, as format:key=value,…; every format with its defaults when left out.")
  var configurations: [String] = []

  @Flag(help: "Print the report as JSON.")
  var json = false

  @Option(help: "How often each workload is repeated.")
  var rounds = 2000

  @Option(name: .customLong("stress"), help: "TiB of IOVA that iova_stress runs over; 0 leaves it out.")
  var tebibytes = 16

  @Option(
    help: "Golden files or folders to time; the project's Golden when left out, none when it is not there.")
  var golden: String?

  @Option(
    help: """
      What is timed: sim, the generic algorithms; lib:FILE[,CONFIGURATION], a library with the interface of \
      include/ptkit.h beside them; ksrc:FOLDER, the page-table code of a Linux tree, which is built first.
      """)
  var target = TargetName.sim

  @Option(
    help: "With ksrc: what is built, names of formats or of source files joined by commas; all when left out."
  )
  var formats: String?

  // Its value starts with dashes.
  @Option(
    parsing: .unconditional,
    help: "With ksrc: more options of Sources/KernelTree/build, separated by spaces.")
  var buildOptions: String?

  func validate() throws {
    guard (1...1_000_000).contains(rounds) else { throw ValidationError("--rounds takes 1 to 1000000") }
    guard (0...256).contains(tebibytes) else { throw ValidationError("--stress takes 0 to 256 TiB") }
  }

  func run() throws {
    if target != .sim { return try runTarget() }
    var report = BenchmarkReport()
    for configuration in try chosen() {
      report.maps += try MapBenchmark.run(configuration, rounds: rounds)
      report.legacy += try LegacyBenchmark.run(configuration, rounds: rounds)
      if tebibytes > 0, let row = try StressBenchmark.run(configuration, tebibytes: tebibytes) {
        report.stress.append(row)
      }
    }
    let path = golden ?? getenv("PTKIT_GOLDEN").map { String(cString: $0) } ?? "Golden"
    if golden != nil || access(path, F_OK) == 0 {
      report.golden = try GoldenBenchmark.run(paths: [path], library: .embedded)
    }
    try put(report, report.lines)
  }

  private func runTarget() throws {
    let bench = TargetBench(
      target: target, formats: formats, options: buildOptions, configurations: configurations, rounds: rounds)
    let report = try bench.run()
    try put(report, report.lines)
    for failure in report.failures { ErrorStream.put("Error: \(failure)\n") }
    if !report.failures.isEmpty { throw ExitStatus.failure }
  }

  private func put(_ report: some Encodable, _ lines: [String]) throws {
    guard json else {
      for line in lines { print(line) }
      return
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    print(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  private func chosen() throws -> [Configuration] {
    guard configurations.isEmpty else { return try configurations.map { try FormatList.configuration($0) } }
    let others = [
      "x86_64:features=flush_range+sign_extend+dma_incoherent", "vtdss:features=flush_range+dma_incoherent",
      "armv8:coherent=0", "armv7s:coherent=0",
      "armv8:granule=16k", "armv8:granule=64k", "armv8:stage=2", "arm_lpae32:stage=2", "dart:version=2",
    ]
    return try (FormatList.all.map(\.name) + others).map { try FormatList.configuration($0) }
  }
}
