// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import Machine
import Reference
import ReferenceSpecs
import TAP

@testable import Kernel

/// Runs of the mapping tests on fake machines.
enum MapperRuns {
  /// A GiB of IOVA is enough to see growth.
  static let options = MapperTestOptions(stressSpace: 1 << 30) { text in
    try SpecificationLibrary.embedded.format(FormatList.configuration(text))
  }

  static let tests = MapperTests.all(options)

  /// The result of a test on a machine.
  static func result(_ name: String, on machine: FakeMappingMachine) throws -> TAPResult {
    // Tests of growth keep their run: they are made anew for each machine.
    guard let test = MapperTests.all(options).first(where: { $0.name == name }) else {
      return TAPResult(name, .error, details: ["there is no such test"])
    }
    if name.contains(".1g") { machine.largestPage = 1 << 30 }
    return try test.result(in: KernelContext(machine: machine))
  }

  static func result(_ name: String, _ faults: FakeFault...) throws -> TAPResult {
    try result(name, on: FakeMappingMachine(Set(faults)))
  }
}
