// SPDX-License-Identifier: GPL-2.0-only

import Machine
import TAP
import Testing

@testable import Kernel

@Suite("Tests that map, on fake machines")
struct MapperTestsTests {
  /// What cannot be had of one way into a page table or another.
  static let skipped: Set<String> = [
    "kernel.module.semantics.unmap_all",
    "kernel.mock.leaves.1g",
  ]

  @Test("Names are words joined by dots, and no two are the same")
  func names() {
    let names = MapperRuns.tests.map(\.name)
    #expect(Set(names).count == names.count)
    for name in names { #expect(TAPName.isValid(name), "\(name)") }
    let kinds = Set(names.compactMap { $0.split(separator: ".").dropFirst().first.map(String.init) })
    #expect(kinds == Set(MapperKind.allCases.map(\.rawValue)))
  }

  @Test(
    "A machine on which all is well passes, and is left as it was", arguments: MapperRuns.tests.map(\.name))
  func right(name: String) throws {
    let machine = FakeMappingMachine(reclaims: true)
    let result = try MapperRuns.result(name, on: machine)
    let expected: TAPOutcome = Self.skipped.contains(name) ? .skip : .pass
    #expect(result.outcome == expected, "\(result.details)")
    #expect(machine.isTidy)
    #expect(machine.edu.command == 0)
  }

  @Test("A machine that keeps empty tables, as Linux does, fails the bound of growth only")
  func growth() throws {
    for kind in ["vfio", "iommufd", "module"] {
      let bound = try MapperRuns.result("kernel.\(kind).iova_stress.bounded", on: FakeMappingMachine())
      #expect(bound.outcome == .fail)
      #expect(
        bound.details.contains { $0.hasPrefix("growth 515 pages of tables; the bound is 72") },
        "\(bound.details)")
      let run = try MapperRuns.result("kernel.\(kind).iova_stress.run", on: FakeMappingMachine())
      #expect(run.outcome == .pass)
      #expect(run.details.first == "dma_size:       4K iova space: 1G iommu: ~      2M time:    0.000s")
      #expect(
        run.details.contains { $0.hasPrefix("growth per TiB: 2060 MiB, by nr_iommu_pages") }, "\(run.details)"
      )
      let back = try MapperRuns.result(
        "kernel.\(kind).accounting.vmstat.falls_back", on: FakeMappingMachine())
      #expect(back.outcome == .pass)
    }
  }

  @Test("A kernel that promises a bound must keep it")
  func promise() throws {
    var options = MapperRuns.options
    options.emptyTableBound = 64
    for (reclaims, outcome) in [(true, TAPOutcome.pass), (false, .fail)] {
      let name = "kernel.vfio.accounting.vmstat.falls_back"
      let test = try #require(MapperTests.all(options).first { $0.name == name })
      let machine = FakeMappingMachine(reclaims: reclaims)
      #expect(try test.result(in: KernelContext(machine: machine)).outcome == outcome)
    }
  }

  @Test("What the machine does not have is skipped")
  func skips() throws {
    let machine = FakeMappingMachine()
    machine.countsPages = false
    machine.hasMock = false
    machine.showsPageNumbers = false
    machine.edu.mask = (1 << 28) - 1
    let expected = [
      "kernel.vfio.accounting.vmstat.grows": KernelSkipReason.kernel,
      "kernel.vfio.accounting.no_drift": .kernel,
      "kernel.vfio.accounting.meminfo.returns": .kernel,
      "kernel.mock.semantics.sizes": .kernel,
      "kernel.vfio.debugfs.entries": .root,
      "kernel.vfio.dma.high_iova": .hardware,
      "kernel.vfio.dma.1g": .hardware,
    ]
    for (name, reason) in expected {
      let result = try MapperRuns.result(name, on: machine)
      #expect(result.outcome == .skip, "\(name): \(result.details)")
      #expect(result.reason == reason.rawValue, "\(name)")
      #expect(machine.isTidy, "\(name)")
    }
    // Small leaves are within the reach of any device.
    #expect(try MapperRuns.result("kernel.vfio.dma.2m", on: machine).outcome == .pass)
  }

  @Test("A device that reaches nothing fails, whatever IOVA is asked for")
  func deadDevice() throws {
    for name in ["4k", "1g", "high_iova", "moved", "read_only", "across_pages"] {
      let machine = FakeMappingMachine()
      machine.edu.isAlive = false
      #expect(try MapperRuns.result("kernel.vfio.dma.\(name)", on: machine).outcome == .fail, "\(name)")
    }
  }

  @Test("debugfs is mounted for the comparison, and unmounted after it")
  func mounts() throws {
    for (canMount, outcome) in [(true, TAPOutcome.pass), (false, .skip)] {
      let machine = FakeMappingMachine()
      machine.isDebugfsMounted = false
      machine.canMount = canMount
      let result = try MapperRuns.result("kernel.vfio.debugfs.entries", on: machine)
      #expect(result.outcome == outcome, "\(result.details)")
      #expect(!machine.isDebugfsMounted)
    }
  }

  @Test("Without nr_iommu_pages growth is seen in the memory that is free")
  func growthOfFreeMemory() throws {
    let machine = FakeMappingMachine()
    machine.countsPages = false
    let result = try MapperRuns.result("kernel.vfio.iova_stress.run", on: machine)
    #expect(
      result.details.contains { $0.hasPrefix("growth per TiB: 2060 MiB, by MemFree") }, "\(result.details)")
  }
}
