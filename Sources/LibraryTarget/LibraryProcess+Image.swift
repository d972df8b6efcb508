// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Reference
import Selftests

/// Operations on a new page table of a library, as its process gets them: all of it is text.
public struct ImageTask: Sendable {
  /// In the generic vocabulary.
  public var configuration: Configuration
  /// The physical address at which table memory starts.
  public var base: UInt64
  /// The name of the case; may be empty.
  public var caseName: String
  public var operations: [Operation]

  public init(_ configuration: Configuration, base: UInt64, caseName: String, _ operations: [Operation]) {
    self.configuration = configuration
    self.base = base
    self.caseName = caseName
    self.operations = operations
  }

  /// Lines of text.
  fileprivate var lines: [String] {
    ["\(configuration)", Numbers.hex(base), caseName] + operations.map(\.description)
  }

  fileprivate init(_ lines: [String], _ specifications: SpecificationLibrary) throws {
    guard lines.count >= 3, let base = Numbers.parse(lines[1]) else {
      throw LibraryError("this is no list of operations: \(lines)")
    }
    configuration = try specifications.configuration(lines[0])
    self.base = base
    caseName = lines[2]
    operations = try lines.dropFirst(3).map { try Operation(text: $0) }
  }
}

/// What came of an image task.
public struct ImageReport: Sendable {
  /// The lines of a golden case.
  public var lines: [String]
  /// Where table memory started: elsewhere than asked for where pointers do not reach.
  public var base: UInt64
  /// Why there is no such page table; nil where there is one.
  public var refusal: String?

  public init(lines: [String] = [], base: UInt64) {
    self.lines = lines
    self.base = base
  }
}

extension Supervisor {
  /// Runs operations on a new page table of the library, which gets all requests as they are.
  ///
  /// - Throws: `LibraryError` that says how the process ended, and during what.
  public func image(_ task: ImageTask) throws -> ImageReport {
    var report = ImageReport(base: task.base)
    let end = try watch.run(["library-process", "--image"] + options + [path], task.lines) { fields in
      guard fields.count == 2 else { return }
      switch fields[0] {
      case "line": report.lines.append(fields[1])
      case "base": report.base = Numbers.parse(fields[1]) ?? task.base
      case "refused": report.refusal = fields[1]
      default: break
      }
    }
    if let end, report.refusal == nil {
      throw LibraryError(([end.problem] + end.details).joined(separator: "\n"))
    }
    return report
  }
}

extension LibraryProcess {
  /// Runs the operations that standard input has on a new page table, and says what a golden case of them is.
  public static func image(path: String, specifications: SpecificationLibrary) {
    var lines: [String] = []
    while let line = readLine() { lines.append(line) }
    guard let calls = takeCalls(), let library = load(path, calls) else { return }
    let factory = LibraryFactory(name: "lib:\(path)", library, calls: calls, specifications)
    do {
      let task = try ImageTask(lines, specifications)
      var options = TargetOptions(physicalBase: task.base)
      options.isGuarded = false
      let table = try factory.makeRecorded(task.configuration, options)
      let recorded = try GoldenCase(name: task.caseName, running: task.operations, on: table)
      Fields.write(["base", Numbers.hex(table.machine.physicalBase)], to: stream)
      for line in GoldenWriter.lines(recorded) { Fields.write(["line", line], to: stream) }
      table.destroy()
    } catch {
      Fields.write(["refused", "\(error)"], to: stream)
    }
    Fields.write(["finished"], to: stream)
  }
}
