// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import GenericPT
import LegacyPT
import PageTable
import Simulator

/// One small mistake, and where it is planted.
struct SeededFault: Sendable {
  /// Words joined by `-`.
  let name: String
  /// What goes wrong, in a sentence.
  let sentence: String
  /// The Linux commit that repaired the like, or what is known of it; empty for none.
  let history: String
  /// The configuration in the words of the generic code.
  let configuration: String
  let plant: Plant

  /// What the mistake is made in.
  enum Plant: Sendable {
    /// The bits of a generic format.
    case format(FormatFault)
    /// The generic algorithms' use of memory and of the IOMMU.
    case memory(MemoryFault)
    /// What the generic algorithms do and leave behind.
    case operations(OperationFault)
    /// A driver's own code, of a Linux version or the newest, with a mistake in its use of memory or in what it does.
    case legacy(MemoryFault? = nil, OperationFault? = nil, era: String? = nil)
  }

  /// A mistake in the generic code, or in a driver's.
  init(
    _ name: String, on configuration: String, _ sentence: String, history: String = "", _ plant: Plant
  ) {
    self.name = name
    self.configuration = configuration
    self.sentence = sentence
    self.history = history
    self.plant = plant
  }

  /// Whose code it is planted in.
  var code: Code {
    if case .legacy(_, _, let era) = plant { .driver(era: era) } else { .generic }
  }

  var isLegacy: Bool { code != .generic }

  var format: FormatFault? { if case .format(let fault) = plant { fault } else { nil } }

  var memory: MemoryFault? {
    switch plant {
    case .memory(let fault): fault
    case .legacy(let fault, _, _): fault
    default: nil
    }
  }

  var operations: OperationFault? {
    switch plant {
    case .operations(let fault): fault
    case .legacy(_, let fault, _): fault
    default: nil
    }
  }

  /// All mistakes.
  static let all =
    amd + intel + riscv + arm + smallTables + invalidation + memoryUse + operationOrder + drivers
}

/// Whose code it is.
enum Code: Hashable, Sendable {
  case generic
  /// A driver's own, of a Linux version or the newest.
  case driver(era: String?)
}

/// An implementation as the checks see it: the kit's own, or with a fault.
struct Implementation: Sendable {
  let configuration: Configuration
  /// The driver's own code instead of the generic code.
  let legacy: Configuration?
  let fault: SeededFault?

  private let code: Code

  /// - Throws: `ConfigurationError`.
  init(_ configuration: String, _ code: Code, fault: SeededFault?) throws {
    self.configuration = try FormatList.configuration(configuration)
    self.code = code
    self.fault = fault
    guard case .driver(let era) = code else {
      legacy = nil
      return
    }
    let all = try LegacyVocabulary.legacy(of: self.configuration)
    legacy = era.map { era in all.first { $0.text("era") == era } } ?? all.first
  }

  init(_ fault: SeededFault) throws {
    try self.init(fault.configuration, fault.code, fault: fault)
  }

  /// The same without the fault.
  var healthy: Implementation {
    get throws { try Implementation("\(configuration)", code, fault: nil) }
  }

  /// A new, empty page table.
  func make(_ options: SimulationOptions, _ other: Configuration? = nil) throws -> any SimulatedTarget {
    let base: any SimulatedTarget
    if let legacy {
      base = try FaultyBase.legacy(other ?? legacy, options, fault?.memory)
    } else {
      base = try FaultyBase.generic(other ?? configuration, options, fault?.memory, fault?.format)
    }
    guard let operations = fault?.operations else { return base }
    return FaultyTable(base, operations, try Shared.reference(configuration))
  }
}
