// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Glibc
import PageTable
import Reference
import Selftests

extension LibraryProcess {
  /// Runs the comparisons that standard input has, a line each.
  public static func compare(_ specifications: SpecificationLibrary) {
    guard let calls = takeCalls() else { return }
    let process = CompareProcess(calls: calls, specifications)
    while let line = readLine() {
      Fields.write(["start"], to: stream)
      guard Fields.write(process.run(line).fields, to: stream) else { exit(lostPipe) }
    }
    Fields.write(["finished"], to: stream)
  }
}

/// Runs comparisons with libraries in this process.
private final class CompareProcess {
  private let calls: CallPage
  private let specifications: SpecificationLibrary
  private var libraries: [String: LibraryFactory] = [:]

  init(calls: CallPage, _ specifications: SpecificationLibrary) {
    self.calls = calls
    self.specifications = specifications
  }

  func run(_ line: String) -> CompareTaskReport {
    do {
      let task = try CompareTask(line) { try library($0).sides($1) }
      if let reason = try gap(task.point) { return CompareTaskReport(.gap(reason)) }
      return try run(task)
    } catch {
      return CompareTaskReport(.failure("\(error)"))
    }
  }

  private func library(_ path: String) throws -> LibraryFactory {
    if let known = libraries[path] { return known }
    calls.begin(106)
    defer { calls.end() }
    let library = try Library(path: path)
    let factory = LibraryFactory(name: "lib:\(path)", library, calls: calls, specifications)
    libraries[path] = factory
    return factory
  }

  /// Why there are no such two sides, or nil.
  private func gap(_ point: ComparePoint) throws -> String? {
    for side in [point.left, point.right] where side.library != nil {
      let isWhole = if case .generic = side.kind { side.bindsErrors } else { false }
      do {
        try side.make?(ComparePlan.physicalBase(point.configuration), 16 << 20).destroy()
      } catch let error as ConfigurationError where !isWhole {
        // Only Linux's generic page table has all that the kit's has.
        return "\(error)"
      }
    }
    guard point.right.library != nil else { return nil }
    return ComparePlan.obstacle(point.configuration, point.right)
  }

  private func run(_ task: CompareTask) throws -> CompareTaskReport {
    var report = CompareReport()
    if let operations = task.operations {
      let comparison = try Comparison(
        task.point.configuration, left: task.point.left, right: task.point.right, library: specifications,
        journal: calls)
      report.difference = try comparison.run(operations)
      report.operations = comparison.operationCount
      report.tally = comparison.tally
    } else {
      report = CompareRun(task.budget, library: specifications)
        .run(task.point, part: task.part.number, of: task.part.of, journal: calls)
    }
    var ending = CompareTaskReport.Ending.pass
    if let failure = report.failure {
      ending = .failure(failure)
    } else if let difference = report.difference {
      let text = try? DifferenceText(difference, task.point, library: specifications)
      ending = .difference(text?.lines ?? [difference.message])
    }
    return CompareTaskReport(ending, operations: report.operations, tally: report.tally)
  }
}
