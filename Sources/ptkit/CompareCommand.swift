// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import Compare
import Conformance
import LibraryTarget
import PageTable
import ReferenceSpecs
import TAP

/// `ptkit compare`
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Run the same operations on two sides and compare all that they leave behind; prints TAP.",
    discussion: """
      A side is generic, the generic algorithms; generic:key=value,…, the same with another configuration; \
      legacy, a driver's own code, or legacy:era=6.12 and the like to choose among several; reference, the \
      model of what is mapped and the reference's encoder; lib:FILE, a library with the interface of \
      include/ptkit.h; or ksrc:FOLDER, the page-table code of a Linux tree, which is built first. What a library \
      does happens in processes of their own: one that crashes or hangs is a failed point. Where sides differ by design, a named rule says how; \
      --rules lists them. A point is a configuration, a pair of sides and a mode: systematic, random, or with \
      --exhaustive all sequences of up to three operations of a small world.

      Example: ptkit compare amdv1 --right reference --ops 100000
      Example: ptkit compare --all --shard 2/8 --jobs 4 --time 600
      Example: ptkit compare --all --left ksrc:/usr/src/linux --right reference --jobs 2
      Example: ptkit compare amdv1 --left ksrc:linux-7.3 --right ksrc:linux-6.12
      Example: ptkit compare vtdss --right legacy --operations 'map 0x0 0x1000 4K rw; unmap 0x0 4K'
      """)

  @Argument(help: "Configurations, format:key=value,… in the generic vocabulary.")
  var configurations: [String] = []

  @Flag(help: "All configurations that the selftests run over; of libraries, those of their formats.")
  var all = false

  @Option(help: "The left side.")
  var left = "generic"

  @Option(
    help: """
      The right side; may be given several times. When left out, legacy, or beside a library the reference.
      """)
  var right: [String] = []

  @Option(help: "Random operations for each point.", transform: Arguments.count)
  var ops = CompareBudget().operations

  @Option(help: "The seed of all random numbers; 0x5eed when left out.", transform: Arguments.word)
  var seed: UInt64 = CompareBudget().seed

  @Option(help: "Seconds of random operations for each point, instead of --ops.")
  var time: Double?

  @Option(help: "Threads.")
  var jobs = 1

  @Option(help: "i/n: run only part i, from 1, of n; each point is in exactly one part.")
  var shard: String?

  @Flag(help: "Run all sequences of up to --depth operations of a small world, and nothing else.")
  var exhaustive = false

  @Flag(help: "As --exhaustive, beside the systematic and random operations.")
  var exhaustiveToo = false

  @Option(help: "Operations of an exhaustive sequence at most.")
  var depth = 3

  @Option(help: "Run these operations, separated by ';', instead of any others.")
  var operations: String?

  @OptionGroup var tree: KernelTreeOptions

  @Flag(help: "Print the rules by which sides may differ.")
  var rules = false

  @Flag(help: "With --rules, print JSON.")
  var json = false

  func validate() throws {
    guard (1...256).contains(jobs) else { throw ValidationError("--jobs takes 1 to 256") }
    guard (1...4).contains(depth) else { throw ValidationError("--depth takes 1 to 4") }
    if let time, !(time > 0) { throw ValidationError("--time takes seconds, more than 0") }
    guard !json || rules else { throw ValidationError("--json goes with --rules") }
    if rules || all == configurations.isEmpty { return }
    throw ValidationError(
      all
        ? "--all and configurations do not go together"
        : "name configurations, or --all for those of the selftests")
  }

  func run() throws {
    if rules { return CompareRules.print(json: json) }
    let sides = try CommandSides(
      left: left, right: right, tree)
    var plan = sides.plan(try chosen(sides), modes)
    if plan.points.isEmpty, sides.problems.isEmpty, let gap = plan.gaps.first, !all {
      throw InputError(gap.reason)
    }
    if let (index, count) = try parsedShard() { plan = plan.shard(index, of: count) }
    let list = try operations.map(parsed)
    let status = sides.hasLibraries ? runApart(sides, plan, list) : try runHere(plan, list)
    if status != .pass { throw status }
  }

  private func chosen(_ sides: CommandSides) throws -> [Configuration] {
    all ? sides.testConfigurations : try configurations.map { try FormatList.configuration($0) }
  }

  private var modes: [CompareMode] {
    if exhaustive { return [.exhaustive] }
    return exhaustiveToo ? [.systematic, .random, .exhaustive] : [.systematic, .random]
  }

  private func parsedShard() throws -> (Int, Int)? {
    guard let shard else { return nil }
    let parts = shard.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let index = parts[0], let count = parts[1], count > 0, (1...count).contains(index)
    else { throw UsageError("--shard takes i/n with 1 <= i <= n, not '\(shard)'") }
    return (index, count)
  }

  private var budget: CompareBudget {
    var budget = CompareBudget()
    budget.operations = ops
    budget.seed = seed
    budget.seconds = time
    budget.depth = depth
    budget.jobs = jobs
    return budget
  }

  private func runHere(_ plan: ComparePlan, _ list: [Operation]?) throws -> ExitStatus {
    if let list { return try runOperations(list, plan) }
    var output = CompareOutput(plan, seed: seed)
    CompareRun(budget, library: .embedded).run(plan.points) { output.report($0, $1) }
    return output.finish(isWhole: all && shard == nil)
  }

  private func parsed(_ text: String) throws -> [Operation] {
    try text.split(separator: ";").enumerated().map { number, word in
      do {
        return try Operation(text: word)
      } catch let error as GrammarError {
        throw InputError("operation \(number + 1), '\(word)': \(error)")
      }
    }
  }

  /// Runs the given operations on the sides of each configuration.
  private func runOperations(_ operations: [Operation], _ plan: ComparePlan) throws -> ExitStatus {
    var plan = plan
    plan.keepOne()
    var output = CompareOutput(plan, seed: seed)
    for point in plan.points {
      var report = CompareReport()
      let comparison = try Comparison(
        point.configuration, left: point.left, right: point.right, library: .embedded)
      report.difference = try comparison.run(operations)
      report.operations = comparison.operationCount
      report.tally = comparison.tally
      output.report(point, report)
    }
    return output.finish(isWhole: false)
  }

  /// Runs points with libraries in processes of their own.
  private func runApart(_ sides: CommandSides, _ plan: ComparePlan, _ list: [Operation]?) -> ExitStatus {
    var plan = plan
    if list != nil { plan.keepOne() }
    var output = CompareOutput(plan, seed: seed, problems: sides.problems)
    for note in sides.notes { output.comment(note) }
    let run = LibraryComparison(
      points: plan.points, operations: list, budget: budget, jobs: jobs,
      supervisor: CompareSupervisor(preload: sides.preload, callLimit: tree.callLimit))
    run.run { output.report($0, $1) }
    return output.finish(isWhole: false)
  }
}
