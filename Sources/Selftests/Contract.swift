// SPDX-License-Identifier: GPL-2.0-only

import Compare
import Conformance
import PageTable
import Simulator

/// A case is about what the contract of the IOMMU API leaves open; ends the test.
struct UndefinedByContract: Error {
  var detail: String
}

/// What a page table must return and hold.
enum Contract {
  /// The rules of Linux's generic algorithms.
  case generic(MappingModel)
  /// What a driver's own code does; some operations are not to be run on it.
  case driver(DriverModel)

  var isDriver: Bool { if case .driver = self { true } else { false } }

  /// Whether it says what must be told of pages that a device wrote to.
  var predictsDirtyState: Bool {
    if case .driver(let model) = self { model.predictsDirtyState } else { true }
  }

  /// What is mapped.
  var leaves: LeafList {
    switch self {
    case .generic(let model): model.leaves
    case .driver(let model): model.leaves
    }
  }

  /// The leaf that maps an IOVA.
  func leaf(at iova: UInt64) -> LeafList.Leaf? { leaves.leaf(at: iova) }

  /// The output address of an IOVA; nil for none.
  func phys(_ iova: UInt64) -> UInt64? { leaf(at: iova).map { $0.pa &+ (iova &- $0.start) } }

  /// What an operation must return. The error says why it must not be run.
  mutating func predict(_ operation: Operation) -> Result<OperationResult, NoPrediction> {
    switch self {
    case .generic(var model):
      let result = model.perform(operation)
      self = .generic(model)
      return .success(result)
    case .driver(var model):
      let result = model.predict(operation)
      self = .driver(model)
      return result
    }
  }

  /// Whether the last operation departed from the rules of the generic algorithms.
  var departs: Bool { if case .driver(let model) = self { !model.departures.isEmpty } else { false } }

  /// Whether callers must not ask for the last operation: it takes from a mapping what is not theirs, or maps over it.
  var isMisused: Bool {
    guard case .driver(let model) = self else { return false }
    return !model.departures.allSatisfy { !Self.misuses.contains($0) }
  }

  private static let misuses: Set = [
    "keeps-old", "replaces-leaf", "loses-block", "small-in-block-no-memory", "takes-block",
    "block-over-table",
  ]

  /// Runs an operation on the page table that the contract is about.
  func run(_ operation: Operation, on table: any PageTableUnderTest) -> OperationResult {
    switch self {
    case .generic: table.perform(operation)
    case .driver(let model): model.run(operation)
    }
  }

  /// What a leaf means to the hardware; nil when the format refuses the protection.
  func meaning(size: UInt64, _ protection: Protection, _ subject: Subject) -> LeafMeaning? {
    switch self {
    case .generic: subject.meaning(size: size, protection)
    case .driver(let model): model.meaning(size: size, protection)
    }
  }
}
