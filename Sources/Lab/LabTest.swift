// SPDX-License-Identifier: GPL-2.0-only

import Kernel
import TAP

/// One point of a row's results.
struct LabTest: Sendable {
  /// What there is to be tested: a row's machine and what earlier tests found out. To be used by one thread.
  final class Bench {
    let row: LabRow
    let guest: LabGuest
    let machine: VirtualMachine
    let context: KernelContext
    let figures: LabFigures
    private var walked: Result<LabWalk, any Error>?

    init(
      _ row: LabRow, _ guest: LabGuest, _ machine: VirtualMachine, _ context: KernelContext,
      _ figures: LabFigures
    ) {
      self.row = row
      self.guest = guest
      self.machine = machine
      self.context = context
      self.figures = figures
    }

    /// The walk, which is made when it is first asked for.
    func walk() throws -> LabWalk {
      let result = walked ?? Result { try LabWalk(self) }
      walked = result
      return try result.get()
    }
  }

  /// Without `vm.ROW.`.
  let name: String
  /// What progress shows.
  let phase: String
  private let body: @Sendable (Bench) throws -> TAPResult

  /// A test of the lab's own. `body` returns lines for a reader; it throws `KernelFailure` or `KernelSkip` where it does not pass.
  init(_ name: String, phase: String, _ body: @escaping @Sendable (Bench) throws -> [String]) {
    self.name = name
    self.phase = phase
    self.body = { TAPResult(name, .pass, details: try body($0)) }
  }

  /// A test of the kernel, under the same name but for the first word.
  init(_ test: KernelTest) {
    let words = test.name.split(separator: ".").dropFirst()
    name = words.joined(separator: ".")
    phase = words.prefix(2).joined(separator: " ")
    body = { try test.result(in: $0.context) }
  }

  /// Its result, as `kernel.NAME`.
  func run(_ bench: Bench) -> TAPResult {
    var result: TAPResult
    do {
      result = try body(bench)
    } catch let skip as KernelSkip {
      result = TAPResult(name, .skip, reason: skip.reason.rawValue, details: [skip.detail])
    } catch let failure as KernelFailure {
      result = TAPResult(name, .fail, details: failure.details)
    } catch {
      result = TAPResult(name, .error, details: ["\(error)"])
    }
    result.name = "kernel.\(name)"
    return result
  }
}

/// What a row's line at the end says.
final class LabFigures {
  /// The kernel's release.
  var release = ""
  /// How much iova_stress left behind for each TiB of IOVA, as the test said it.
  private(set) var growth: String?
  /// Pages of which every word was compared.
  var pages: UInt64 = 0
  var totals = TAPTotals()

  /// Takes the growth from a result that says it.
  func note(_ result: TAPResult) {
    let mark = "growth per TiB: "
    guard let line = result.details.first(where: { $0.hasPrefix(mark) }) else { return }
    growth = line.dropFirst(mark.count).split(separator: ",").first.map(String.init)
  }

  /// One line for all.
  func line(_ row: LabRow, seconds: Int) -> String {
    var parts = ["\(row.name): \(release.isEmpty ? "no kernel" : "Linux \(release)")", row.about]
    parts.append("\(totals)")
    if let growth { parts.append("growth per TiB \(growth)") }
    if pages > 0 { parts.append("\(pages) pages compared") }
    parts.append("\(seconds) s")
    return parts.filter { !$0.isEmpty }.joined(separator: "; ")
  }
}
