// SPDX-License-Identifier: GPL-2.0-only

import Machine
import TAP
import Testing

@testable import Kernel

@Suite("KUnit suites of a kernel")
struct KUnitTests {
  let host = FakeHost()
  private var module: NeededModule {
    NeededModule.all.first { $0.name == "iommu_pt_kunit_test" } ?? NeededModule.all[0]
  }

  private func results(_ context: KernelContext) throws -> [TAPResult] {
    try KUnitModule(context: context, module: module).results()
  }

  @Test("results come from debugfs, which is mounted for it, under names that stay")
  func debugfs() throws {
    let context = try host.context(KernelOptions(loadsModules: true))
    let found = try results(context)
    #expect(
      found.map { "\($0.outcome) \($0.name)" } == [
        "pass kernel.kunit.modules.iommu_pt_kunit_test",
        "pass kernel.kunit.amdv1_fmt_test.test_init.amdv1_cfg_0",
        "skip kernel.kunit.amdv1_fmt_test.test_init.amdv1_cfg_1",
        "pass kernel.kunit.amdv1_fmt_test.test_bitops",
      ])
    #expect(found[2].reason == "skipped in the kernel")
    #expect(found[2].details.contains { $0.contains("no such level here") })
    #expect(context.journal.changes == [.module("iommu_pt_kunit_test"), .mount(folder: "/sys/kernel/debug")])
    #expect(context.journal.undoAll() == [])
    #expect(host.kernel.loaded == [])
  }

  @Test("a failure in the kernel is one here")
  func failure() throws {
    host.kernel.fileSystems["debugfs"] = [
      "kunit/amdv1_fmt_test/results": FakeHost.results.replacing(
        "ok 2 test_bitops", with: "not ok 2 test_bitops"
      )
      .replacing("ok 1 amdv1_fmt_test", with: "not ok 1 amdv1_fmt_test")
    ]
    let found = try results(host.context(KernelOptions(loadsModules: true)))
    #expect(found.contains { $0.name == "kernel.kunit.amdv1_fmt_test.test_bitops" && $0.outcome == .fail })
  }

  @Test("without results in debugfs the kernel's log is read, between two lines of ours")
  func log() throws {
    let found = try logged(
      FakeHost.results.split(separator: "\n").map(String.init), before: ["an old line", "    ok 1 old_test"])
    #expect(found.count == 4)
    #expect(found.first?.details == ["3 results, read from the kernel's log"])
    #expect(found.allSatisfy { !$0.name.contains("old_test") })
  }

  @Test("a module that is missing or not loaded, KUnit that is off, and no root are skips")
  func skips() throws {
    func reason(_ options: KernelOptions = KernelOptions(loadsModules: true)) throws -> String? {
      let found = try results(host.context(options))
      #expect(found.count == 1 && found.first?.outcome == .skip)
      return found.first?.reason
    }
    #expect(try reason(KernelOptions()) == "module not loaded")
    host.machine["/proc/self/status"] = "Uid:\t7\t7\t7\t7\n"
    #expect(try reason() == "needs root")
    host.machine.remove("/lib/modules")
    #expect(try reason() == "module not available")
    #expect(host.machine.log == [])
  }

  /// A run whose results are in the log alone.
  private func logged(_ lines: [String], before: [String] = []) throws -> [TAPResult] {
    host.kernel.fileSystems = [:]
    let log = FakeKernelLog(before)
    host.machine.devices["/dev/kmsg"] = { log }
    host.kernel.onInsert["iommu_pt_kunit_test"] = { log.records += lines.map { "6,9,1,-;\($0)\n" } }
    host.machine.onWrite = { log.take($0, $1) }
    host.machine.onRead = { log.next($0) }
    return try results(host.context(KernelOptions(loadsModules: true)))
  }

  @Test("KUnit that is off is a skip")
  func noResults() throws {
    let off = try logged(["kunit: disabled"])
    #expect(off.count == 1 && off.first?.reason == "not supported by the kernel")
    #expect(off.first?.details.first?.contains("kunit.enable=0") == true)
  }

  @Test("a log without results is an error that shows it")
  func noTAP() throws {
    let found = try logged(["something else"])
    #expect(found.count == 1 && found.first?.outcome == .error)
    #expect(found.first?.details.contains("something else") == true)
  }

  @Test("records of the log are their messages")
  func records() {
    #expect(KernelLog.text(of: Array("6,339,5140900,-;ok 1 a;b\n SUBSYSTEM=x\n".utf8)) == "ok 1 a;b")
    #expect(KernelLog.text(of: Array("no record".utf8)) == "no record")
  }
}

/// /dev/kmsg: each read gives one record.
final class FakeKernelLog: FakeDevice {
  var records: [String]
  private var position = 0

  init(_ lines: [String]) { records = lines.map { "6,1,1,-;\($0)\n" } }

  func control(_ request: UInt64, _ argument: inout ControlArgument, on machine: FakeMachine)
    throws(MachineError) -> Int
  { throw machine.refused("ioctl", 25) }

  func closed(on machine: FakeMachine) {}

  /// Takes what is written to the file.
  func take(_ path: String, _ text: String) {
    if path == "/dev/kmsg" { records.append("12,1,1,-;\(text)") }
  }

  /// The next record of a read, nil where another file is read.
  func next(_ path: String) -> String? {
    guard path == "/dev/kmsg" else { return nil }
    defer { position += 1 }
    return position < records.count ? records[position] : ""
  }
}
