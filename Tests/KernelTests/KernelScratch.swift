// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Machine

@testable import Kernel

/// A folder that goes away with the value.
final class KernelScratch {
  let folder = NSTemporaryDirectory() + "ptkit-kernel-" + UUID().uuidString

  init() { try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  func text(_ name: String) -> String? { try? String(contentsOfFile: path(name), encoding: .utf8) }

  /// Writes a file that others cannot write, and returns its path.
  func write(_ text: String, to name: String) throws -> String {
    try text.write(toFile: path(name), atomically: false, encoding: .utf8)
    chmod(path(name), 0o600)
    return path(name)
  }
}

/// A machine with a device in an IOMMU group, VFIO's modules, a KUnit suite and huge pages.
struct FakeHost {
  static let device = "0000:00:04.0"
  let machine = FakeMachine()
  let kernel: FakeKernel

  init() {
    kernel = FakeKernel(machine)
    kernel.addBuiltIn("kunit")
    kernel.addModule("irqbypass", ending: ".ko.xz")
    kernel.addModule("vfio", ending: ".ko.xz")
    kernel.addModule("vfio_iommu_type1", needs: ["vfio"], ending: ".ko.xz")
    kernel.addModule("vfio-pci-core", needs: ["vfio", "irqbypass"], ending: ".ko.xz")
    kernel.addModule("vfio-pci", needs: ["vfio-pci-core", "vfio", "irqbypass"], ending: ".ko.xz")
    kernel.addModule("iommu_pt_kunit_test", ending: ".ko")
    kernel.addDevice(Self.device, driver: "e1000e", group: 3)
    kernel.addDevice("0000:00:05.0", driver: nil, group: 5)
    kernel.addHugepages(kilobytes: 2048, onNodes: [3, 0])
    machine.folder("/sys/kernel/debug")
    kernel.fileSystems["debugfs"] = [
      "kunit/amdv1_fmt_test/results": Self.results, "kunit/some_other_suite/results": "none of ours",
    ]
  }

  static let results = """
    KTAP version 1
    1..1
        KTAP version 1
        # Subtest: amdv1_fmt_test
        1..2
            KTAP version 1
            # Subtest: test_init
            ok 1 amdv1_cfg_0
            ok 2 amdv1_cfg_1 # SKIP no such level here
        # test_init: pass:1 fail:0 skip:1 total:2
        ok 1 test_init
        ok 2 test_bitops
    # amdv1_fmt_test: pass:2 fail:0 skip:0 total:2
    # Totals: pass:2 fail:0 skip:1 total:3
    ok 1 amdv1_fmt_test

    """

  func context(_ options: KernelOptions = KernelOptions(), journal: Journal? = nil) throws -> KernelContext {
    try KernelContext(machine: machine, options: options, journal: journal)
  }
}
