// SPDX-License-Identifier: GPL-2.0-only

import Machine
import TAP

/// One test of a running kernel: one point of the results.
///
/// It sees the kernel through `KernelContext.machine` alone, which may be a virtual one.
public struct KernelTest: Sendable {
  /// `kernel.THEME.CASE[.MORE]`: words of `[A-Za-z0-9_-]` joined by dots, the same in every release.
  public let name: String
  /// What must be there, looked at in this order; without it the test is skipped.
  public let needs: [KernelNeed]
  private let body: @Sendable (KernelContext) throws -> KernelOutcome

  /// A test. `body` may throw `KernelSkip`, `KernelFailure` or `MachineError`; anything thrown but a skip is a failure.
  public init(
    _ name: String, needs: [KernelNeed] = [],
    _ body: @escaping @Sendable (KernelContext) throws -> KernelOutcome
  ) {
    self.name = name
    self.needs = needs
    self.body = body
  }

  /// The word after `kernel`.
  public var theme: Substring { name.split(separator: ".").dropFirst().first ?? "" }

  /// The line of a machine-readable list: name, theme and what it needs, separated by tabs.
  public var listLine: String { "\(name)\t\(theme)\t\(needs.map(\.text).joined(separator: ", "))" }

  /// Runs the test and undoes what it changed itself; what was made for its needs stays until the end of the run.
  ///
  /// - Throws: `KernelInterruption` when the run is to end.
  public func result(in context: KernelContext) throws(KernelInterruption) -> TAPResult {
    var result = TAPResult(name, .pass)
    var mark: Int?
    do {
      try context.checkpoint()
      for need in needs { try context.satisfy(need) }
      mark = context.journal.mark
      result = try body(context).result(name)
    } catch let interruption as KernelInterruption {
      throw interruption
    } catch {
      result = Self.result(name, of: error)
    }
    if let mark {
      let problems = context.journal.undo(to: mark)
      if !problems.isEmpty {
        result.outcome = .error
        result.details += problems
      }
    }
    return result
  }

  private static func result(_ name: String, of error: any Error) -> TAPResult {
    switch error {
    case let skip as KernelSkip:
      KernelOutcome.skip(skip.reason, detail: skip.detail).result(name)
    case let failure as KernelFailure: TAPResult(name, .fail, details: failure.details)
    case MachineError.lost: TAPResult(name, .error, details: ["\(error)"])
    default: TAPResult(name, .fail, details: ["\(error)"])
    }
  }
}

/// How a test of a kernel came out. Expected failures are none of its outcomes: they are data (`findings`).
public enum KernelOutcome: Hashable, Sendable {
  /// As it must be; `details` are lines worth printing all the same.
  case pass(details: [String])
  /// Not as it must be; lines that say what was expected, and what was found.
  case fail(details: [String])
  /// Not run.
  case skip(KernelSkipReason, detail: String)

  /// A pass about which there is nothing to say.
  public static var pass: KernelOutcome { .pass(details: []) }

  /// The point of the results.
  func result(_ name: String) -> TAPResult {
    switch self {
    case .pass(let details): TAPResult(name, .pass, details: details)
    case .fail(let details): TAPResult(name, .fail, details: details)
    case .skip(let reason, let detail):
      TAPResult(name, .skip, reason: reason.rawValue, details: detail.isEmpty ? [] : [detail])
    }
  }
}

/// Why a test of a kernel was not run: the fixed, short reasons that results may show.
public enum KernelSkipReason: String, Hashable, Sendable, CaseIterable {
  /// The process may not do what the test does.
  case root = "needs root"
  /// There is no IOMMU, or no group of it that VFIO may open.
  case group = "no IOMMU group"
  /// The kernel has no such module, or another one must be inserted and cannot be.
  case module = "module not available"
  /// The module is there, and `--load` was not given.
  case notLoaded = "module not loaded"
  /// A device file is not there.
  case device = "no such device"
  /// A file of procfs, sysfs or debugfs is not there.
  case file = "file not there"
  /// So many huge pages cannot be had.
  case hugepages = "no huge pages"
  /// The kernel is too old, or was built without what the test needs.
  case kernel = "not supported by the kernel"
  /// The IOMMU cannot do what the test needs.
  case hardware = "not supported by the IOMMU"
  /// What was asked for, or the machine's memory, is too little to tell.
  case tooSmall = "too small to tell"
  /// The test is about another architecture or vendor.
  case architecture = "another architecture"
  /// A test in the kernel was skipped there.
  case kunit = "skipped in the kernel"
  /// There is nothing that could have been left behind.
  case unchanged = "nothing was changed"
}

/// Ends a test that cannot run here.
public struct KernelSkip: Error, Hashable, Sendable {
  public var reason: KernelSkipReason
  /// What is missing, in one line; it may differ from machine to machine.
  public var detail: String

  public init(_ reason: KernelSkipReason, _ detail: String) {
    self.reason = reason
    self.detail = detail
  }
}

/// Ends a test that found something wrong.
public struct KernelFailure: Error, Hashable, Sendable {
  /// What was expected, and what was found.
  public var details: [String]

  public init(_ details: String...) { self.details = details }
  public init(details: [String]) { self.details = details }
}

extension KernelSkip: CustomStringConvertible {
  public var description: String { "\(reason.rawValue): \(detail)" }
}

extension KernelFailure: CustomStringConvertible {
  public var description: String { details.joined(separator: "; ") }
}

/// Ends the run in good order: everything is put back, and no further test runs.
public struct KernelInterruption: Error, Hashable, Sendable {
  /// The signal that asked for it.
  public var signal: Int32

  public init(signal: Int32) { self.signal = signal }
}
