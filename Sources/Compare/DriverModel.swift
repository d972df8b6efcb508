// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable
import Simulator

/// What a driver's own code must return and hold, kept beside one of its page tables: a list of leaves, and the rules by
/// which the driver departs from the generic algorithms. To be used by one thread.
package struct DriverModel {
  private let world: CompareWorld
  private let side: LiveSide
  private var model: LegacyModel

  /// Takes over a new, empty page table.
  ///
  /// - Parameters:
  ///   - subject: the configuration in the generic vocabulary.
  ///   - own: the same in the driver's words.
  package init(_ subject: Subject, own: Configuration, table: any SimulatedTarget) {
    var right = ResolvedSide(.legacy(own), word: "driver", make: nil)
    right.library = (table as? any LegacyTarget)?.isModel == false ? "driver" : nil
    world = CompareWorld(subject, subject, left: .generic(subject.configuration), right: right)
    side = LiveSide(name: "driver", table, world.reference, checksLifeCycle: false)
    model = LegacyModel(own, world, side)
  }

  /// What is mapped.
  package var leaves: LeafList { model.leaves }

  /// The rules by which the last operation departs from the generic algorithms.
  package var departures: [String] { model.notes.map(\.rawValue) }

  /// The last IOVA that the last operation may have changed beyond its range, where it did.
  package var overshoot: UInt64? { model.overshoot }

  /// Whether what devices wrote to is predicted.
  package var predictsDirtyState: Bool { model.behaviour.tracksDirty }

  /// The sizes of leaves that the driver offers, a bitmap of bytes.
  package var sizes: UInt64 { model.sizes }

  /// What an operation must return. Where no prediction is made it must not be run: then the error names the rule, and the
  /// model stays as it was.
  package mutating func predict(_ operation: Operation) -> Result<OperationResult, NoPrediction> {
    let before = model
    let result = model.perform(operation)
    guard let rule = model.skipped else { return .success(result) }
    model = before
    return .failure(NoPrediction(rule: rule.rawValue))
  }

  /// Runs an operation on the page table.
  package func run(_ operation: Operation) -> OperationResult { side.perform(operation) }

  /// What a leaf means to the hardware; nil when the format refuses the protection.
  package func meaning(size: UInt64, _ protection: Protection) -> LeafMeaning? {
    // A block that is split leaves sizes behind that are not on offer; they mean what small leaves do.
    model.meaning(size: size, protection) ?? model.meaning(size: model.smallest, protection)
  }
}

/// A driver's result follows from more than what is mapped, or is damage.
package struct NoPrediction: Error, Hashable {
  /// The rule of comparisons that says so.
  package var rule: String
}
