// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine
import TAP

/// The KUnit suites of one module: it is inserted, runs them, and leaves their results in debugfs or in the kernel's log.
struct KUnitModule {
  let context: KernelContext
  let module: NeededModule

  /// The results of the suites, below `kernel.kunit`, and before them one for the module.
  ///
  /// - Throws: `KernelInterruption` when the run is to end.
  func results() throws(KernelInterruption) -> [TAPResult] {
    try context.checkpoint()
    var cases: [TAPResult] = []
    // What is inserted and mounted stays until the end, for other modules may need it, too.
    var result = TAPResult(Self.name(of: module), .pass)
    do {
      let found = try run()
      cases = found.cases
      result.details = found.details
      if cases.isEmpty { result.outcome = .fail }
    } catch let interruption as KernelInterruption {
      throw interruption
    } catch let skip as KernelSkip {
      result = TAPResult(Self.name(of: module), .skip, reason: skip.reason.rawValue, details: [skip.detail])
    } catch let failure as KernelFailure {
      result = TAPResult(Self.name(of: module), .error, details: failure.details)
    } catch {
      result = TAPResult(Self.name(of: module), .error, details: ["\(error)"])
    }
    return [result] + cases
  }

  static func name(of module: NeededModule) -> String { "kernel.kunit.modules.\(module.name)" }

  /// The results of the suites, and where they were read.
  ///
  /// - Throws: `KernelSkip` where they cannot run here.
  func run() throws -> (cases: [TAPResult], details: [String]) {
    let state = try context.modules.state(of: module.name)
    if state == .missing { try context.modules.require(module.name, inserts: false) }
    try context.satisfy(.root)
    try context.modules.require("kunit", inserts: context.options.loadsModules)
    let log = KernelLog(machine: context.machine)
    let isInserted = !state.isPresent && context.options.loadsModules
    let isLogged = isInserted ? (try? log.begin()) != nil : false
    try context.modules.require(module.name, inserts: context.options.loadsModules)
    if let results = try fromDebugfs() {
      return (results, ["\(results.count) results, read from debugfs"])
    }
    guard isLogged else {
      throw KernelSkip(
        .kernel,
        "\(module.name) was in the kernel before, and its results are not in debugfs: CONFIG_KUNIT_DEBUGFS is off, or KUnit is"
      )
    }
    let results = try fromLog(log.end())
    return (results, ["\(results.count) results, read from the kernel's log"])
  }

  /// The results of the module's suites in debugfs; nil where there are none.
  private func fromDebugfs() throws -> [TAPResult]? {
    do {
      try context.mountDebugfs()
    } catch is KernelSkip {
      return nil
    }
    let folder = "\(KernelContext.debugfs)/kunit"
    let suites = ((try? context.machine.entries(of: folder)) ?? []).filter { suite in
      module.suites.contains { fnmatch($0, suite, 0) == 0 }
    }
    guard !suites.isEmpty else { return nil }
    var merge = TAPMerge()
    for suite in suites {
      let path = "\(folder)/\(suite)/results"
      merge.add(try KTAPReader.read(context.machine.contents(of: path), file: path), prefix: "kernel.kunit")
    }
    return merge.results.map(Self.stable)
  }

  /// The results in what the kernel wrote while the module was inserted.
  private func fromLog(_ text: String) throws -> [TAPResult] {
    if text.contains("kunit: disabled") {
      throw KernelSkip(.kernel, "KUnit is off: kunit.enable=0, or CONFIG_KUNIT_DEFAULT_ENABLED is off")
    }
    var merge = TAPMerge()
    do {
      merge.add(try KTAPReader.read(text, file: "the kernel's log"), prefix: "kernel.kunit")
    } catch {
      throw KernelFailure(details: ["\(error)"] + text.split(separator: "\n").prefix(10).map(String.init))
    }
    return merge.results.map(Self.stable)
  }

  /// A skip of the kernel's with our fixed reason; what the test says becomes a detail.
  private static func stable(_ result: TAPResult) -> TAPResult {
    guard result.outcome == .skip else { return result }
    var result = result
    if let reason = result.reason, !reason.isEmpty { result.details.append(reason) }
    result.reason = KernelSkipReason.kunit.rawValue
    return result
  }
}

/// The kernel's log between two points, of /dev/kmsg: lines of ours mark them, for reading past the end would wait.
struct KernelLog {
  let machine: any Machine
  private static let path = "/dev/kmsg"
  private static let first = "ptkit: KUnit results begin"
  private static let last = "ptkit: KUnit results end"

  /// Marks the beginning.
  func begin() throws(MachineError) { try machine.write(Self.first + "\n", to: Self.path) }

  /// Marks the end, and returns what lies between: after the last beginning.
  func end() throws(MachineError) -> String {
    try machine.write(Self.last + "\n", to: Self.path)
    let descriptor = try machine.open(Self.path, .read)
    defer { machine.close(descriptor) }
    var lines: [String] = []
    while true {
      let record: [UInt8]
      do {
        record = try machine.read(descriptor, count: 8192, at: nil)
      } catch {
        // The record was overwritten while we came to it.
        if error.number == EPIPE { continue }
        throw error
      }
      let line = Self.text(of: record)
      if record.isEmpty || line == Self.last { return lines.map { $0 + "\n" }.joined() }
      if line == Self.first { lines = [] } else { lines.append(line) }
    }
  }

  /// The message of a record `6,339,5140900,-;message`, which properties can follow (Documentation/ABI/testing/dev-kmsg).
  static func text(of record: [UInt8]) -> String {
    let line = record.prefix { $0 != UInt8(ascii: "\n") }
    guard let semicolon = line.firstIndex(of: UInt8(ascii: ";")) else {
      return String(decoding: line, as: UTF8.self)
    }
    return String(decoding: line[(semicolon + 1)...], as: UTF8.self)
  }
}
