// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine
import TAP
import Testing

@testable import Kernel

@Suite("Runs of kernel tests")
struct KernelRunTests {
  let host = FakeHost()
  let scratch = KernelScratch()
  private static let pages = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

  /// Changes the machine in each way, and passes.
  private static let changing = KernelTest(
    "kernel.fake.changes",
    needs: [.root, .module("vfio_iommu_type1"), .group, .hugepages(size: 2 << 20, count: 8)]
  ) { context in
    try context.mountDebugfs()
    return .pass
  }

  private let options = KernelOptions(loadsModules: true, bindings: [FakeHost.device])

  private func run(
    _ tests: [KernelTest], _ options: KernelOptions = KernelOptions(), findings: String = "",
    patterns: [String] = ["kernel.fake"], journal: Journal? = nil
  ) throws -> [TAPResult] {
    let context = try host.context(options, journal: journal)
    let run = try KernelRun(
      context: context, tests: tests, findings: KernelFinding.read(findings, path: "findings"))
    return try run.points(patterns).map { try run.result(of: $0) } + [run.finish()]
  }

  @Test("a run changes the machine in every way, and leaves it as it was")
  func everything() throws {
    let before = KernelState(of: host.machine)
    let results = try run([Self.changing], options)
    #expect(results.map(\.outcome) == [.pass, .pass], "\(results)")
    #expect(before.differences(from: KernelState(of: host.machine)) == [])
    #expect(host.machine.log.contains("insert vfio_pci"))
    #expect(host.machine.log.contains("mount debugfs /sys/kernel/debug"))
    #expect(host.machine.log.contains("write /sys/bus/pci/drivers/e1000e/bind \(FakeHost.device)"))
  }

  /// Each moment at which a run can be killed: before each of its changes and of its undoings.
  @Test("a run that dies at any change is put back from its journal", arguments: [true, false])
  func dies(before: Bool) throws {
    let count = try { () throws -> Int in
      let host = FakeHost()
      let context = try host.context(options)
      _ = try Self.changing.result(in: context)
      _ = context.journal.undoAll()
      return host.machine.log.count
    }()
    #expect(count > 20)
    for moment in 0..<count {
      let host = FakeHost()
      let initial = KernelState(of: host.machine)
      let path = scratch.path("journal-\(before)-\(moment)")
      try Self.run(host, options, path, dyingAt: moment, before: before)
      host.machine.isDead = false
      if scratch.text("journal-\(before)-\(moment)") != nil {
        let report = try JournalRestore.run(path: path, on: host.machine)
        #expect(report.problems == [], "at change \(moment)")
      }
      let left = initial.differences(from: KernelState(of: host.machine))
      #expect(left == [], "at change \(moment)")
    }
  }

  /// A run whose process dies at a change: no call is made any more, and nobody looks at the results.
  private static func run(
    _ host: FakeHost, _ options: KernelOptions, _ path: String, dyingAt moment: Int, before: Bool
  ) throws {
    host.machine.diesAt = (moment, before)
    let journal = Journal(machine: host.machine, file: try JournalFile(new: path))
    let context = try host.context(options, journal: journal)
    _ = try changing.result(in: context)
    _ = journal.undoAll()
    host.machine.diesAt = nil
  }

  @Test("a run that forgets to undo something is caught, each kind of change")
  func forgets() throws {
    let changes: [(String, @Sendable (KernelContext) throws -> Void)] = [
      (
        "module irqbypass",
        {
          try $0.machine.insertModule(file: "/lib/modules/7.2.4-fake/kernel/irqbypass.ko.xz", parameters: "")
        }
      ),
      (
        "mount on /sys/kernel/debug", { try $0.machine.mount(fileSystem: "debugfs", on: "/sys/kernel/debug") }
      ),
      (Self.pages, { try $0.machine.write("77", to: Self.pages) }),
      (
        "driver_override of \(FakeHost.device)",
        { try $0.machine.write("x", to: "/sys/bus/pci/devices/\(FakeHost.device)/driver_override") }
      ),
      (
        "driver of \(FakeHost.device)",
        { try $0.machine.write(FakeHost.device, to: "/sys/bus/pci/drivers/e1000e/unbind") }
      ),
    ]
    for (name, change) in changes {
      let host = FakeHost()
      let test = KernelTest("kernel.fake.forgets") { context in
        try change(context)
        return .pass
      }
      let run = try KernelRun(context: host.context(), tests: [test], findings: [])
      for point in try run.points(["kernel.fake"]) { _ = try run.result(of: point) }
      let last = run.finish()
      #expect(last.name == "kernel.left_as_found" && last.outcome == .fail)
      #expect(last.details.contains { $0.hasPrefix("\(name):") }, "\(name): \(last.details)")
    }
  }

  @Test("what a test changes is undone after it, what its needs changed at the end")
  func scopes() throws {
    let context = try host.context(options)
    _ = try Self.changing.result(in: context)
    #expect(!context.journal.changes.contains(.mount(folder: "/sys/kernel/debug")))
    #expect(context.journal.changes.contains(.module("vfio_pci")))
  }

  @Test("an undoing that fails is an error of its test, and of the run")
  func undoFails() throws {
    host.machine.refusals["umount /sys/kernel/debug"] = EBUSY
    let test = KernelTest("kernel.fake.mounts") { context in
      try context.mountDebugfs()
      return .pass
    }
    let results = try run([test])
    #expect(results.map(\.outcome) == [.error, .fail])
    #expect(results[1].details.contains { $0.contains("ptkit restore") })
  }

