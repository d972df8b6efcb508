// SPDX-License-Identifier: GPL-2.0-only

import Kernel
import TAP

/// The tests of a row, in the order in which they run.
enum LabTests {
  /// Those that every run of a row has, whatever was chosen.
  static let frame = ["boot", "kernel_log", "power_off"]

  static func all(_ row: LabRow, _ options: LabRun.Options) -> [LabTest] {
    var mapping = options.mapping
    switch row.mapper {
    case .module: mapping.kinds = [.module]
    // Debian's kernels have no iommufd; a developer's may.
    case .vfio: mapping.kinds = options.kernel == nil ? [.vfio] : [.vfio, .iommufd, .mock]
    }
    let tests = MapperTests.all(mapping)
    let proofs = options.proves && row.mapper == .vfio ? [missingModule(Array(tests.prefix(3)))] : []
    // As their KUnit.
    let kunit = options.kernel == nil ? [] : KernelTest.kunit.map(LabTest.init)
    // The walk comes first: while the guest has used little memory, tables lie close to each other, and the dump is small.
    return [boot] + LabWalk.Check.allCases.map(walk) + tests.map(LabTest.init) + kunit + proofs + [
      kernelLog, powerOff,
    ]
  }

  /// The agent answers, and the kernel is the row's.
  private static let boot = LabTest("boot", phase: "agent") { bench in
    let (release, architecture) = try bench.machine.machine.identity()
    let expected = ["amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"][bench.row.architecture]
    guard architecture == expected else {
      throw KernelFailure("expected a machine of \(expected ?? "?"), found \(architecture)")
    }
    if bench.row.mapper == .module { try bench.context.modules.require("ptkit_iommu", inserts: true) }
    return ["Linux \(release)"]
  }

  private static func walk(_ check: LabWalk.Check) -> LabTest {
    LabTest("walk.\(check.rawValue)", phase: "walk") { bench in
      let walk = try bench.walk()
      let lines = try walk.outcome(check)
      bench.figures.pages = walk.pages
      return lines
    }
  }

  /// The proof that tests are skipped, and do not pass, where a module is missing: in a machine of its own.
  private static func missingModule(_ tests: [KernelTest]) -> LabTest {
    LabTest("proof.missing_module", phase: "proof") { bench in
      let machine = try bench.guest.start(without: ["vfio-iommu-type1"]) { _ in }
      defer { machine.powerOff() }
      let options = KernelOptions(loadsModules: true, bindings: [bench.row.device])
      let context = try KernelContext(machine: machine.machine, options: options)
      return try tests.flatMap { test in
        let result = try test.result(in: context)
        guard result.outcome == .skip, result.reason == KernelSkipReason.module.rawValue else {
          throw KernelFailure(
            details: ["\(test.name): expected a skip, found \(result.outcome)"] + result.details)
        }
        return ["\(test.name) # SKIP \(KernelSkipReason.module.rawValue)"] + result.details
      }
    }
  }

  /// What no kernel should say, whatever is asked of it.
  private static let complaints = ["WARNING: ", "BUG: ", "Oops", "KASAN: ", "UBSAN: ", "Bad page state"]

  private static let kernelLog = LabTest("kernel_log", phase: "log") { bench in
    let log = try bench.machine.machine.kernelLog()
    try HostFile.write(Array(log.utf8), to: bench.guest.log, appends: true)
    let lines = log.split(separator: "\n").filter { line in complaints.contains { line.contains($0) } }
    guard lines.isEmpty else {
      throw KernelFailure(details: lines.prefix(10).map(String.init) + ["all of it is in \(bench.guest.log)"])
    }
    return []
  }

  private static let powerOff = LabTest("power_off", phase: "power off") { bench in
    if let problem = bench.machine.powerOff() {
      throw KernelFailure("the machine did not switch itself off: \(problem)")
    }
    return []
  }
}
