// SPDX-License-Identifier: GPL-2.0-only

/// The generic algorithms beside the code of a library or a kernel tree, built by one compiler or several.
public struct TargetReport: Sendable, Codable {
  /// A way in which the code was built: a column.
  public struct Build: Sendable, Codable {
    /// `gcc`, `clang`, or `library`.
    public var name: String
    /// What the compiler calls itself, with its flags; what the library calls itself.
    public var detail: String?
    /// Why there is nothing to time.
    public var problem: String?

    public init(name: String, detail: String? = nil, problem: String? = nil) {
      self.name = name
      self.detail = detail
      self.problem = problem
    }
  }

  /// One operation; times in ns for one page.
  public struct Row: Sendable, Codable {
    /// The library.
    public var library: String
    public var configuration: String
    public var operation: String
    public var workload: String
    /// Pages of one operation.
    public var pages: Int
    public var generic: Timing
    public var legacy: Timing?
    public var legacyConfiguration: String?
    /// By the names of builds.
    public var builds: [String: Timing]
    /// The generic algorithms over the fastest build, by the fastest rounds.
    public var ratio: Double
    /// What the ratio should not exceed.
    public var target: Double
    public var isMet: Bool

    /// - Parameter names: those of the builds that the row's libraries are.
    public init(_ row: TargetRow, library: String, names: [String]) {
      self.library = library
      configuration = row.configuration
      operation = row.operation
      workload = row.workload
      pages = row.pages
      generic = row.generic
      legacy = row.legacy
      legacyConfiguration = row.legacyConfiguration
      builds = Dictionary(zip(names, row.libraries)) { first, _ in first }
      ratio = generic.minimum / (row.libraries.map(\.minimum).min() ?? .infinity)
      target = pages == 1 ? 1 : 0.6
      isMet = ratio <= target
    }
  }

  /// As the command line names it.
  public var target: String
  /// How the generic algorithms are used.
  public var mode = "shared by threads on ranges that do not overlap, empty tables stay, as in Linux"
  public var builds: [Build]
  public var rows: [Row] = []
  /// What could not be timed, and why.
  public var failures: [String] = []

  public init(target: String, builds: [Build]) {
    self.target = target
    self.builds = builds
  }

  /// The report as lines of text.
  public var lines: [String] {
    let heads = builds.map { build in
      "\(build.name): \([build.detail, build.problem].compactMap { $0 }.joined(separator: ", "))"
    }
    return [
      "The generic algorithms and the kit's model of drivers' code beside \(target), ns for one page, fastest rounds.",
      "generic: \(mode)",
    ] + heads + [""] + [Self.row(["configuration", "one operation"] + head)] + rows.map(line) + [""]
      + verdicts
  }

  private var head: [String] { ["generic", "legacy"] + builds.map(\.name) + ["ratio", "target", ""] }

  private func line(_ row: Row) -> String {
    let decimals = row.pages == 1 ? 1 : 3
    func cell(_ timing: Timing?) -> String {
      timing.map { BenchmarkReport.text($0.minimum, decimals) } ?? "-"
    }
    return Self.row(
      [row.configuration, "\(row.operation) \(row.workload)", cell(row.generic), cell(row.legacy)]
        + builds.map { cell(row.builds[$0.name]) }
        + [
          BenchmarkReport.text(row.ratio, 2), BenchmarkReport.text(row.target, 2),
          row.isMet ? "met" : "missed",
        ])
  }

  private static func row(_ cells: [String]) -> String {
    BenchmarkReport.row(cells, [28, 15] + cells.dropFirst(2).map { _ in 8 })
  }

  private var verdicts: [String] {
    let missed = rows.filter { !$0.isMet }
    let met = "\(rows.count - missed.count) of \(rows.count) targets met."
    return [met] + failures.map { "failed: \($0)" }
  }
}