  @Test("each outcome of a test is its point's; needs that are not there are skips before it runs")
  func outcomes() throws {
    let bodies: [(KernelTest, TAPOutcome, String?)] = [
      (KernelTest("kernel.fake.a") { _ in .pass }, .pass, nil),
      (KernelTest("kernel.fake.b") { _ in .fail(details: ["x"]) }, .fail, nil),
      (KernelTest("kernel.fake.c") { _ in throw KernelFailure("x") }, .fail, nil),
      (KernelTest("kernel.fake.d") { _ in throw MachineError.lost("x") }, .error, nil),
      (KernelTest("kernel.fake.e") { _ in throw MachineError.refused(call: "x", error: 5) }, .fail, nil),
      (
        KernelTest("kernel.fake.f") { _ in .skip(.hardware, detail: "x") }, .skip,
        "not supported by the IOMMU"
      ),
      (
        KernelTest("kernel.fake.g", needs: [.device("/dev/none")]) { _ in .fail(details: []) }, .skip,
        "no such device"
      ),
      (
        KernelTest("kernel.fake.h", needs: [.file("/sys/none")]) { _ in .fail(details: []) }, .skip,
        "file not there"
      ),
      (
        KernelTest("kernel.fake.i", needs: [.module("none")]) { _ in .fail(details: []) }, .skip,
        "module not available"
      ),
    ]
    for (test, outcome, reason) in bodies {
      let result = try test.result(in: host.context())
      #expect(result.outcome == outcome, "\(test.name)")
      #expect(result.reason == reason, "\(test.name)")
      if outcome == .skip { #expect(!result.details.isEmpty) }
    }
  }

  @Test("a known failure is expected; where it is gone, that is told; versions are those of the kernel")
  func findings() throws {
    let fails = KernelTest("kernel.fake.fails") { _ in .fail(details: ["more than the bound"]) }
    let passes = KernelTest("kernel.fake.passes") { _ in .pass }
    func outcomes(_ findings: String) throws -> [TAPOutcome] {
      try run([fails, passes], findings: findings).prefix(2).map(\.outcome)
    }
    #expect(try outcomes("7.2 | kernel.*.fails | a reason") == [.xfail, .pass])
    #expect(try outcomes("6.* | kernel.* | a reason") == [.fail, .pass])
    #expect(try outcomes("* | kernel.* | a reason") == [.xfail, .xpass])
    #expect(try outcomes("* | kernel.* | *bound | a reason") == [.xfail, .pass])
    let error = #expect(throws: KernelFindingError.self) {
      try KernelFinding.read("\n* | kernel", path: "list")
    }
    #expect(error?.description.hasPrefix("list:2: expected versions | tests | reason") == true)
  }

  @Test("the kit's own findings can be read, and know the growth bound")
  func ownFindings() throws {
    let findings = try KernelFinding.ofRunningKernels()
    for era in ["6.1", "6.12", "7.2", "7.3"] {
      #expect(findings.contains { $0.isAbout("kernel.vfio.iova_stress.bounded", era: era) })
      #expect(!findings.contains { $0.isAbout("kernel.vfio.iova_stress.run", era: era) })
    }
  }

  @Test("on a machine that has nothing all points are skipped with a reason, none passes")
  func nothing() throws {
    let context = try KernelContext(machine: FakeMachine())
    let run = KernelRun(
      context: context, tests: MapperTests.all(), findings: try KernelFinding.ofRunningKernels())
    let results = try run.points([]).map { try run.result(of: $0) } + [run.finish()]
    #expect(results.count > 50)
    for result in results {
      #expect(result.outcome == .skip, "\(result)")
      #expect(
        result.reason.map { reason in KernelSkipReason.allCases.contains { $0.rawValue == reason } } == true)
    }
    #expect(Set(results.map { TAPName.identity($0.name) }).count == results.count)
  }

  @Test("an interruption ends the run between tests, and everything is put back")
  func interruption() throws {
    let before = KernelState(of: host.machine)
    var isAsked = false
    let context = try KernelContext(machine: host.machine, options: options) {
      () throws(KernelInterruption) in
      if isAsked { throw KernelInterruption(signal: 15) }
    }
    let run = KernelRun(context: context, tests: [Self.changing], findings: [])
    #expect(try run.result(of: .test(Self.changing)).outcome == .pass)
    isAsked = true
    #expect(throws: KernelInterruption(signal: 15)) { try run.result(of: .test(Self.changing)) }
    #expect(run.finish().outcome == .pass)
    #expect(before.differences(from: KernelState(of: host.machine)) == [])
  }

  @Test("an interruption in the middle of a test, and of a need, undoes what they changed")
  func interruptionInside() throws {
    let before = KernelState(of: host.machine)
    let test = KernelTest("kernel.fake.long") { context in
      try context.mountDebugfs()
      throw KernelInterruption(signal: 2)
    }
    let run = try KernelRun(context: host.context(), tests: [test], findings: [])
    #expect(throws: KernelInterruption(signal: 2)) { try run.result(of: .test(test)) }
    #expect(run.finish().outcome == .pass)
    #expect(before.differences(from: KernelState(of: host.machine)) == [])
  }

  @Test("names select tests; a name that means none is refused, and nothing is changed for it")
  func selection() throws {
    let tests = ["kernel.fake.a", "kernel.fake.b", "kernel.other.c"].map { KernelTest($0) { _ in .pass } }
    let run = try KernelRun(context: host.context(options), tests: tests, findings: [])
    #expect(try run.points(["kernel.fake"]).map(\.name) == ["kernel.fake.a", "kernel.fake.b"])
    #expect(throws: (any Error).self) { try run.points(["kernel.fkae"]) }
    #expect(host.machine.log == [])
    #expect(try run.points(["*.c"]).map(\.name) == ["kernel.other.c"])
    #expect(KernelRun.names(tests).contains("kernel.kunit.modules.iommu_pt_kunit_test"))
  }
}
