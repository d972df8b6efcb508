// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine
import Testing

@testable import Kernel

@Suite("Modules of a kernel")
struct ModulesTests {
  let host = FakeHost()
  let journal: Journal
  let modules: Modules

  init() {
    journal = Journal(machine: host.machine)
    modules = Modules(
      source: ModuleFiles(machine: host.machine, release: host.machine.release), journal: journal)
  }

  @Test("each state is told, under both spellings of a name")
  func states() throws {
    #expect(try modules.state(of: "kunit") == .builtIn)
    #expect(try modules.state(of: "no_such") == .missing)
    #expect(try modules.state(of: "vfio-pci").word == "available")
    #expect(
      try modules.state(of: "vfio_pci") == .available(file: "/lib/modules/7.2.4-fake/kernel/vfio-pci.ko.xz"))
    try modules.load("vfio")
    #expect(try modules.state(of: "vfio") == .loaded)
  }

  @Test("built in without modules.builtin: a folder of parameters and no state")
  func builtInWithParameters() throws {
    host.machine["/sys/module/iommufd/parameters/x"] = "1\n"
    #expect(try modules.state(of: "iommufd") == .builtIn)
    host.machine["/sys/module/kvm/initstate"] = "going\n"
    #expect(try modules.state(of: "kvm") == .missing)
  }

  @Test("a module comes after all that it needs, and what was there before stays")
  func loadsExactly() throws {
    try host.machine.insertModule(file: "/lib/modules/7.2.4-fake/kernel/vfio.ko.xz", parameters: "")
    let inserted = try modules.load("vfio_pci")
    #expect(inserted == ["irqbypass", "vfio_pci_core", "vfio_pci"])
    #expect(host.kernel.loaded == ["vfio", "irqbypass", "vfio_pci_core", "vfio_pci"])
    host.machine.log = []
    #expect(journal.undoAll() == [])
    #expect(host.machine.log == ["remove vfio_pci", "remove vfio_pci_core", "remove irqbypass"])
    #expect(host.kernel.loaded == ["vfio"])
  }

  @Test("loading twice inserts once")
  func twice() throws {
    try modules.load("vfio_pci")
    #expect(try modules.load("vfio_pci") == [])
    #expect(try modules.load("vfio_iommu_type1") == ["vfio_iommu_type1"])
  }

  @Test("a module that is missing is a skip with its option; one that is not loaded says how")
  func skips() {
    #expect(throws: KernelSkip(.module, "the kernel has no module iommufd (CONFIG_IOMMUFD)")) {
      try modules.require("iommufd", inserts: true)
    }
    #expect {
      try modules.require("vfio", inserts: false)
    } throws: { error in
      let skip = error as? KernelSkip
      return skip?.reason == .notLoaded && skip?.detail.contains("--load") == true
    }
    #expect(throws: Never.self) { try modules.require("kunit", inserts: false) }
    #expect(host.machine.log == [])
  }

  @Test("where a module is refused, what it needed is removed again")
  func refusedInTheMiddle() {
    host.machine.refusals["insert vfio_pci"] = EKEYREJECTED
    #expect {
      try modules.load("vfio_pci")
    } throws: { ($0 as? KernelSkip)?.reason == .module }
    #expect(host.kernel.loaded == [])
    #expect(journal.changes == [])
    // What was refused was never inserted.
    #expect(!host.machine.log.contains("remove vfio_pci"))
  }

  @Test("a dependency without a file is a skip")
  func missingDependency() {
    host.kernel.addModule("broken", needs: ["gone"])
    #expect(throws: KernelSkip(.module, "broken needs gone, which is missing")) { try modules.load("broken") }
  }

  @Test("a module that somebody else inserts meanwhile is not removed")
  func race() throws {
    host.machine.refusals["insert vfio"] = EEXIST
    #expect(try modules.load("vfio") == [])
    #expect(journal.changes == [])
  }

  @Test("a compressed file that the kernel does not unpack is a skip that says so")
  func compressed() {
    host.machine.refusals["insert vfio"] = ENOEXEC
    #expect {
      try modules.load("vfio")
    } throws: { ($0 as? KernelSkip)?.detail.contains("CONFIG_MODULE_DECOMPRESS") == true }
    #expect(ModuleCompression(file: "a.ko") == nil)
    #expect(ModuleCompression(file: "a.ko.zst") == .zstd)
  }

  @Test("parameters of the kernel's command line go to their module")
  func parameters() throws {
    host.machine["/proc/cmdline"] =
      "ro vfio_iommu_type1.allow_unsafe_interrupts=1 vfio-pci.ids=1:2 x.vfio=3\n"
    try modules.load("vfio_iommu_type1")
    #expect(host.machine.log.last == "insert vfio_iommu_type1 allow_unsafe_interrupts=1")
    // The command line has the last word.
    host.machine["/lib/modules/7.2.4-fake/modules.builtin"] = ""
    host.machine["/proc/cmdline"] = "kunit.enable=0\n"
    host.kernel.addModule("kunit")
    let source = ModuleFiles(machine: host.machine, release: host.machine.release)
    try Modules(source: source, journal: journal).load("kunit")
    #expect(host.machine.log.last == "insert kunit enable=1 enable=0")
  }

  @Test("a module in use cannot be removed, is told, and stays in the journal")
  func inUse() throws {
    try modules.load("vfio_iommu_type1")
    host.machine.refusals["remove vfio_iommu_type1"] = EAGAIN
    let problems = journal.undoAll()
    #expect(problems.count == 2)
    #expect(problems.first?.contains("module vfio_iommu_type1 cannot be put back") == true)
    #expect(journal.changes == [.module("vfio"), .module("vfio_iommu_type1")])
    host.machine.refusals = [:]
    #expect(journal.undoAll() == [])
    #expect(host.kernel.loaded == [])
  }

  @Test("without /lib/modules everything that is not in the kernel is missing")
  func noFolder() throws {
    host.machine.remove("/lib/modules")
    for (_, state) in try modules.table() { #expect(state == .missing) }
  }

  @Test("every needed module has a use; suites are found by their own globs only")
  func table() throws {
    #expect(Set(NeededModule.all.map(\.name)).count == NeededModule.all.count)
    for module in NeededModule.all {
      #expect(ModuleName.canonical(module.name) == module.name)
      #expect(module.option.hasPrefix("CONFIG_") && !module.purpose.isEmpty)
    }
    for suite in ["amdv1_fmt_test", "vtdss_iommu_test", "io-pgtable-arm-test", "arm-smmu-v3-kunit-test"] {
      let owners = NeededModule.all.filter { $0.suites.contains { fnmatch($0, suite, 0) == 0 } }
      #expect(owners.count == 1, "\(suite)")
    }
  }

  #if Kmod
    @Test("libkmod tells missing modules, and does not know what depmod has not indexed")
    func libkmod() throws {
      let source = try KmodModules()
      #expect(try source.state(of: "ptkit_no_such_module") == .missing)
      #expect(try source.dependencies(of: "ptkit_no_such_module") == [])
      #expect(throws: MachineError.self) { try source.insert("ptkit_no_such_module", parameters: "") }
    }
  #endif
}
