// SPDX-License-Identifier: GPL-2.0-only

import CPTKit
import Conformance
import Glibc
import PageTable
import Reference
import Selftests
import Simulator

/// A page table of a library whose map and unmap are called as the library has them: nothing of the kit lies between.
/// Cache flushes and invalidations that it asks for do nothing.
public final class TimedLibraryTable {
  /// `map` of ptkit.h.
  public typealias Map =
    @convention(c) (
      OpaquePointer?, UInt64, UInt64, UInt64, UInt32, UnsafeMutablePointer<UInt64>?
    ) -> Int32
  /// `unmap` of ptkit.h.
  public typealias Unmap =
    @convention(c) (
      OpaquePointer?, UInt64, UInt64, UnsafeMutablePointer<ptkit_gather>?
    ) -> UInt64

  /// The first argument of both; valid as long as this object.
  public let handle: OpaquePointer
  public let map: Map
  public let unmap: Unmap
  private let table: LibraryPageTable

  /// The configuration in the library's own words.
  public var configuration: Configuration { table.configuration }

  /// The page sizes in use, a bitmap of bytes; 0 where the library does not say.
  public var pageSizes: UInt64 { table.pageSizes }

  fileprivate init(_ table: LibraryPageTable) throws {
    let functions = table.library.functions
    guard let handle = table.table, let map = functions.map, let unmap = functions.unmap else {
      throw LibraryError("\(table.library.name) has no page table")
    }
    self.table = table
    self.handle = handle
    self.map = map
    self.unmap = unmap
    table.host.callbacks.pointee.invalidate = { _, _ in }
    table.host.callbacks.pointee.flush = { _, _, _ in }
  }

  // MARK: What is being done, for the supervisor

  /// One operation begins.
  public func begin(_ operation: Operation) { table.calls.begin(operation) }

  /// A round that is timed begins.
  public func beginRound(isMap: Bool) { table.calls.begin(isMap ? 103 : 104) }

  /// It has returned.
  public func end() { table.calls.end() }
}

extension LibraryFactory {
  /// An empty page table of the library to time.
  ///
  /// - Parameter configuration: in the generic vocabulary.
  /// - Throws: `ConfigurationError`, `TargetGap`, `LibraryError`, or `MachineError`.
  public func timed(_ configuration: Configuration) throws -> TimedLibraryTable {
    guard let format = library.formats.first(where: { $0.name == configuration.format }),
      let own = try format.configurations(of: configuration).first
    else { throw TargetGap("\(library.name) has no format \(configuration.format)") }
    var options = TargetOptions(physicalBase: SimulationOptions().physicalBase)
    options.isRecorded = false
    return try TimedLibraryTable(try make(own, configuration, nil, options))
  }

  /// Whether the library's page tables of a format are drivers' own code.
  public func isLegacy(_ format: String) -> Bool {
    library.formats.contains { $0.name == format && $0.behaviour == .legacy }
  }
}

extension LibraryProcess {
  /// Answers each line of standard input with lines of text, about libraries that this process has loaded.
  ///
  /// - Parameter answer: gets the libraries in the order of `paths`, and the line.
  public static func answer(
    paths: [String], specifications: SpecificationLibrary,
    _ answer: (_ targets: [LibraryFactory], _ line: String) throws -> [String]
  ) {
    var lines: [String] = []
    while let line = readLine() { lines.append(line) }
    guard let calls = takeCalls() else { return }
    var targets: [LibraryFactory] = []
    for path in paths {
      guard let library = load(path, calls) else { return }
      targets.append(LibraryFactory(name: "lib:\(path)", library, calls: calls, specifications))
    }
    for line in lines {
      TestRecord.start(line).write(to: stream)
      let outcome: SelftestOutcome
      do {
        outcome = .pass(details: try answer(targets, line))
      } catch {
        outcome = .fail(details: ["\(error)"])
      }
      guard TestRecord.outcome(line, outcome).write(to: stream) else { exit(lostPipe) }
    }
    TestRecord.finished.write(to: stream)
  }
}
